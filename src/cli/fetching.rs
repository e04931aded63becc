//! Finding models by name, with the progress of downloads from the hub.

#[cfg(feature = "engine")]
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[cfg(feature = "engine")]
use indicatif::{ProgressBar, ProgressStyle};

#[cfg(feature = "engine")]
use super::eprint;
use crate::api::models;
use crate::diag::Diagnostic;

/// Finds a model on this machine, or fetches it from the hub and shows the progress.
///
/// # Errors
/// A model that does not exist, or cannot be fetched.
#[cfg(feature = "engine")]
pub fn find(name: &Path, offline: bool, quiet: bool) -> Result<PathBuf, Diagnostic> {
    let mut shown = Fetching::default();
    let model = name.display().to_string();
    let found = models::find(name, offline, &mut |file, done, all| {
        if !quiet {
            shown.show(file, &model, done, all);
        }
    });
    shown.close();
    found
}

/// Finds a model on this machine.
///
/// # Errors
/// A model that is neither a folder nor in the cache.
#[cfg(not(feature = "engine"))]
pub fn find(name: &Path, offline: bool, _quiet: bool) -> Result<PathBuf, Diagnostic> {
    models::find(name, offline, &mut |_, _, _| {})
}

/// Shows downloads: a bar on a terminal, a line for each file elsewhere.
#[cfg(feature = "engine")]
#[derive(Default)]
pub struct Fetching {
    /// The file that is shown, with its bar.
    shown: Option<(String, ProgressBar)>,
}

#[cfg(feature = "engine")]
impl Fetching {
    /// Shows that `done` of `all` bytes of a file were fetched.
    pub fn show(&mut self, file: &str, model: &str, done: u64, all: u64) {
        let is_new = self.shown.as_ref().is_none_or(|(shown, _)| shown != file);
        if is_new && done == all {
            return;
        }
        if !std::io::stderr().is_terminal() {
            if is_new {
                eprint(&format!("fetching {file} of {model}, {}\n", size(all)));
                self.shown = Some((file.to_owned(), ProgressBar::hidden()));
            }
            return;
        }
        if is_new {
            self.close();
            let bar = ProgressBar::new(all);
            if let Ok(style) =
                ProgressStyle::with_template("  {prefix:28} {bar:30} {bytes}/{total_bytes}  {eta} left")
            {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(file.to_owned());
            self.shown = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.shown {
            bar.set_position(done);
        }
    }

    /// Removes the bar.
    pub fn close(&mut self) {
        if let Some((_, bar)) = self.shown.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(feature = "engine")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
