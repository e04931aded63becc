//! The inputs of a run.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::diag::{Code, Diagnostic, counted};
use crate::params::files::weights;
use crate::schedule::Schedule;
use crate::task::data::splits::Split;
use crate::text::FILES;

/// The inputs on which the result of a run depends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The schedule, with the flags applied.
    pub schedule: Schedule,
    /// The device.
    pub device: String,
    /// `--limit-steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_steps: Option<u64>,
    /// `--limit-examples`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_examples: Option<u64>,
    /// The files that were read.
    pub files: Vec<FileIdentity>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Its role: `model`, `data`, `teacher`, or `teacher NAME` for one that the recipe names.
    pub role: String,
    /// Its name, without its folder: a folder may move.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The XXH3 (128 bits) of its content, in hexadecimal digits.
    pub xxh3: String,
}

impl FileIdentity {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(role: &str, path: &Path) -> Result<Self, Diagnostic> {
        let unreadable = |e: std::io::Error| {
            Diagnostic::unlocated(Code::DataNotReadable, format!("cannot read `{}`: {e}", path.display()))
                .help("may you read it?")
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let (mut sum, mut bytes, mut piece) = (XxHash3_128::new(), 0, vec![0; 1 << 20]);
        loop {
            match file.read(&mut piece).map_err(unreadable)? {
                0 => break,
                read => {
                    sum.write(&piece[..read]);
                    bytes += read as u64;
                }
            }
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(FileIdentity { role: role.to_owned(), name, bytes, xxh3: format!("{:032x}", sum.finish_128()) })
    }
}

/// The files of a model: its weights, its configuration and its tokenizer.
///
/// # Errors
/// A folder without weights, or a file that cannot be read.
pub fn model(role: &str, folder: &Path) -> Result<Vec<FileIdentity>, Diagnostic> {
    let beside =
        ["config.json"].iter().chain(FILES).map(|name| folder.join(name)).filter(|path| path.is_file());
    beside.chain(weights(folder)?).map(|path| FileIdentity::of(role, &path)).collect()
}

/// The training and dev files of a data folder, or a file.
///
/// # Errors
/// A folder or a file that cannot be read.
pub fn data(folder: &Path) -> Result<Vec<FileIdentity>, Diagnostic> {
    if folder.is_file() {
        return Ok(vec![FileIdentity::of("data", folder)?]);
    }
    let entries = std::fs::read_dir(folder).map_err(|e| {
        Diagnostic::unlocated(Code::DataNotFound, format!("cannot read `{}`: {e}", folder.display()))
            .help("give the folder of data files: `--data DIR`")
    })?;
    let prefixes = || Split::Train.prefixes().iter().chain(Split::Dev.prefixes());
    let is_data = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        path.is_file() && prefixes().any(|prefix| name.starts_with(prefix))
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).filter(is_data).collect();
    paths.sort();
    paths.iter().map(|path| FileIdentity::of("data", path)).collect()
}

/// The files that differ: the role of each, and a line that says how.
pub fn changed(before: &[FileIdentity], after: &[FileIdentity]) -> Vec<(String, String)> {
    let same = |a: &FileIdentity, b: &FileIdentity| a.role == b.role && a.name == b.name;
    let mut lines = Vec::new();
    for old in before {
        let FileIdentity { role, name, bytes, xxh3 } = old;
        match after.iter().find(|new| same(old, new)) {
            Some(new) if new == old => {}
            Some(new) => lines.push((
                role.clone(),
                format!(
                    "{role}: `{name}` had {} ({}), and has {} ({})",
                    counted(*bytes, "byte", "bytes"),
                    &xxh3[..8],
                    new.bytes,
                    &new.xxh3[..8]
                ),
            )),
            None => lines.push((role.clone(), format!("{role}: `{name}` is missing"))),
        }
    }
    for new in after.iter().filter(|new| !before.iter().any(|old| same(old, new))) {
        lines.push((new.role.clone(), format!("{}: `{}` was not there", new.role, new.name)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lost_and_new_files_are_named_and_the_rest_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("train.tsv", "a");
        write("dev.tsv", "b");
        write("notes.md", "c");
        let before = data(dir.path()).unwrap();
        assert_eq!(before.len(), 2);
        assert!(changed(&before, &before).is_empty());
        write("train.tsv", "z");
        write("notes.md", "d");
        std::fs::remove_file(dir.path().join("dev.tsv")).unwrap();
        write("valid.tsv", "b");
        let lines = changed(&before, &data(dir.path()).unwrap());
        let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "data: `dev.tsv` is missing");
        assert!(lines[1].starts_with("data: `train.tsv` had 1 byte ("), "{}", lines[1]);
        assert_eq!(lines[2], "data: `valid.tsv` was not there");
    }
}
