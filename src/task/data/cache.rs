//! Features on disk, so that a text is tokenized once.
//!
//! A file's name is a hash of all that its features are made of: one struct, [`Inputs`], which the code that
//! makes them gets and nothing else, and that code itself. So nothing in it can be out of date. It holds a
//! hash of its content; a damaged file is replaced.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use twox_hash::XxHash3_128;

use crate::diag::Diagnostic;
use crate::files;

/// The first bytes of a file.
const MAGIC: &[u8; 8] = b"obfeat02";

/// The code that makes features and writes them: features of other code are not read.
const CODE: u64 = {
    let files: [&[u8]; 7] = [
        include_bytes!("cache.rs"),
        include_bytes!("documents.rs"),
        include_bytes!("features.rs"),
        include_bytes!("pairs.rs"),
        include_bytes!("../../text/template.rs"),
        include_bytes!("../../text/tokenizer.rs"),
        include_bytes!("../../text/windows.rs"),
    ];
    // FNV-1a, which can run while this is compiled.
    let (mut hash, mut file) = (0xCBF2_9CE4_8422_2325u64, 0);
    while file < files.len() {
        let mut at = 0;
        while at < files[file].len() {
            hash = (hash ^ files[file][at] as u64).wrapping_mul(0x0000_0100_0000_01B3);
            at += 1;
        }
        file += 1;
    }
    hash
};

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

    /// The features of these inputs: read from the cache, or made and stored there. A folder that cannot be
    /// written is noted, and no error.
    ///
    /// # Errors
    /// Whatever goes wrong while they are made.
    pub fn features<I: Inputs>(&mut self, inputs: &I) -> Result<Vec<I::Feature>, Diagnostic> {
        let Some(folder) = self.folder.clone() else { return inputs.make(self.progress) };
        let key = key(inputs);
        let path = folder.join(format!("{key:032x}.bin"));
        match read(&path, key) {
            Found::Whole(list) => return Ok(list),
            Found::Damaged => self.notes.push(format!("`{}` was damaged and is replaced", path.display())),
            Found::Nothing => {}
        }
        let list = inputs.make(self.progress)?;
        // Of a split that is not needed nothing is stored.
        if list.is_empty() {
            return Ok(list);
        }
        if let Err(diagnostic) = store(&folder, &path, key, &list) {
            self.notes.push(format!("features are not stored: {}", diagnostic.message));
        }
        Ok(list)
    }

    /// The same without the cache, for inputs that are never the same again.
    ///
    /// # Errors
    /// The same.
    pub fn fresh<I: Inputs>(&self, inputs: &I) -> Result<Vec<I::Feature>, Diagnostic> {
        inputs.make(self.progress)
    }
}

/// Everything that features of one kind are made of. The key of the cache is its hash, and [`Self::make`]
/// sees nothing else: what features depend on cannot be missing from the key.
pub trait Inputs: Hash + Sync {
    /// What is made.
    type Feature: Stored;

    /// A name of this kind of features.
    const KIND: &'static str;

    /// Makes the features, reporting how many examples are done.
    ///
    /// # Errors
    /// Inputs of which no features can be made.
    fn make(&self, progress: &Progress) -> Result<Vec<Self::Feature>, Diagnostic>;
}

fn key<I: Inputs>(inputs: &I) -> u128 {
    let mut key = KeyHasher(XxHash3_128::new());
    (MAGIC, CODE, env!("CARGO_PKG_VERSION"), I::KIND).hash(&mut key);
    inputs.hash(&mut key);
    key.0.finish_128()
}

/// XXH3 with all of its 128 bits.
struct KeyHasher(XxHash3_128);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish_128() as u64
    }
}

/// A feature as whole numbers; reading what was written gives an equal one.
pub trait Stored: Sized {
    /// Appends all of its fields.
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

    /// Appends a list of few different values, such as token types, as runs of equal ones.
    pub fn runs(&mut self, list: &[u32]) {
        let runs: Vec<&[u32]> = list.chunk_by(|a, b| a == b).collect();
        self.push(runs.len());
        for run in runs {
            self.push(run[0] as usize);
            self.push(run.len());
        }
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

    /// The next list of runs.
    pub fn runs(&mut self) -> Option<Vec<u32>> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            let value = u32::try_from(self.number()?).ok()?;
            // As many as one sequence may have, so that a damaged file asks for no more memory.
            let length = self.number().filter(|length| *length <= LONGEST_RUN)?;
            list.resize(list.len() + length, value);
        }
        Some(list)
    }
}

const LONGEST_RUN: usize = 1 << 24;

enum Found<T> {
    Whole(Vec<T>),
    Damaged,
    Nothing,
}

/// Magic, key, hash of the rest; then how many there are, and their numbers.
const HEAD: usize = 8 + 16 + 16;

fn read<T: Stored>(path: &Path, key: u128) -> Found<T> {
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

fn store<T: Stored>(folder: &Path, path: &Path, key: u128, list: &[T]) -> Result<(), Diagnostic> {
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

impl Stored for Vec<u32> {
    fn write(&self, out: &mut Numbers) {
        out.list(self);
    }

    fn read(numbers: &mut Reader) -> Option<Self> {
        numbers.list()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::documents::Texts;
    use super::super::features::{Feature, Questions};
    use super::super::labelled::Example;
    use super::super::pairs::{Examples, Sequence};
    use super::super::squad::{Answer, Question};
    use super::*;
    use crate::text::Tokenizer;
    use crate::text::windows::{Window, Windows};

    /// Lists that are made of a text.
    #[derive(Hash)]
    struct Lists<'a> {
        text: &'a str,
        list: &'a [Vec<u32>],
        #[allow(dead_code)]
        length: usize,
    }

    thread_local! {
        static MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    impl Inputs for Lists<'_> {
        type Feature = Vec<u32>;
        const KIND: &'static str = "test";

        fn make(&self, _: &Progress) -> Result<Vec<Vec<u32>>, Diagnostic> {
            MADE.set(MADE.get() + 1);
            Ok(self.list.to_vec())
        }
    }

    #[test]
    fn what_is_stored_is_read_again_and_what_is_damaged_or_made_of_something_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("features");
        let list: Vec<Vec<u32>> = vec![vec![0, 127, 128, 30_521, u32::MAX], vec![], vec![7; 300]];
        let get = |text: &str, length: usize| {
            let mut making = Making::new(Some(folder.clone()), &unwatched);
            let got = making.features(&Lists { text, list: &list, length });
            assert_eq!(got.unwrap(), list);
            (MADE.get(), making.notes.len())
        };
        assert_eq!(get("x", 1), (1, 0));
        assert_eq!(get("x", 1), (1, 0), "read again");
        assert_eq!(get("x", 2), (2, 0), "another length");
        assert_eq!(get("y", 1), (3, 0), "another text");
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
        for (text, length) in [("x", 1), ("x", 2), ("y", 1)] {
            get(text, length);
        }
        assert_eq!(MADE.get(), 4, "only the damaged one is made again");
        assert!(matches!(read::<Vec<u32>>(&file, key_of(&file)), Found::Whole(_)));
    }

    fn ids() -> impl Strategy<Value = Vec<u32>> {
        vec(prop_oneof![0u32..4, any::<u32>()], 0..40)
    }

    fn feature() -> impl Strategy<Value = Feature> {
        let number = || prop_oneof![0usize..600, any::<usize>()];
        let offsets = vec((number(), number()), 0..40);
        let window = (ids(), ids(), number(), offsets);
        let window = window.prop_map(|(ids, types, context_start, offsets)| Window {
            ids,
            types,
            context_start,
            offsets,
        });
        (number(), window, (number(), number())).prop_map(|(question, window, answer)| Feature {
            question,
            window,
            answer,
        })
    }

    fn sequence() -> impl Strategy<Value = Sequence> {
        (ids(), ids(), any::<usize>(), any::<bool>()).prop_map(|(ids, types, label, truncated)| Sequence {
            ids,
            types,
            label,
            truncated,
        })
    }

    /// Stores a list and reads it again.
    fn again<T: Stored>(list: &[T]) -> Vec<T> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.bin");
        store(dir.path(), &path, 7, list).unwrap();
        match read(&path, 7) {
            Found::Whole(list) => list,
            Found::Damaged | Found::Nothing => panic!("it was not read"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

        // Every type that implements `Stored`, with any values in its fields.
        #[test]
        fn what_is_read_equals_what_was_written(
            features in vec(feature(), 0..6),
            sequences in vec(sequence(), 0..6),
            lists in vec(ids(), 0..6),
        ) {
            prop_assert_eq!(again(&features), features);
            prop_assert_eq!(again(&sequences), sequences);
            prop_assert_eq!(again(&lists), lists);
        }
    }

    #[test]
    fn every_dependency_of_a_feature_is_in_its_key() {
        let tokenizer = |words: &str, lower: bool| {
            Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), lower).unwrap()
        };
        const WORDS: &str = "[PAD] [UNK] [CLS] [SEP] [MASK] a b";
        let (own, cased, other) = (
            tokenizer(WORDS, true),
            tokenizer(WORDS, false),
            tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] b a", true),
        );
        let question = |answer: &str, start: usize| Question {
            id: "q".into(),
            question: "a".into(),
            context: "a b".into(),
            answers: vec![Answer { text: answer.into(), start }],
        };
        let list = [question("a", 0)];
        let windows = Windows { max_length: 16, doc_stride: 4 };
        let inputs = Questions { questions: &list, tokenizer: &own, windows };
        let example = |text: &str| [Example { text: text.into(), pair: None, label: "x".into() }];
        let (one, two) = (example("a"), example("b"));
        let examples = Examples { examples: &one, numbers: &[Some(0)], tokenizer: &own, max_length: 16 };
        let documents = ["a".to_owned()];
        let texts = Texts { documents: &documents, tokenizer: &own, max_length: 16 };
        let keys = [
            key(&inputs),
            key(&Questions { tokenizer: &cased, ..inputs }),
            key(&Questions { tokenizer: &other, ..inputs }),
            key(&Questions { questions: &[question("b", 2)], ..inputs }),
            key(&Questions { windows: Windows { max_length: 17, ..windows }, ..inputs }),
            key(&Questions { windows: Windows { doc_stride: 5, ..windows }, ..inputs }),
            key(&examples),
            key(&Examples { examples: &two, ..examples }),
            key(&Examples { numbers: &[Some(1)], ..examples }),
            key(&Examples { tokenizer: &cased, ..examples }),
            key(&Examples { max_length: 17, ..examples }),
            key(&texts),
            key(&Texts { documents: &["b".to_owned()], ..texts }),
            key(&Texts { max_length: 17, ..texts }),
        ];
        let different: std::collections::HashSet<u128> = keys.iter().copied().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(key(&inputs), keys[0]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_a_note() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let mut making = Making::new(Some(file), &unwatched);
        let inputs = Lists { text: "x", list: &[vec![1u32]], length: 1 };
        assert_eq!(making.features(&inputs).unwrap(), [[1]]);
        assert_eq!(making.notes.len(), 1);
    }
}
