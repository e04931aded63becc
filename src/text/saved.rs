//! The files of a tokenizer, saved with a new model as they were read.

use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::Tokenizer as HuggingFace;

use crate::diag::Diagnostic;
use crate::files;

use super::class::Class;
use super::error::unreadable;
use super::settings::Settings;

/// The files of a tokenizer, as `transformers` saves them for encoders.
pub const FILES: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
];

const JSON: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// The `model_max_length` from which on `transformers` means no limit.
const VERY_LARGE: f64 = 1e20;

/// The files of a tokenizer to save.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The files that it was read from, by name.
    files: Vec<(&'static str, Vec<u8>)>,
    /// Keys of `tokenizer_config.json` that are added or changed.
    keys: Map<String, Value>,
}

impl Saved {
    /// Reads the tokenizer's files of a folder.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(folder: &Path) -> Result<Saved, Diagnostic> {
        let mut files = Vec::new();
        for name in FILES {
            let path = folder.join(name);
            if path.is_file() {
                files.push((*name, std::fs::read(&path).map_err(|e| unreadable(&path, &e.to_string()))?));
            }
        }
        Ok(Saved { files, keys: Map::new() })
    }

    /// Removes a file that no longer describes the tokenizer.
    pub(super) fn forget(&mut self, name: &str) {
        self.files.retain(|(own, _)| *own != name);
    }

    /// Sets a key of `tokenizer_config.json`.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.keys.insert(key.to_owned(), value);
    }

    /// Sets `tokenizer_class` where the source has none.
    pub(super) fn set_class(&mut self, settings: &Settings, class: Class) {
        if !settings.map.contains_key("tokenizer_class") && !self.keys.contains_key("tokenizer_class") {
            self.set("tokenizer_class", settings.default_class(class).into());
        }
    }
}

/// Writes the files, tokenizer.json always among them. `model_max_length` becomes `longest` where the source has none.
pub(super) fn write(
    saved: &Saved,
    inner: &HuggingFace,
    folder: &Path,
    longest: usize,
) -> Result<(), Diagnostic> {
    for (name, bytes) in &saved.files {
        files::write_whole(&folder.join(name), bytes)?;
    }
    let has = |name: &str| saved.files.iter().find(|(own, _)| *own == name);
    if has(JSON).is_none() {
        let text = inner.to_string(true).map_err(|e| unreadable(folder, &e.to_string()))?;
        files::write_whole(&folder.join(JSON), text.as_bytes())?;
    }
    let source: Map<String, Value> =
        has(CONFIG).and_then(|(_, bytes)| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let mut config = source.clone();
    config.extend(saved.keys.clone());
    let limit = config.get("model_max_length").and_then(Value::as_f64).filter(|n| *n < VERY_LARGE);
    if limit.is_none() {
        config.insert("model_max_length".to_owned(), longest.into());
    }
    if config == source {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    files::write_whole(&folder.join(CONFIG), format!("{text}\n").as_bytes())
}
