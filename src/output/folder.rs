//! The folder of a finished run: a Hugging Face model, with what it came from beside it.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::output::report;
use crate::params::BertConfig;
use crate::schedule::Schedule;
use crate::task::model::{BertModel, checkpoint};
use crate::text::Tokenizer;

use super::lock::Lock;
use super::log;

/// Chooses and makes the folder of a run before it begins, for this process alone.
///
/// Without a wish it is `runs/NAME`, or the next free `runs/NAME-2`, `-3`, …
///
/// # Errors
/// A folder that cannot be made or written, that another run is at work in, or that already holds a run.
pub fn begin(wish: Option<&Path>, recipe: &str) -> Result<(PathBuf, Lock), Diagnostic> {
    let folder = match wish {
        Some(folder) => folder.to_owned(),
        None => numbered(recipe).find(|folder| !folder.exists()).unwrap_or_default(),
    };
    files::output_folder(&folder)?;
    let lock = Lock::take(&folder)?;
    if folder.join("run.jsonl").exists() {
        return Err(Diagnostic::unlocated(
            Code::OutputNotUsable,
            format!("`{}` already holds a run", folder.display()),
        )
        .help("go on with it: `--resume`; or give another folder with `--out DIR`"));
    }
    Ok((folder, lock))
}

/// The folder of the run that would go on: the wish, or the last of `runs/NAME`, `runs/NAME-2`, …
pub fn latest(wish: Option<&Path>, recipe: &str) -> PathBuf {
    let last = || numbered(recipe).take_while(|folder| folder.exists()).last();
    wish.map(Path::to_owned).or_else(last).unwrap_or_else(|| PathBuf::from("runs").join(recipe))
}

fn numbered(recipe: &str) -> impl Iterator<Item = PathBuf> {
    (1..).map(move |n: usize| match n {
        1 => PathBuf::from("runs").join(recipe),
        n => PathBuf::from("runs").join(format!("{recipe}-{n}")),
    })
}

/// Whether a run came to its end: its log says so, and its model is there if it makes one.
pub fn is_finished(folder: &Path, makes_model: bool) -> bool {
    let has_ended = log::last_line(folder).is_some_and(|line| line.contains("\"event\":\"run_finished\""));
    has_ended && (!makes_model || folder.join("schedule.json").exists())
}

/// Removes files that an interrupted run left half-written.
///
/// # Errors
/// A file that cannot be removed.
pub fn clean(folder: &Path) -> Result<(), Diagnostic> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(files::ASIDE.as_bytes()) {
            std::fs::remove_file(entry.path()).map_err(|e| {
                let path = entry.path();
                Diagnostic::unlocated(Code::WriteFailed, format!("cannot remove `{}`: {e}", path.display()))
                    .help("may you write there?")
            })?;
        }
    }
    Ok(())
}

/// Writes what is going to be done, before it is: a run that fails has a record too.
///
/// # Errors
/// A file that cannot be written.
pub fn plan(folder: &Path, schedule: &Schedule) -> Result<(), Diagnostic> {
    let text = serde_json::to_string_pretty(schedule).unwrap_or_default();
    files::write_whole(&folder.join("schedule.json"), format!("{text}\n").as_bytes())
}

/// Writes the page of a run from the files that are in its folder by now.
///
/// # Errors
/// A file that cannot be read or written.
pub fn report(folder: &Path) -> Result<(), Diagnostic> {
    let (record, _) = report::read(folder)?;
    files::write_whole(&folder.join(report::FILE), report::render(&record).as_bytes())
}

/// Writes the model's README from the same files.
///
/// # Errors
/// A file that cannot be read or written.
pub fn card(folder: &Path) -> Result<(), Diagnostic> {
    let (record, _) = report::read(folder)?;
    files::write_whole(&folder.join("README.md"), report::card(&record).as_bytes())
}

/// Writes the model and its tokenizer.
///
/// # Errors
/// A file that cannot be written.
pub fn finish<M: BertModel>(
    folder: &Path,
    model: &M,
    config: &BertConfig,
    tokenizer: &Tokenizer,
) -> Result<(), Diagnostic> {
    checkpoint::save(model, config, folder)?;
    tokenizer.save(folder, config.longest())
}
