//! WordPiece, from a model folder or a packed file.

use std::path::Path;

use tokenizers::Tokenizer as HuggingFace;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

use crate::diag::{Code, Diagnostic};

/// A BERT tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: HuggingFace,
    /// The token that begins a sequence.
    pub cls: u32,
    /// The token that ends a text.
    pub sep: u32,
}

/// A text in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Vocabulary entries.
    pub ids: Vec<u32>,
    /// The bytes that each token stands for.
    pub offsets: Vec<(usize, usize)>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// One sentence if it is no BERT tokenizer.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let mut inner = HuggingFace::from_bytes(json).map_err(|e| e.to_string())?;
        // A saved tokenizer may cut or fill texts by itself; windows are made here.
        inner.with_truncation(None).map_err(|e| e.to_string())?;
        inner.with_padding(None);
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
}

/// The `tokenizer.json` of a folder, made of `vocab.txt` if there is only that; `None` if there is neither.
///
/// # Errors
/// A tokenizer that cannot be read.
pub fn json_of(folder: &Path) -> Result<Option<Vec<u8>>, Diagnostic> {
    let (json, vocab) = (folder.join("tokenizer.json"), folder.join("vocab.txt"));
    let wrong = |path: &Path, why: String| {
        Diagnostic::unlocated(Code::TokenizerNotReadable, format!("cannot use `{}`: {why}", path.display()))
            .help("a BERT's tokenizer is WordPiece with the tokens [CLS], [SEP], [PAD] and [UNK]")
    };
    if json.exists() {
        let bytes = std::fs::read(&json).map_err(|e| wrong(&json, e.to_string()))?;
        return match Tokenizer::from_json(&bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(why) => Err(wrong(&json, why)),
        };
    }
    if !vocab.exists() {
        return Ok(None);
    }
    let of_words = || -> Result<Vec<u8>, String> {
        let words = WordPiece::builder().files(vocab.display().to_string()).unk_token("[UNK]".into());
        let mut inner = HuggingFace::new(words.build().map_err(|e| e.to_string())?);
        let lower = BertNormalizer::new(true, true, None, lower_cases(folder));
        inner.with_normalizer(Some(lower)).map_err(|e| e.to_string())?;
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        let text = inner.to_string(false).map_err(|e| e.to_string())?;
        Tokenizer::from_json(text.as_bytes())?;
        Ok(text.into_bytes())
    };
    of_words().map(Some).map_err(|why| wrong(&vocab, why))
}

/// Whether the model lower-cases, as `tokenizer_config.json` says; uncased if nothing is said.
fn lower_cases(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("tokenizer_config.json")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    config.get("do_lower_case").and_then(|v| v.as_bool()).unwrap_or(true)
}
