//! A cache of features (tokenized examples) on disk.
//!
//! A file's name is the hash of everything that its features are computed from: the inputs ([`FeatureInputs`], the only
//! ones that the computation has) and the source code of the computation. So a file is never out of date. Each file
//! contains a hash of its content; a damaged file is replaced.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use twox_hash::XxHash3_128;

use crate::diag::Diagnostic;
use crate::files;

use super::encoding::{Encode, decode, encode};

/// The first bytes of a file: format and version.
const MAGIC: &[u8; 8] = b"obfeat02";

/// The hash of the source code that computes and encodes features.
const CODE: u64 = {
    let files: [&[u8]; 11] = [
        include_bytes!("cache.rs"),
        include_bytes!("documents.rs"),
        include_bytes!("encoding.rs"),
        include_bytes!("features.rs"),
        include_bytes!("pairs.rs"),
        include_bytes!("sentence_rows.rs"),
        include_bytes!("tagged_windows.rs"),
        include_bytes!("target_sequences.rs"),
        include_bytes!("../../text/template.rs"),
        include_bytes!("../../text/tokenizer.rs"),
        include_bytes!("../../text/windows.rs"),
    ];
    // FNV-1a, which can be evaluated at compile time.
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

/// The cache folder: `features` in `$OBERT_CACHE`, or in `obert` in the platform's cache folder. `None` if there is
/// none.
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

/// Computes features, or reads them from a cache folder.
pub struct FeatureCache<'a> {
    folder: Option<PathBuf>,
    progress: &'a Progress<'a>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// Receives the number of finished examples and of all, from any thread.
pub type Progress<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Ignores progress.
pub fn no_progress(_: usize, _: usize) {}

impl<'a> FeatureCache<'a> {
    /// A cache in a folder; `None` disables it.
    pub fn new(folder: Option<PathBuf>, progress: &'a Progress<'a>) -> Self {
        FeatureCache { folder, progress, notes: Vec::new() }
    }

    /// Computes features without a cache.
    pub fn disabled() -> FeatureCache<'static> {
        FeatureCache::new(None, &no_progress)
    }

    /// The features of these inputs, read from the cache, or computed and stored there. A folder that cannot be written
    /// is a note, not an error.
    ///
    /// # Errors
    /// Those of [`FeatureInputs::make`].
    pub fn features<I: FeatureInputs>(&mut self, inputs: &I) -> Result<Vec<I::Feature>, Diagnostic> {
        let Some(folder) = self.folder.clone() else { return inputs.make(self.progress) };
        let key = key(inputs);
        let path = folder.join(format!("{key:032x}.bin"));
        match read(&path, key) {
            Found::Features(list) => return Ok(list),
            Found::Damaged => self.notes.push(format!("`{}` was damaged and is replaced", path.display())),
            Found::Nothing => {}
        }
        let list = inputs.make(self.progress)?;
        // An empty split is not stored.
        if list.is_empty() {
            return Ok(list);
        }
        if let Err(diagnostic) = store(&folder, &path, key, &list) {
            self.notes.push(format!("features are not stored: {}", diagnostic.message));
        }
        Ok(list)
    }

    /// Computes features without the cache, for inputs that do not recur.
    ///
    /// # Errors
    /// Those of [`FeatureInputs::make`].
    pub fn compute<I: FeatureInputs>(&self, inputs: &I) -> Result<Vec<I::Feature>, Diagnostic> {
        inputs.make(self.progress)
    }
}

/// All inputs from which features of one kind are computed. Their hash is the key in the cache, and [`Self::make`] has
/// no other inputs, so that no dependency can be missing from the key.
pub trait FeatureInputs: Hash + Sync {
    /// The type of the features.
    type Feature: Encode;

    /// The name of this kind of features, part of the key.
    const KIND: &'static str;

    /// Computes the features, reporting progress.
    ///
    /// # Errors
    /// Inputs that have no features.
    fn make(&self, progress: &Progress) -> Result<Vec<Self::Feature>, Diagnostic>;
}

fn key<I: FeatureInputs>(inputs: &I) -> u128 {
    let mut key = KeyHasher(XxHash3_128::new());
    (MAGIC, CODE, env!("CARGO_PKG_VERSION"), I::KIND).hash(&mut key);
    inputs.hash(&mut key);
    key.0.finish_128()
}

/// XXH3 with 128 bits, fed by [`Hash`].
struct KeyHasher(XxHash3_128);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish_128() as u64
    }
}

/// The result of a look-up in the cache.
enum Found<T> {
    Features(Vec<T>),
    Damaged,
    Nothing,
}

/// The length of a file's header: magic, key, and the hash of the encoded features after it.
const HEAD: usize = 8 + 16 + 16;

fn read<T: Encode>(path: &Path, key: u128) -> Found<T> {
    let Ok(bytes) = std::fs::read(path) else { return Found::Nothing };
    let features = || {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let expected = [&MAGIC[..], &key.to_le_bytes(), &XxHash3_128::oneshot(rest).to_le_bytes()].concat();
        if head != expected {
            return None;
        }
        decode(rest)
    };
    features().map_or(Found::Damaged, Found::Features)
}

fn store<T: Encode>(folder: &Path, path: &Path, key: u128, list: &[T]) -> Result<(), Diagnostic> {
    files::output_folder(folder)?;
    let bytes = encode(list);
    let hash = XxHash3_128::oneshot(&bytes).to_le_bytes();
    files::write_with(path, |file| {
        file.write_all(MAGIC)?;
        file.write_all(&key.to_le_bytes())?;
        file.write_all(&hash)?;
        file.write_all(&bytes)
    })
}

/// Counts examples finished by any thread, and reports every 256th.
pub(super) struct Counter<'a> {
    done: AtomicUsize,
    total: usize,
    progress: &'a Progress<'a>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(total: usize, progress: &'a Progress<'a>) -> Self {
        Counter { done: AtomicUsize::new(0), total, progress }
    }

    /// Counts one example.
    pub(super) fn one(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(256) || done == self.total {
            (self.progress)(done, self.total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents::Texts;
    use super::super::features::Questions;
    use super::super::labelled::Example;
    use super::super::pairs::Examples;
    use super::super::squad::{Answer, Question};
    use super::*;
    use crate::text::Tokenizer;
    use crate::text::windows::Windows;

    /// Inputs whose features are given.
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

    impl FeatureInputs for Lists<'_> {
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
            let mut feature_cache = FeatureCache::new(Some(folder.clone()), &no_progress);
            let got = feature_cache.features(&Lists { text, list: &list, length });
            assert_eq!(got.unwrap(), list);
            (MADE.get(), feature_cache.notes.len())
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
        assert!(matches!(read::<Vec<u32>>(&file, key_of(&file)), Found::Features(_)));
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
        let mut feature_cache = FeatureCache::new(Some(file), &no_progress);
        let inputs = Lists { text: "x", list: &[vec![1u32]], length: 1 };
        assert_eq!(feature_cache.features(&inputs).unwrap(), [[1]]);
        assert_eq!(feature_cache.notes.len(), 1);
    }
}
