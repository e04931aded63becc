//! Reads a tokenizer from a model folder, as `AutoTokenizer` of `transformers` does.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Sources};

use super::class::Class;
use super::error::unreadable;
use super::saved::Saved;
use super::settings::Settings;
use super::tokenizer::Tokenizer;
use super::tokenizer_json;
use super::vocabulary::{byte_level_bpe, check_ids, wordpiece};

/// The files of SentencePiece models, which `transformers` converts to tokenizer.json.
const SENTENCEPIECE: &[&str] =
    &["sentencepiece.bpe.model", "sentencepiece.model", "spiece.model", "spm.model", "tokenizer.model"];

impl Tokenizer {
    /// Reads tokenizer.json, or else `vocab.txt` (WordPiece) or `vocab.json` with `merges.txt` (byte-level BPE), with the
    /// settings beside it.
    ///
    /// # Errors
    /// None of these files exists, a file is broken, or a setting is not supported.
    pub fn from_folder(folder: &Path, sources: &mut Sources) -> Result<Self, Diagnostic> {
        read(folder, sources)
    }

    /// Builds a WordPiece tokenizer from a vocabulary in the order of its ids.
    ///
    /// # Errors
    /// A message of one sentence if the special tokens are missing.
    pub fn from_vocabulary(words: impl IntoIterator<Item = String>, lowercase: bool) -> Result<Self, String> {
        let mut settings = Settings::default();
        settings.map.insert("do_lower_case".to_owned(), lowercase.into());
        let text: String = words.into_iter().map(|word| word + "\n").collect();
        let inner = wordpiece(text.as_bytes(), &settings).map_err(|d| d.message)??;
        let mut saved = Saved::default();
        saved.set("tokenizer_class", settings.default_class(Class::Bert).into());
        saved.set("do_lower_case", lowercase.into());
        Tokenizer::new(inner, &settings, saved, Vec::new())
    }
}

fn read(folder: &Path, sources: &mut Sources) -> Result<Tokenizer, Diagnostic> {
    let settings = Settings::read(folder, sources)?;
    let class = settings.class()?;
    let path = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    let (json, words, pairs) = (path("tokenizer.json"), path("vocab.txt"), path("vocab.json"));
    let mut saved = Saved::read(folder)?;
    if let Some(json) = json {
        return tokenizer_json::read(&json, &settings, saved);
    }
    let (file, inner) = match (words, pairs, path("merges.txt")) {
        (Some(words), pairs, merges)
            if class != Class::Roberta || pairs.as_ref().and(merges.as_ref()).is_none() =>
        {
            let text = std::fs::read_to_string(&words).map_err(|e| unreadable(&words, &e.to_string()))?;
            let inner = wordpiece(text.as_bytes(), &settings)?;
            saved.set_class(&settings, Class::Bert);
            (words, inner)
        }
        (_, Some(vocab), Some(merges)) => {
            let inner = byte_level_bpe(&vocab, &merges, &settings)?;
            saved.set_class(&settings, Class::Roberta);
            (vocab, inner)
        }
        _ => return Err(missing(folder)),
    };
    let inner = inner.map_err(|why| unreadable(&file, &why))?;
    let mut notes = Vec::new();
    if let Some(name) = settings.unknown_class() {
        notes.push(format!(
            "the tokenizer's class `{name}` is not known; `{}` is read as it is",
            file.display()
        ));
    }
    check_ids(&inner, &settings)?;
    Tokenizer::new(inner, &settings, saved, notes).map_err(|why| unreadable(&file, &why))
}

/// The error of a folder without a tokenizer.
fn missing(folder: &Path) -> Diagnostic {
    let shown = folder.display();
    if let Some(model) = SENTENCEPIECE.iter().find(|name| folder.join(name).exists()) {
        let message = format!("`{shown}` has a SentencePiece model, `{model}`, and no tokenizer.json");
        return Diagnostic::unlocated(Code::TokenizerNotReadable, message).help(format!(
            "convert it: `python -c \"from transformers import AutoTokenizer; \
             AutoTokenizer.from_pretrained('{shown}').save_pretrained('{shown}')\"`"
        ));
    }
    let message = format!("`{shown}` holds neither tokenizer.json nor vocab.txt");
    Diagnostic::unlocated(Code::ModelNotFound, message).help("copy the tokenizer of the model it came from")
}
