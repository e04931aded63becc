//! Token ids, offsets and special tokens of a text.

use std::hash::{Hash, Hasher};
use std::path::Path;

use tokenizers::{PreTokenizerWrapper, Tokenizer as HuggingFace};

use crate::diag::Diagnostic;

use super::saved::{self, Saved};
use super::settings::Settings;
use super::template::Template;

/// A tokenizer with the sequences `[CLS] text [SEP]` and `[CLS] text [SEP] pair [SEP]`, or RoBERTa's `<s> text </s>` and
/// `<s> text </s></s> pair </s>`.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: HuggingFace,
    template: Template,
    pad: Option<u32>,
    mask: Option<u32>,
    saved: Saved,
    notes: Vec<String>,
}

/// A tokenized text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// The bytes of the text that each token covers.
    pub offsets: Vec<(usize, usize)>,
    /// The number of the word that each token is a part of (`word_ids`).
    pub words: Vec<Option<u32>>,
}

impl Tokenizer {
    /// Reads a tokenizer.json that needs no settings beside it, as [`Self::json`] returns it.
    ///
    /// # Errors
    /// A message of one sentence if it is no tokenizer, or its template is another one.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let inner = HuggingFace::from_bytes(json).map_err(|e| e.to_string())?;
        Self::new(inner, &Settings::default(), Saved::default(), Vec::new())
    }

    pub(super) fn new(
        mut inner: HuggingFace,
        settings: &Settings,
        saved: Saved,
        notes: Vec<String>,
    ) -> Result<Self, String> {
        // `windows` truncates; a saved tokenizer can have truncation and padding of its own.
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        inner.with_padding(None);
        let template = Template::of(&inner)?;
        let named = |role: &str, usual: [&str; 2]| {
            let names = settings.special(role).map(|t| t.content).into_iter();
            names.chain(usual.map(str::to_owned)).find_map(|name| inner.token_to_id(&name))
        };
        let pad = named("pad_token", ["[PAD]", "<pad>"]);
        let mask = named("mask_token", ["[MASK]", "<mask>"]);
        Ok(Tokenizer { inner, template, pad, mask, saved, notes })
    }

    /// Tokenizes a text, without special tokens.
    ///
    /// # Errors
    /// A message of one sentence if the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Encoded, String> {
        let encoding = self.inner.encode(text, false).map_err(|e| e.to_string())?;
        Ok(Encoded {
            ids: encoding.get_ids().to_vec(),
            offsets: encoding.get_offsets().to_vec(),
            words: encoding.get_word_ids().to_vec(),
        })
    }

    /// Tokenizes the words of a sentence one by one, without special tokens, as `transformers` does with
    /// `is_split_into_words=True`. A byte-level tokenizer reads a space before each word (`add_prefix_space=True`).
    ///
    /// # Errors
    /// A message of one sentence if the tokenizer fails.
    pub fn encode_words(&self, words: &[String]) -> Result<Vec<Vec<u32>>, String> {
        let lacks_space = |kind: &PreTokenizerWrapper| matches!(kind, PreTokenizerWrapper::ByteLevel(bytes) if !bytes.add_prefix_space);
        let spaced = match self.inner.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::Sequence(list)) => list.as_ref().iter().any(lacks_space),
            Some(kind) => lacks_space(kind),
            None => false,
        };
        let one = |word: &String| match spaced {
            true => self.encode(&format!(" {word}")).map(|encoded| encoded.ids),
            false => self.encode(word).map(|encoded| encoded.ids),
        };
        words.iter().map(one).collect()
    }

    /// The tokenizer as tokenizer.json, without truncation and padding.
    pub fn json(&self) -> String {
        self.inner.to_string(false).unwrap_or_default()
    }

    /// Notes for the user on how the files were read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The id of the first token of a sequence, `[CLS]` or `<s>`.
    pub fn cls(&self) -> u32 {
        self.template.cls
    }

    /// The id of the separator, `[SEP]` or `</s>`.
    pub fn sep(&self) -> u32 {
        self.template.sep
    }

    /// The number of separators between two texts.
    pub fn between(&self) -> usize {
        self.template.between
    }

    /// The token type of the second text; the first has type 0.
    pub fn second_type(&self) -> u32 {
        self.template.second_type
    }

    /// The id of the mask token, if there is one.
    pub fn mask(&self) -> Option<u32> {
        self.mask
    }

    /// The ids of padding, `[CLS]`, `[SEP]` and the mask token.
    pub fn special(&self) -> Vec<u32> {
        [self.pad, Some(self.cls()), Some(self.sep()), self.mask].into_iter().flatten().collect()
    }

    /// The first token, by id, that has another id in the other tokenizer or does not exist there.
    pub fn differs_from(&self, other: &Tokenizer) -> Option<String> {
        let (own, others) = (self.inner.get_vocab(true), other.inner.get_vocab(true));
        let differing = own.iter().filter(|(token, id)| others.get(*token) != Some(id));
        let first = differing.min_by_key(|(_, id)| **id).map(|(token, _)| token.clone());
        first.or_else(|| others.into_keys().find(|token| !own.contains_key(token)))
    }

    /// The token of an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The size of the vocabulary with added tokens.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Writes the tokenizer's files into a folder, with what `transformers` needs to read the same tokenizer. `longest`
    /// is the model's maximum sequence length in tokens.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path, longest: usize) -> Result<(), Diagnostic> {
        saved::write(&self.saved, &self.inner, folder, longest)
    }
}

/// Equal for tokenizers that give the same ids, offsets and special tokens for every text.
impl Hash for Tokenizer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Exhaustive, so that a new field must be hashed or ignored explicitly.
        let Tokenizer { inner: _, template, pad, mask, saved: _, notes: _ } = self;
        self.json().hash(state);
        (template, pad, mask).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    fn roberta() -> Tokenizer {
        let dir = tempfile::tempdir().unwrap();
        let words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "\u{120}", "\u{120}a", "ab"];
        let vocab: serde_json::Map<String, serde_json::Value> =
            words.iter().enumerate().map(|(i, word)| ((*word).to_owned(), i.into())).collect();
        std::fs::write(dir.path().join("vocab.json"), serde_json::to_string(&vocab).unwrap()).unwrap();
        std::fs::write(dir.path().join("merges.txt"), "#version: 0.2\n\u{120} a\na b\n").unwrap();
        Tokenizer::from_folder(dir.path(), &mut Sources::new()).unwrap()
    }

    #[test]
    fn bytes_are_merged_and_a_space_belongs_to_the_word_behind_it() {
        let tokenizer = roberta();
        let encoded = tokenizer.encode("ab a<mask>").unwrap();
        assert_eq!(encoded.ids, [9, 8, 4]);
        assert_eq!(encoded.offsets[1], (3, 4), "without its space");
        assert_eq!((tokenizer.cls(), tokenizer.sep(), tokenizer.mask()), (0, 2, Some(4)));
        assert_eq!((tokenizer.between(), tokenizer.second_type()), (2, 0));
        assert_eq!(tokenizer.special(), [1, 0, 2, 4]);
    }

    #[test]
    fn words_of_a_sentence_begin_with_a_space() {
        let words = ["a", "ab"].map(str::to_owned);
        assert_eq!(roberta().encode_words(&words).unwrap(), [vec![8], vec![8, 6]]);
        let bert = "[PAD] [UNK] [CLS] [SEP] [MASK] a ##b".split(' ').map(str::to_owned);
        let bert = Tokenizer::from_vocabulary(bert, true).unwrap();
        assert_eq!(bert.encode_words(&words).unwrap(), [vec![5], vec![5, 6]]);
    }

    #[test]
    fn vocabularies_of_one_size_are_told_apart() {
        let of = |words: &str| Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap();
        let own = of("[PAD] [UNK] [CLS] [SEP] [MASK] a b c");
        assert_eq!(own.differs_from(&own), None);
        let other = of("[PAD] [UNK] [CLS] [SEP] [MASK] a c b");
        assert_eq!(own.differs_from(&other).as_deref(), Some("b"));
        let more = of("[PAD] [UNK] [CLS] [SEP] [MASK] a b c d");
        assert_eq!(own.differs_from(&more).as_deref(), Some("d"));
    }

    #[test]
    fn the_json_alone_gives_the_same_tokenizer() {
        let own = roberta();
        let again = Tokenizer::from_json(own.json().as_bytes()).unwrap();
        assert_eq!((again.template, again.pad, again.mask), (own.template, own.pad, own.mask));
        assert_eq!(again.encode("ab a<mask> b").unwrap(), own.encode("ab a<mask> b").unwrap());
    }
}
