//! Writing `run.jsonl`: one event per line, appended as it happens.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, counted};
use crate::runlog::Event;

/// The log of a run.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: File,
}

impl RunLog {
    /// Creates the log of a run in its folder.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn create(folder: &Path) -> Result<Self, Diagnostic> {
        let path = folder.join("run.jsonl");
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        match file {
            Ok(file) => Ok(RunLog { path, file }),
            Err(e) => Err(failed(&path, &e)),
        }
    }

    /// Continues the log of a run after its first `bytes` bytes: events after the checkpoint are written
    /// again.
    ///
    /// # Errors
    /// A file that cannot be opened or is shorter.
    pub fn go_on(folder: &Path, bytes: u64) -> Result<Self, Diagnostic> {
        let path = folder.join("run.jsonl");
        let failed = |e: &std::io::Error| failed(&path, e);
        let mut file = OpenOptions::new().write(true).open(&path).map_err(|e| failed(&e))?;
        let length = file.metadata().map_err(|e| failed(&e))?.len();
        if length < bytes {
            return Err(Diagnostic::unlocated(
                Code::CheckpointNotUsable,
                format!(
                    "`{}` has {}; it had {bytes} at the checkpoint",
                    path.display(),
                    counted(length, "byte", "bytes")
                ),
            )
            .help("restore the whole log, or start again in another folder"));
        }
        file.set_len(bytes).map_err(|e| failed(&e))?;
        file.seek(SeekFrom::End(0)).map_err(|e| failed(&e))?;
        Ok(RunLog { path, file })
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

/// The last line of a run's log, if it is complete.
pub fn last_line(folder: &Path) -> Option<String> {
    /// More than the bytes of the longest last line.
    const ENOUGH: u64 = 4096;
    let mut file = File::open(folder.join("run.jsonl")).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH))).ok()?;
    let mut end = Vec::new();
    file.read_to_end(&mut end).ok()?;
    let text = String::from_utf8_lossy(&end);
    Some(text.strip_suffix('\n')?.lines().last()?.to_owned())
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::unlocated(Code::WriteFailed, format!("cannot write `{}`: {error}", path.display()))
        .help("is there space, and may you write there?")
}
