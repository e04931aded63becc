//! The folder of a run: a Hugging Face model with the files that document the run.

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

/// Creates and locks the folder of a new run.
///
/// Without `--out` it is `runs/NAME`, or the next free `runs/NAME-2`, `-3`, …
///
/// # Errors
/// A folder that cannot be made or written, that another run has locked, or that already holds a run.
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
        .help("continue it with `--resume`, or give another folder with `--out DIR`"));
    }
    Ok((folder, lock))
}

/// The folder of the run to resume: that of `--out`, or the last of `runs/NAME`, `runs/NAME-2`, …
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

/// Whether a run is finished: its log ends with `run_finished`, and its files are there if it makes a model.
pub fn is_finished(folder: &Path, makes_model: bool) -> bool {
    let has_ended = log::last_line(folder).is_some_and(|line| line.contains("\"event\":\"run_finished\""));
    has_ended && (!makes_model || folder.join("schedule.json").exists())
}

/// Removes temporary files of an interrupted run.
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

/// Writes `schedule.json` before the run, so that a failed run has it too.
///
/// # Errors
/// A file that cannot be written.
pub fn plan(folder: &Path, schedule: &Schedule) -> Result<(), Diagnostic> {
    let text = serde_json::to_string_pretty(schedule).unwrap_or_default();
    files::write_whole(&folder.join("schedule.json"), format!("{text}\n").as_bytes())
}

/// Writes `report.html` from the files in the folder.
///
/// # Errors
/// A file that cannot be read or written.
pub fn report(folder: &Path) -> Result<(), Diagnostic> {
    let (record, _) = report::read(folder)?;
    files::write_whole(&folder.join(report::FILE), report::render(&record).as_bytes())
}

/// Writes the model card, `README.md`, from the files in the folder.
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
