//! WordPiece and byte-level BPE from a model folder, and WordPiece made for the built-in data.

use std::path::Path;

use ahash::AHashMap;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer as HuggingFace};

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::params::Family;

/// The tokenizer of a BERT or of a RoBERTa.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: HuggingFace,
    marks: &'static Marks,
    cls: u32,
    sep: u32,
    class: &'static str,
}

/// The tokens that stand for no text, and how they stand around texts.
#[derive(Debug)]
struct Marks {
    pad: &'static str,
    unknown: &'static str,
    cls: &'static str,
    sep: &'static str,
    mask: &'static str,
    /// How many `sep` stand between two texts.
    between: usize,
    /// The type of a second text's tokens.
    second: u32,
    /// The class of `transformers` that opens what is saved.
    class: &'static str,
}

/// `[CLS] text [SEP] pair [SEP]`, as BERT and DistilBERT have it.
const BERT: Marks = Marks {
    pad: "[PAD]",
    unknown: "[UNK]",
    cls: "[CLS]",
    sep: "[SEP]",
    mask: "[MASK]",
    between: 1,
    second: 1,
    class: "BertTokenizerFast",
};

/// `<s> text </s></s> pair </s>`, as RoBERTa has it.
const ROBERTA: Marks = Marks {
    pad: "<pad>",
    unknown: "<unk>",
    cls: "<s>",
    sep: "</s>",
    mask: "<mask>",
    between: 2,
    second: 0,
    class: "RobertaTokenizerFast",
};

/// A text in tokens, each with the bytes it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Vocabulary entries.
    pub ids: Vec<u32>,
    /// The bytes of each token.
    pub offsets: Vec<(usize, usize)>,
}

impl Marks {
    fn all(&self) -> [&'static str; 5] {
        [self.pad, self.unknown, self.cls, self.sep, self.mask]
    }
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder, or else `vocab.txt` (WordPiece) or `vocab.json` with
    /// `merges.txt` (byte-level BPE).
    ///
    /// # Errors
    /// None of them is there, or what is there is no tokenizer of a known family.
    pub fn from_folder(folder: &Path) -> Result<Self, Diagnostic> {
        let json = folder.join("tokenizer.json");
        let vocab = folder.join("vocab.txt");
        if json.exists() {
            let inner = HuggingFace::from_file(&json).map_err(|e| unreadable(&json, &e.to_string()))?;
            return Self::new(inner, &json);
        }
        let pairs = [folder.join("vocab.json"), folder.join("merges.txt")];
        if !vocab.exists() && pairs.iter().all(|file| file.exists()) {
            return Self::from_pairs(&pairs).map_err(|why| unreadable(&pairs[0], &why));
        }
        if !vocab.exists() {
            return Err(Diagnostic::unlocated(
                Code::ModelNotFound,
                format!("`{}` holds neither tokenizer.json nor vocab.txt", folder.display()),
            )
            .help("copy the tokenizer of the model it came from"));
        }
        let text = std::fs::read_to_string(&vocab).map_err(|e| unreadable(&vocab, &e.to_string()))?;
        let lowercase = lower_cases(folder);
        Self::from_vocabulary(text.lines().map(|line| line.trim_end().to_owned()), lowercase)
            .map_err(|why| unreadable(&vocab, &why))
    }

    /// A WordPiece tokenizer of the given vocabulary, in order.
    ///
    /// # Errors
    /// One sentence if the special tokens are missing.
    pub fn from_vocabulary(words: impl IntoIterator<Item = String>, lowercase: bool) -> Result<Self, String> {
        let model = WordPiece::builder()
            .vocab(
                words.into_iter().enumerate().map(|(i, word)| (word, i as u32)).collect::<AHashMap<_, _>>(),
            )
            .unk_token("[UNK]".into())
            .build()
            .map_err(|e| e.to_string())?;
        let mut inner = HuggingFace::new(model);
        inner
            .with_normalizer(Some(BertNormalizer::new(true, true, None, lowercase)))
            .map_err(|e| e.to_string())?;
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        inner
            .add_special_tokens(
                BERT.all().iter().map(|token| AddedToken::from(*token, true)).collect::<Vec<_>>(),
            )
            .map_err(|e| e.to_string())?;
        Self::checked(inner)
    }

    /// Byte-level BPE of a vocabulary and its merges, as RoBERTa's.
    fn from_pairs([vocab, merges]: &[std::path::PathBuf; 2]) -> Result<Self, String> {
        let text = |e: Box<dyn std::error::Error + Send + Sync>| e.to_string();
        let [vocab, merges] = [vocab, merges].map(|path| path.to_string_lossy());
        let mut inner = HuggingFace::new(BPE::from_file(&vocab, &merges).build().map_err(text)?);
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        let id = |token: &str| inner.token_to_id(token).ok_or(format!("it has no token {token}"));
        let (cls, sep) = (id(ROBERTA.cls)?, id(ROBERTA.sep)?);
        let around = RobertaProcessing::new((ROBERTA.sep.into(), sep), (ROBERTA.cls.into(), cls));
        inner.with_post_processor(Some(around.trim_offsets(true).add_prefix_space(false)));
        // The mask takes the space before it, as a word's first token does.
        let special = |token: &str| AddedToken::from(token, true).lstrip(token == ROBERTA.mask);
        inner.add_special_tokens(ROBERTA.all().map(special)).map_err(text)?;
        Self::checked(inner)
    }

    fn new(mut inner: HuggingFace, path: &Path) -> Result<Self, Diagnostic> {
        // A saved tokenizer may cut or fill texts by itself; windows are made here.
        inner.with_truncation(None).map_err(|e| unreadable(path, &e.to_string()))?;
        inner.with_padding(None);
        Self::checked(inner).map_err(|why| unreadable(path, &why))
    }

    fn checked(inner: HuggingFace) -> Result<Self, String> {
        let id = |token: &str| inner.token_to_id(token).ok_or(format!("it has no token {token}"));
        let is_roberta = inner.token_to_id(BERT.cls).is_none() && inner.token_to_id(ROBERTA.cls).is_some();
        let marks = if is_roberta { &ROBERTA } else { &BERT };
        let (cls, sep) = (id(marks.cls)?, id(marks.sep)?);
        Ok(Tokenizer { inner, marks, cls, sep, class: marks.class })
    }

    /// The same for a model of a family: DistilBERT's class differs from BERT's in that it makes no
    /// token types.
    pub fn of_family(mut self, family: Family) -> Self {
        let is_distilled = family == Family::DistilBert && self.marks.between == 1;
        self.class = if is_distilled { "DistilBertTokenizerFast" } else { self.marks.class };
        self
    }

    /// The tokens of a text, without special tokens.
    ///
    /// # Errors
    /// One sentence if the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Encoded, String> {
        let encoding = self.inner.encode(text, false).map_err(|e| e.to_string())?;
        Ok(Encoded { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() })
    }

    /// All that decides how it cuts texts, as text.
    pub fn description(&self) -> String {
        self.inner.to_string(false).unwrap_or_default()
    }

    /// The token that begins a sequence.
    pub fn cls(&self) -> u32 {
        self.cls
    }

    /// The token that ends a text.
    pub fn sep(&self) -> u32 {
        self.sep
    }

    /// How many tokens [`Self::sep`] stand between two texts.
    pub fn between(&self) -> usize {
        self.marks.between
    }

    /// The type of a second text's tokens; the first's is 0.
    pub fn second_type(&self) -> u32 {
        self.marks.second
    }

    /// The token that hides another, if there is one.
    pub fn mask(&self) -> Option<u32> {
        self.inner.token_to_id(self.marks.mask)
    }

    /// Tokens that stand for no text.
    pub fn special(&self) -> Vec<u32> {
        let tokens = self.marks.all().into_iter().filter(|token| *token != self.marks.unknown);
        tokens.filter_map(|token| self.inner.token_to_id(token)).collect()
    }

    /// A token of which the two tokenizers have different numbers, if there is one.
    pub fn differs_from(&self, other: &Tokenizer) -> Option<String> {
        let (own, others) = (self.inner.get_vocab(true), other.inner.get_vocab(true));
        let differing = own.iter().filter(|(token, id)| others.get(*token) != Some(id));
        let first = differing.min_by_key(|(_, id)| **id).map(|(token, _)| token.clone());
        first.or_else(|| others.into_keys().find(|token| !own.contains_key(token)))
    }

    /// Entries of the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Writes `tokenizer.json` and what `transformers` needs to know of it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Diagnostic> {
        let text = self.inner.to_string(true).map_err(|e| unreadable(folder, &e.to_string()))?;
        files::write_whole(&folder.join("tokenizer.json"), text.as_bytes())?;
        let config = serde_json::json!({
            "tokenizer_class": self.class,
            "unk_token": self.marks.unknown, "sep_token": self.marks.sep, "pad_token": self.marks.pad,
            "cls_token": self.marks.cls, "mask_token": self.marks.mask,
        });
        files::write_whole(&folder.join("tokenizer_config.json"), format!("{config:#}\n").as_bytes())
    }
}

/// Whether the model lower-cases, as `tokenizer_config.json` says; uncased if nothing is said.
fn lower_cases(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("tokenizer_config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    config.get("do_lower_case").and_then(|v| v.as_bool()).unwrap_or(true)
}

fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::TokenizerNotReadable, format!("cannot use `{}`: {why}", path.display()))
        .help("a tokenizer is WordPiece with [CLS] and [SEP], or byte-level BPE with <s> and </s>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roberta() -> Tokenizer {
        let dir = tempfile::tempdir().unwrap();
        let words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "\u{120}", "\u{120}a", "ab"];
        let vocab: serde_json::Map<String, serde_json::Value> =
            words.iter().enumerate().map(|(i, word)| ((*word).to_owned(), i.into())).collect();
        std::fs::write(dir.path().join("vocab.json"), serde_json::to_string(&vocab).unwrap()).unwrap();
        std::fs::write(dir.path().join("merges.txt"), "#version: 0.2\n\u{120} a\na b\n").unwrap();
        Tokenizer::from_folder(dir.path()).unwrap()
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
    fn vocabularies_of_one_size_are_told_apart() {
        let of = |words: &str| Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap();
        let own = of("[PAD] [UNK] [CLS] [SEP] [MASK] a b c");
        assert_eq!(own.differs_from(&own), None);
        let other = of("[PAD] [UNK] [CLS] [SEP] [MASK] a c b");
        assert_eq!(own.differs_from(&other).as_deref(), Some("b"));
        let more = of("[PAD] [UNK] [CLS] [SEP] [MASK] a b c d");
        assert_eq!(own.differs_from(&more).as_deref(), Some("d"));
    }
}
