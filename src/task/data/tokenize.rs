//! WordPiece, from a model folder or made for the built-in data.

use std::path::Path;

use ahash::AHashMap;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer as HuggingFace};

use crate::diag::{Code, Diagnostic};
use crate::files;

/// A BERT tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: HuggingFace,
    cls: u32,
    sep: u32,
}

/// A text in tokens, each with the bytes it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Vocabulary entries.
    pub ids: Vec<u32>,
    /// The bytes of each token.
    pub offsets: Vec<(usize, usize)>,
}

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder, or else `vocab.txt`.
    ///
    /// # Errors
    /// Neither is there, or what is there is no BERT tokenizer.
    pub fn from_folder(folder: &Path) -> Result<Self, Diagnostic> {
        let json = folder.join("tokenizer.json");
        let vocab = folder.join("vocab.txt");
        if json.exists() {
            let inner = HuggingFace::from_file(&json).map_err(|e| unreadable(&json, &e.to_string()))?;
            return Self::new(inner, &json);
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
                SPECIAL.iter().map(|token| AddedToken::from(*token, true)).collect::<Vec<_>>(),
            )
            .map_err(|e| e.to_string())?;
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
        let (cls, sep) = (id("[CLS]")?, id("[SEP]")?);
        Ok(Tokenizer { inner, cls, sep })
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

    /// The token that hides another, if there is one.
    pub fn mask(&self) -> Option<u32> {
        self.inner.token_to_id("[MASK]")
    }

    /// Tokens that stand for no text.
    pub fn special(&self) -> Vec<u32> {
        SPECIAL.iter().filter(|t| **t != "[UNK]").filter_map(|t| self.inner.token_to_id(t)).collect()
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
            "tokenizer_class": "BertTokenizerFast",
            "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
            "cls_token": "[CLS]", "mask_token": "[MASK]",
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
        .help("a BERT's tokenizer is WordPiece with the tokens [CLS], [SEP], [PAD] and [UNK]")
}
