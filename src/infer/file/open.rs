//! Reads a packed file. Nothing in it is trusted: every offset, length, type and checksum is checked before it is used.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::layout::{ALIGNMENT, CHECKED, Directory, HEADER, MAGIC, Section, VERSION, hash};
use super::stored::{Plain, Storage, Stored};
use crate::diag::{Code, Diagnostic, counted};
use crate::infer::cores::on_all_cores;

/// A packed file whose checksums are valid.
#[derive(Debug)]
pub struct Opened {
    /// The directory.
    pub directory: Directory,
    storage: Arc<Storage>,
    shown: String,
}

impl Opened {
    /// Reads a file into memory.
    ///
    /// # Errors
    /// A file that is missing, of another format or version, truncated or damaged.
    pub fn file(path: &Path) -> Result<Self, Diagnostic> {
        let file = File::open(path).map_err(|e| missing(path, &e))?;
        let storage = Storage::read(file, &MAGIC).map_err(|e| missing(path, &e))?;
        Self::of(storage, path.display().to_string())
    }

    /// Maps a file into memory: pages are read when they are first used, and shared between processes.
    ///
    /// # Safety
    /// The file must not be truncated or overwritten while it is mapped: its contents are validated once.
    ///
    /// # Errors
    /// Those of [`Opened::file`].
    pub unsafe fn map(path: &Path) -> Result<Self, Diagnostic> {
        let file = File::open(path).map_err(|e| missing(path, &e))?;
        // SAFETY: the mapping is read only, and the caller promises that the file does not change.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| missing(path, &e))?;
        Self::of(Storage::Mapped(map), path.display().to_string())
    }

    /// Copies a packed file from memory; `shown` is its name in messages.
    ///
    /// # Errors
    /// Those of [`Opened::file`].
    pub fn bytes(bytes: &[u8], shown: &str) -> Result<Self, Diagnostic> {
        Self::of(Storage::owned(bytes), shown.to_owned())
    }

    fn of(storage: Storage, shown: String) -> Result<Self, Diagnostic> {
        let bytes = storage.bytes();
        let wrong = |code: Code, why: String| {
            let help = match code {
                Code::PackedForeign => "`obertc pack MODEL --as engine` writes one from a model folder",
                _ => "copy the file again, or pack the model again with `obertc pack MODEL --as engine`",
            };
            Diagnostic::unlocated(code, format!("cannot use `{shown}`: {why}")).help(help)
        };
        if bytes.len() < 8 || bytes[..8] != MAGIC {
            return Err(wrong(Code::PackedForeign, "it is no packed model".into()));
        }
        if bytes.len() < HEADER {
            let why = format!("it ends after {}, within its header", counted(bytes.len(), "byte", "bytes"));
            return Err(wrong(Code::PackedTruncated, why));
        }
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let version = number(8) as u32;
        if version != VERSION {
            let why = format!("it has version {version} of the format; this program reads {VERSION}");
            return Err(wrong(Code::PackedForeign, why)
                .help("pack the model's folder again: `obertc pack MODEL --as engine --force`"));
        }
        if number(CHECKED) != hash(&bytes[..CHECKED]) {
            return Err(wrong(Code::PackedDamaged, "its header does not fit its checksum".into()));
        }
        let (length, at, size) = (number(16), number(24), number(32));
        if length != bytes.len() as u64 {
            let why =
                format!("it has {}, and its header says {length}", counted(bytes.len(), "byte", "bytes"));
            return Err(wrong(Code::PackedTruncated, why));
        }
        let text = at.checked_add(size).and_then(|end| bytes.get(at as usize..end as usize));
        let Some(text) = text else {
            return Err(wrong(Code::PackedContradicts, "its directory lies outside".into()));
        };
        if hash(text) != number(40) {
            return Err(wrong(Code::PackedDamaged, "its directory does not fit its checksum".into()));
        }
        let directory: Directory = serde_json::from_slice(text)
            .map_err(|e| wrong(Code::PackedContradicts, format!("its directory cannot be read: {e}")))?;
        // Without overlapping sections, the time of the checks is linear in the size of the file.
        let total = directory.sections.values().fold(0u64, |sum, s| sum.saturating_add(s.length));
        if total > at {
            return Err(wrong(Code::PackedContradicts, "its sections overlap".into()));
        }
        // The largest first, so that no thread is left with it at the end.
        let mut sections: Vec<_> = directory.sections.iter().collect();
        sections.sort_by_key(|(_, section)| std::cmp::Reverse(section.length));
        on_all_cores(sections.into_iter(), |(name, section)| {
            let range = range_of(section, at as usize)
                .ok_or_else(|| wrong(Code::PackedContradicts, format!("section `{name}` lies outside")))?;
            if format!("{:016x}", hash(&bytes[range])) != section.hash {
                let why = format!("section `{name}` does not fit its checksum");
                return Err(wrong(Code::PackedDamaged, why));
            }
            Ok(())
        })?;
        Ok(Opened { directory, storage: Arc::new(storage), shown })
    }

    /// The array of a section, of `count` elements, or of any number if `None`.
    ///
    /// # Errors
    /// A section that is missing, or has another type or number of elements.
    pub fn array<T: Plain>(&self, name: &str, count: Option<usize>) -> Result<Stored<T>, Diagnostic> {
        let section = self.directory.sections.get(name);
        let section = section.ok_or_else(|| self.contradiction(format!("it has no section `{name}`")))?;
        if section.kind != T::NAME {
            let why = format!("section `{name}` holds {}, not {}", section.kind, T::NAME);
            return Err(self.contradiction(why));
        }
        let array = Stored::new(&self.storage, section.offset as usize, section.length as usize);
        let array: Stored<T> =
            array.ok_or_else(|| self.contradiction(format!("section `{name}` is not aligned")))?;
        match count {
            Some(count) if count != array.len() => {
                let why = format!(
                    "section `{name}` has {}, not {count}",
                    counted(array.len(), "element", "elements")
                );
                Err(self.contradiction(why))
            }
            _ => Ok(array),
        }
    }

    /// The error for a file with valid checksums and inconsistent content.
    pub fn contradiction(&self, why: String) -> Diagnostic {
        Diagnostic::unlocated(Code::PackedContradicts, format!("cannot use `{}`: {why}", self.shown))
            .help("pack the model again with `obertc pack MODEL --as engine`")
    }

    /// The size of the file in bytes.
    pub fn size(&self) -> usize {
        self.storage.bytes().len()
    }
}

fn missing(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::unlocated(Code::ModelNotFound, format!("cannot open `{}`: {error}", path.display()))
        .help("give a model folder, or a file that `obertc pack MODEL --as engine` wrote")
}

/// The byte range of a section, if it is aligned and between the header and `end`.
fn range_of(section: &Section, end: usize) -> Option<std::ops::Range<usize>> {
    let from = usize::try_from(section.offset).ok()?;
    let to = from.checked_add(usize::try_from(section.length).ok()?)?;
    (from >= HEADER && to <= end && from.is_multiple_of(ALIGNMENT)).then_some(from..to)
}
