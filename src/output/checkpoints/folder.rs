//! The checkpoints in the folder of a run: `checkpoints/STAGE-STEP.safetensors`.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};
use crate::engine::snapshot::{Restored, Snapshot};
use crate::output::folder::clean;

use super::file::{self, Header};

/// The checkpoints of one run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

/// A checkpoint that a run can be resumed from.
#[derive(Debug)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// Its metadata.
    pub header: Header,
    /// Its tensors.
    pub restored: Restored,
    /// Newer ones that cannot be used, and why.
    pub broken: Vec<(PathBuf, String)>,
}

impl Checkpoints {
    /// The checkpoints in the folder of a run; there may be none.
    pub fn of(run: &Path) -> Self {
        Checkpoints { folder: run.join("checkpoints") }
    }

    /// All files, the oldest first.
    pub fn list(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let paths = entries.filter_map(|e| Some(e.ok()?.path()));
        let mut list: Vec<PathBuf> = paths.filter(|path| place(path).is_some()).collect();
        list.sort_by_key(|path| place(path));
        list
    }

    /// The position of the newest: its stage and the next step.
    pub fn newest_position(&self) -> Option<(String, u64)> {
        let header = self.list().iter().rev().find_map(|path| file::header(path).ok())?;
        Some((header.position.name, header.position.step))
    }

    /// The newest that can be used. `None` if there are none.
    ///
    /// # Errors
    /// A diagnostic with the reason why each cannot be used.
    pub fn newest(&self) -> Result<Option<Found>, Diagnostic> {
        let mut broken = Vec::new();
        for path in self.list().into_iter().rev() {
            match file::read(&path) {
                Ok((header, restored)) => return Ok(Some(Found { path, header, restored, broken })),
                Err(why) => broken.push((path, why)),
            }
        }
        if broken.is_empty() {
            return Ok(None);
        }
        let each: Vec<String> =
            broken.iter().map(|(path, why)| format!("`{}`: {why}", path.display())).collect();
        Err(Diagnostic::unlocated(
            Code::CheckpointNotUsable,
            format!("no checkpoint can be used: {}", each.join("; ")),
        )
        .help("start again in another folder, or restore a copy of a checkpoint"))
    }

    /// Writes a checkpoint and then removes all but the last `keep`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, header: &Header, snapshot: &Snapshot, keep: usize) -> Result<(), Diagnostic> {
        std::fs::create_dir_all(&self.folder).map_err(|e| {
            Diagnostic::unlocated(Code::WriteFailed, format!("cannot make `{}`: {e}", self.folder.display()))
                .help("is there space, and may you write there?")
        })?;
        let position = &header.position;
        let name = format!("{:04}-{:08}.safetensors", position.stage, position.step);
        file::write(&self.folder.join(name), header, snapshot)?;
        self.leave_last(keep)
    }

    /// Prepares for resuming from the checkpoint at this path, which stays: removes temporary files of the interrupted
    /// run, later checkpoints, and those before the last `keep`, which a run that was killed just after a write had no
    /// time to remove.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn go_on_from(&self, path: &Path, keep: usize) -> Result<(), Diagnostic> {
        clean(&self.folder)?;
        for newer in self.list().iter().filter(|other| place(other) > place(path)) {
            remove(newer)?;
        }
        self.leave_last(keep.max(1))
    }

    /// Removes all checkpoints, and their folder if it is empty.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove(&self) -> Result<(), Diagnostic> {
        if !self.folder.is_dir() {
            return Ok(());
        }
        clean(&self.folder)?;
        self.leave_last(0)?;
        // Files of others keep the folder.
        let _ = std::fs::remove_dir(&self.folder);
        Ok(())
    }

    fn leave_last(&self, keep: usize) -> Result<(), Diagnostic> {
        let list = self.list();
        list[..list.len().saturating_sub(keep)].iter().try_for_each(|old| remove(old))
    }
}

fn remove(path: &Path) -> Result<(), Diagnostic> {
    std::fs::remove_file(path).map_err(|e| {
        Diagnostic::unlocated(Code::WriteFailed, format!("cannot remove `{}`: {e}", path.display()))
            .help("may you write there?")
    })
}

/// The stage and the step in a file's name.
fn place(path: &Path) -> Option<(u64, u64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".safetensors")?;
    let (stage, step) = stem.split_once('-')?;
    Some((stage.parse().ok()?, step.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_in_the_order_of_the_run_and_other_files_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("checkpoints");
        std::fs::create_dir(&folder).unwrap();
        for name in ["0001-00000002", "0000-00000010", "0001-100000000", "best"] {
            std::fs::write(folder.join(format!("{name}.safetensors")), "x").unwrap();
        }
        std::fs::write(folder.join(".obert-abc"), "half").unwrap();
        let checkpoints = Checkpoints::of(dir.path());
        let names = || -> Vec<String> {
            let stem = |p: PathBuf| p.file_stem().unwrap().to_string_lossy().into_owned();
            checkpoints.list().into_iter().map(stem).collect()
        };
        assert_eq!(names(), ["0000-00000010", "0001-00000002", "0001-100000000"]);
        let error = checkpoints.newest().unwrap_err();
        assert_eq!(error.code, Code::CheckpointNotUsable);
        let middle = folder.join("0001-00000002.safetensors");
        checkpoints.go_on_from(&middle, 2).unwrap();
        assert_eq!(names(), ["0000-00000010", "0001-00000002"]);
        assert!(!folder.join(".obert-abc").exists() && folder.join("best.safetensors").exists());
        // A run that is killed after a write leaves older checkpoints; the one it is resumed from stays.
        for keep in [1, 0] {
            checkpoints.go_on_from(&middle, keep).unwrap();
            assert_eq!(names(), ["0001-00000002"]);
        }
        // A file of others, `best`, keeps the folder.
        checkpoints.remove().unwrap();
        assert!(names().is_empty() && folder.join("best.safetensors").exists());
        std::fs::remove_file(folder.join("best.safetensors")).unwrap();
        checkpoints.remove().unwrap();
        assert!(!folder.exists());
        checkpoints.remove().unwrap();
    }
}
