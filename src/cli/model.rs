//! The folder of a model that is given by name, fetched if it must be.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::eprint;
use crate::diag::Diagnostic;
use crate::task::model::hub;

/// Finds a model on this machine, or fetches it and shows how that goes.
///
/// # Errors
/// A model that is nowhere, or cannot be fetched.
pub fn find(name: &Path, offline: bool, quiet: bool) -> Result<PathBuf, Diagnostic> {
    let mut bar: Option<(String, ProgressBar)> = None;
    let mut watch = |file: &str, done: u64, all: u64| {
        let is_new = bar.as_ref().is_none_or(|(shown, _)| shown != file);
        if quiet || (is_new && done == all) {
            return;
        }
        if !std::io::stderr().is_terminal() {
            if is_new {
                eprint(&format!("fetching {file} of {}, {}\n", name.display(), size(all)));
                bar = Some((file.to_owned(), ProgressBar::hidden()));
            }
            return;
        }
        if is_new {
            let shown = ProgressBar::new(all);
            if let Ok(style) =
                ProgressStyle::with_template("  {prefix:28} {bar:30} {bytes}/{total_bytes}  {eta} left")
            {
                shown.set_style(style.progress_chars("━╸ "));
            }
            shown.set_prefix(file.to_owned());
            if let Some((_, last)) = bar.replace((file.to_owned(), shown)) {
                last.finish_and_clear();
            }
        }
        if let Some((_, bar)) = &bar {
            bar.set_position(done);
        }
    };
    let found = hub::resolve(name, offline, &mut watch);
    if let Some((_, last)) = bar {
        last.finish_and_clear();
    }
    found
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
