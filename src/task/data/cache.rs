//! Features on disk, so that a text is tokenized once.
//!
//! A file's name is a hash of all that its features are made of: the texts as they were read, the tokenizer,
//! the lengths, and the version of this format. So nothing in it can be out of date. It ends with a hash of
//! its content; whatever is damaged is made anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use twox_hash::XxHash3_128;

use crate::diag::Diagnostic;
use crate::files;

use super::tokenize::Tokenizer;

/// The version of the format and of how features are made.
const MAGIC: &[u8; 8] = b"obfeat01";

/// Where features are kept: `features` in `$OBERT_CACHE`, or in `obert` in the folder that the platform has
/// for such files. `None` if there is no such folder.
pub fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let of_platform = || {
        let home = || named("HOME");
        let caches = if cfg!(target_os = "windows") {
            named("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            home().map(|h| h.join("Library/Caches"))
        } else {
            named("XDG_CACHE_HOME").or_else(|| home().map(|h| h.join(".cache")))
        };
        caches.map(|c| c.join("obert"))
    };
    named("OBERT_CACHE").or_else(of_platform).map(|folder| folder.join("features"))
}

/// How features are made: where they are kept, and who hears how far it is.
pub struct Making<'a> {
    folder: Option<PathBuf>,
    progress: &'a Progress<'a>,
    /// What a user should know of it.
    pub notes: Vec<String>,
}

/// Hears how many of how many examples are done, from any thread.
pub type Progress<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Tells nobody.
pub fn unwatched(_: usize, _: usize) {}

impl<'a> Making<'a> {
    /// Features that are kept in a folder, or not at all.
    pub fn new(folder: Option<PathBuf>, progress: &'a Progress<'a>) -> Self {
        Making { folder, progress, notes: Vec::new() }
    }

    /// Features that nobody keeps.
    pub fn unkept() -> Making<'static> {
        Making::new(None, &unwatched)
    }

    /// The features of a key: read, or made and kept. A folder that cannot be written to is told, and no
    /// mistake.
    ///
    /// # Errors
    /// Whatever goes wrong while they are made.
    pub fn features<T: Kept>(
        &mut self,
        key: Key,
        make: impl FnOnce(&Progress) -> Result<Vec<T>, Diagnostic>,
    ) -> Result<Vec<T>, Diagnostic> {
        let Some(folder) = self.folder.clone() else { return make(self.progress) };
        let key = key.0.finish_128();
        let path = folder.join(format!("{key:032x}.bin"));
        match read(&path, key) {
            Found::Whole(list) => return Ok(list),
            Found::Damaged => self.notes.push(format!("`{}` was damaged and is made anew", path.display())),
            Found::Nothing => {}
        }
        let list = make(self.progress)?;
        // Of a half that is not needed nothing is kept.
        if list.is_empty() {
            return Ok(list);
        }
        if let Err(diagnostic) = keep(&folder, &path, key, &list) {
            self.notes.push(format!("features are not kept: {}", diagnostic.message));
        }
        Ok(list)
    }
}

/// A hash of all that features are made of.
pub struct Key(XxHash3_128);

impl Key {
    /// The beginning of a key of features of one kind, made by a tokenizer.
    pub fn new(kind: &str, tokenizer: &Tokenizer) -> Self {
        let mut key = Key(XxHash3_128::new());
        key.0.write(MAGIC);
        key.text(env!("CARGO_PKG_VERSION"));
        key.text(kind);
        key.text(&tokenizer.description());
        key
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.write(text.as_bytes());
    }

    /// Adds a number.
    pub fn number(&mut self, number: usize) {
        self.0.write(&(number as u64).to_le_bytes());
    }
}

/// Something that can be kept: as a few whole numbers.
pub trait Kept: Sized {
    /// Its numbers.
    fn write(&self, out: &mut Numbers);

    /// The same from its numbers. `None` if they are not those of one.
    fn read(numbers: &mut Reader) -> Option<Self>;
}

/// Whole numbers in few bytes: seven bits in each, the least first; the eighth says that more follow.
#[derive(Default)]
pub struct Numbers(Vec<u8>);

impl Numbers {
    /// Appends a number.
    pub fn push(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Appends a list with its length.
    pub fn list(&mut self, list: &[u32]) {
        self.push(list.len());
        list.iter().for_each(|n| self.push(*n as usize));
    }
}

/// Numbers out of bytes.
pub struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The next number.
    pub fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    /// How many things follow, if there can be so many.
    pub fn count(&mut self) -> Option<usize> {
        self.number().filter(|count| *count <= self.0.len())
    }

    /// The next list.
    pub fn list(&mut self) -> Option<Vec<u32>> {
        let count = self.count()?;
        (0..count).map(|_| u32::try_from(self.number()?).ok()).collect()
    }
}

enum Found<T> {
    Whole(Vec<T>),
    Damaged,
    Nothing,
}

/// Magic, key, hash of the rest; then how many there are, and their numbers.
const HEAD: usize = 8 + 16 + 16;

fn read<T: Kept>(path: &Path, key: u128) -> Found<T> {
    let Ok(bytes) = std::fs::read(path) else { return Found::Nothing };
    let whole = || {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let expected = [&MAGIC[..], &key.to_le_bytes(), &XxHash3_128::oneshot(rest).to_le_bytes()].concat();
        if head != expected {
            return None;
        }
        let mut reader = Reader(rest);
        let count = reader.count()?;
        let list = (0..count).map(|_| T::read(&mut reader)).collect::<Option<Vec<T>>>()?;
        reader.0.is_empty().then_some(list)
    };
    whole().map_or(Found::Damaged, Found::Whole)
}

fn keep<T: Kept>(folder: &Path, path: &Path, key: u128, list: &[T]) -> Result<(), Diagnostic> {
    files::output_folder(folder)?;
    let mut numbers = Numbers::default();
    numbers.push(list.len());
    list.iter().for_each(|item| item.write(&mut numbers));
    let hash = XxHash3_128::oneshot(&numbers.0).to_le_bytes();
    files::write_with(path, |file| {
        file.write_all(MAGIC)?;
        file.write_all(&key.to_le_bytes())?;
        file.write_all(&hash)?;
        file.write_all(&numbers.0)
    })
}

/// Counts what threads have done and tells of it now and then.
pub(super) struct Counter<'a> {
    done: AtomicUsize,
    total: usize,
    progress: &'a Progress<'a>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(total: usize, progress: &'a Progress<'a>) -> Self {
        Counter { done: AtomicUsize::new(0), total, progress }
    }

    /// One more is done.
    pub(super) fn one(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(256) || done == self.total {
            (self.progress)(done, self.total);
        }
    }
}

impl Kept for Vec<u32> {
    fn write(&self, out: &mut Numbers) {
        out.list(self);
    }

    fn read(numbers: &mut Reader) -> Option<Self> {
        numbers.list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(last: &str) -> Tokenizer {
        let words = format!("[PAD] [UNK] [CLS] [SEP] [MASK] a {last}");
        Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap()
    }

    fn key(last: &str, text: &str) -> Key {
        let mut key = Key::new("test", &tokenizer(last));
        key.text(text);
        key
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_or_made_of_something_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("features");
        let list: Vec<Vec<u32>> = vec![vec![0, 127, 128, 30_521, u32::MAX], vec![], vec![7; 300]];
        let made = std::cell::Cell::new(0);
        let get = |key: Key| {
            let mut making = Making::new(Some(folder.clone()), &unwatched);
            let got = making.features(key, |_| {
                made.set(made.get() + 1);
                Ok(list.clone())
            });
            assert_eq!(got.unwrap(), list);
            (made.get(), making.notes.len())
        };
        assert_eq!(get(key("b", "x")), (1, 0));
        assert_eq!(get(key("b", "x")), (1, 0), "read again");
        assert_eq!(get(key("c", "x")), (2, 0), "another tokenizer");
        assert_eq!(get(key("b", "y")), (3, 0), "another text");
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        let kept = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(kept, 3);
        // Every kind of damage: a flipped bit anywhere, a file cut short, nothing at all.
        let mut flipped = bytes.clone();
        let harmed: Vec<Vec<u8>> = (0..bytes.len())
            .step_by(7)
            .map(|i| {
                flipped.clone_from(&bytes);
                flipped[i] ^= 4;
                flipped.clone()
            })
            .chain([bytes[..bytes.len() - 1].to_vec(), bytes[..10].to_vec(), Vec::new()])
            .collect();
        let key_of = |name: &Path| {
            let name = name.file_stem().unwrap().to_str().unwrap();
            u128::from_str_radix(name, 16).unwrap()
        };
        for harm in harmed {
            std::fs::write(&file, harm).unwrap();
            assert!(matches!(read::<Vec<u32>>(&file, key_of(&file)), Found::Damaged));
        }
        for (text, last) in [("x", "b"), ("x", "c"), ("y", "b")] {
            get(key(last, text));
        }
        assert_eq!(made.get(), 4, "only the damaged one is made anew");
        assert!(matches!(read::<Vec<u32>>(&file, key_of(&file)), Found::Whole(_)));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_a_note() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let mut making = Making::new(Some(file), &unwatched);
        let got = making.features(key("b", "x"), |_| Ok(vec![vec![1u32]])).unwrap();
        assert_eq!(got, [[1]]);
        assert_eq!(making.notes.len(), 1);
    }
}
