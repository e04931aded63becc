//! The folder of a finished run: a Hugging Face model, with what it came from beside it.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::output::report;
use crate::params::BertConfig;
use crate::schedule::Schedule;
use crate::task::data::tokenize::Tokenizer;
use crate::task::model::{BertModel, checkpoint};

/// Chooses and makes the folder of a run before it begins.
///
/// Without a wish it is `runs/NAME`, or the next free `runs/NAME-2`, `-3`, …
///
/// # Errors
/// A folder that cannot be made or written, or that already holds a run.
pub fn begin(wish: Option<&Path>, recipe: &str) -> Result<PathBuf, Diagnostic> {
    let folder = match wish {
        Some(folder) => {
            if folder.join("run.jsonl").exists() {
                return Err(Diagnostic::unlocated(
                    Code::OutputNotUsable,
                    format!("`{}` already holds a run", folder.display()),
                )
                .help("give another folder with `--out DIR`, or remove this one"));
            }
            folder.to_owned()
        }
        None => {
            let named = |n: usize| match n {
                1 => PathBuf::from("runs").join(recipe),
                n => PathBuf::from("runs").join(format!("{recipe}-{n}")),
            };
            (1..).map(named).find(|folder| !folder.exists()).unwrap_or_else(|| named(1))
        }
    };
    files::output_folder(&folder)?;
    Ok(folder)
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
    tokenizer.save(folder)
}
