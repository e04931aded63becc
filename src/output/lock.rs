//! One run per folder: `run.lock` holds the id of the process that writes there.
//!
//! The lock is the operating system's and ends with the process, even when it is killed. A file that is
//! left behind is locked again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};

/// A lock on the folder of a run, released when it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Locks the folder of a run.
    ///
    /// # Errors
    /// Another process has locked it, or it cannot be written.
    pub fn take(folder: &Path) -> Result<Self, Diagnostic> {
        let path = folder.join("run.lock");
        let unusable = |e: std::io::Error| {
            Diagnostic::unlocated(
                Code::OutputNotUsable,
                format!("cannot write into `{}`: {e}", folder.display()),
            )
            .help("may you write there? give another folder with `--out DIR`")
        };
        loop {
            let mut options = OpenOptions::new();
            let file = options.create(true).truncate(false).read(true).write(true).open(&path);
            let mut file = file.map_err(unusable)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Err(busy(folder, &mut file)),
                // A file system without locks: there only the existing `run.jsonl` is a guard.
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(unusable(e)),
                Ok(()) => {}
            }
            // The process that had it may have removed the file since it was opened.
            if !is_at(&file, &path) {
                continue;
            }
            sign(&mut file).map_err(unusable)?;
            return Ok(Lock { path, file });
        }
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn busy(folder: &Path, file: &mut File) -> Diagnostic {
    let mut pid = String::new();
    let process = match file.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    };
    Diagnostic::unlocated(Code::FolderBusy, format!("{process} is running in `{}`", folder.display()))
        .help("wait for it, stop it, or give another folder with `--out DIR`")
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: std::fs::Metadata, b: std::fs::Metadata| a.ino() == b.ino() && a.dev() == b.dev();
    file.metadata().ok().zip(std::fs::metadata(path).ok()).is_some_and(|(a, b)| same(a, b))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that no process locks it in between.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_once_and_a_stale_lock_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.lock");
        std::fs::write(&path, "999999999\n").unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        let error = Lock::take(dir.path()).unwrap_err();
        assert_eq!(error.code, Code::FolderBusy);
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{}", error.message);
        drop(lock);
        assert!(!path.exists());
        Lock::take(dir.path()).unwrap();
    }
}
