//! `run.jsonl`: one event a line, appended as it happens.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};
use crate::engine::events::Event;

/// The log of a run.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: File,
}

impl RunLog {
    /// Begins the log of a run in its folder.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(folder: &Path) -> Result<Self, Diagnostic> {
        let path = folder.join("run.jsonl");
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        match file {
            Ok(file) => Ok(RunLog { path, file }),
            Err(e) => Err(failed(&path, &e)),
        }
    }

    /// Appends an event.
    ///
    /// # Errors
    /// A line that cannot be written.
    pub fn append(&mut self, event: &Event) -> Result<(), Diagnostic> {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| failed(&self.path, &e))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::unlocated(Code::WriteFailed, format!("cannot write `{}`: {error}", path.display()))
        .help("is there space, and may you write there?")
}
