//! What a model's name means: the one place where every command finds a folder, a cached model or one on
//! the hub.

use std::path::Path;
#[cfg(feature = "infer")]
use std::path::PathBuf;

#[cfg(feature = "engine")]
use indicatif::{ProgressBar, ProgressStyle};

use crate::diag::{Code, Diagnostic, Sources, nearest};
use crate::params::builtin::{Head, WELL_KNOWN, well_known_table};
use crate::params::{ParameterTable, cache, folder};

/// The parameters of a model for commands that use no network: of a folder, of a cached model, or of a
/// well-known one.
///
/// # Errors
/// A model that is in none of these places; everything that is wrong with its folder.
pub fn table(path: &Path, sources: &mut Sources) -> Result<ParameterTable, Vec<Diagnostic>> {
    let name = path.to_string_lossy();
    let of_folder = |sources: &mut Sources| folder::read(path, sources).map(|folder| folder.table);
    if path.exists() || !cache::is_hub_name(&name) {
        return of_folder(sources);
    }
    if let Some(folder) = cache::find(&name) {
        return folder::cached(&folder, sources);
    }
    // A model of another task gets the head of the recipe's.
    if let Some(table) = well_known_table(&name, Head::QuestionAnswering) {
        return Ok(table);
    }
    // A path that goes wrong at its end is no name.
    let is_path = path.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
    let mut wrong = match is_path {
        true => of_folder(sources).err().unwrap_or_default(),
        false => vec![
            Diagnostic::unlocated(
                Code::ModelOffline,
                format!("the model `{name}` is neither a folder nor in the cache"),
            )
            .help("`obertc run` fetches it; `check` and `plan` never use the network"),
        ],
    };
    if let (Some(near), Some(first)) = (nearest(&name, WELL_KNOWN.iter().copied()), wrong.first_mut()) {
        first.help = Some(format!("did you mean the well-known model `{near}`?"));
    }
    Err(wrong)
}

/// The parameters of a model that a recipe names, if it is on this machine.
pub fn local_table(name: &str) -> Option<ParameterTable> {
    let sources = &mut Sources::new();
    match Path::new(name).is_dir() {
        true => folder::read(Path::new(name), sources).ok().map(|folder| folder.table),
        false => folder::cached(&cache::find(name)?, sources).ok(),
    }
}

/// Finds a model on this machine. This build has no network.
///
/// # Errors
/// A model that is neither a folder nor in the cache.
#[cfg(all(feature = "infer", not(feature = "engine")))]
pub fn find(name: &Path, _offline: bool, _quiet: bool) -> Result<PathBuf, Diagnostic> {
    if name.exists() {
        return Ok(name.to_owned());
    }
    cache::local(name).ok_or_else(|| {
        let message = format!("the model `{}` is neither a folder nor in the cache", name.display());
        Diagnostic::unlocated(Code::ModelOffline, message)
            .help("give its folder; a build with the default features fetches models by name")
    })
}

/// Finds a model on this machine, or fetches it and shows how that goes.
///
/// # Errors
/// A model that is nowhere, or cannot be fetched.
#[cfg(feature = "engine")]
pub fn find(name: &Path, offline: bool, quiet: bool) -> Result<PathBuf, Diagnostic> {
    use std::io::IsTerminal;

    use super::eprint;
    use crate::task::model::hub;

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

#[cfg(feature = "engine")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
