//! The modules of a sentence-transformers folder: how an embedding is pooled from an encoder's last hidden states.
//!
//! `modules.json` lists them: the encoder in the folder itself, `1_Pooling`, and `2_Normalize`.
//! `sentence_bert_config.json` has the maximum length, or else `tokenizer_config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::diag::{Code, Diagnostic};
use crate::files;

/// The file that lists the modules.
pub const FILE: &str = "modules.json";

/// The files that [`SentenceModules::read`] reads, with the usual folder of the pooling.
pub const FILES: &[&str] = &[FILE, "1_Pooling/config.json", "sentence_bert_config.json", PROMPTS];

/// The file with the prompts.
const PROMPTS: &str = "config_sentence_transformers.json";

/// How the embedding of a text is computed from the hidden states of its tokens, special tokens included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolingMode {
    /// The mean over all tokens.
    Mean,
    /// The hidden state of the first token.
    Cls,
    /// The maximum over all tokens, of each dimension.
    Max,
    /// The hidden state of the last token.
    Last,
}

/// The modules after the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentenceModules {
    /// The pooling.
    pub pooling: PoolingMode,
    /// Whether embeddings are divided by their Euclidean norm.
    pub normalize: bool,
    /// The maximum length of a sequence, in tokens, if it is known.
    pub max_length: Option<usize>,
}

impl PoolingMode {
    /// The name of the pooling in sentence-transformers.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(mode, ..)| *mode == self).map_or("", |(_, name, _)| name)
    }

    /// All of them, with their names in sentence-transformers' configurations of version 6, and the keys of older ones.
    const NAMES: [(PoolingMode, &'static str, &'static str); 4] = [
        (PoolingMode::Mean, "mean", "pooling_mode_mean_tokens"),
        (PoolingMode::Cls, "cls", "pooling_mode_cls_token"),
        (PoolingMode::Max, "max", "pooling_mode_max_tokens"),
        (PoolingMode::Last, "lasttoken", "pooling_mode_lasttoken"),
    ];
}

impl SentenceModules {
    /// Reads the modules of a folder; `None` if it is no sentence-transformers folder.
    ///
    /// # Errors
    /// A file that cannot be read, or an unsupported module or setting.
    pub fn read(folder: &Path) -> Result<Option<SentenceModules>, Diagnostic> {
        if !folder.join(FILE).exists() {
            return Ok(None);
        }
        let refused = |file: &str, why: String| {
            let message = format!("`{}` {why}", folder.join(file).display());
            Diagnostic::unlocated(Code::ConfigUnsupported, message).help(
                "obert supports an encoder, one pooling (mean, cls, max or lasttoken) and normalization",
            )
        };
        let mut found = SentenceModules { pooling: PoolingMode::Mean, normalize: false, max_length: None };
        let mut pools = false;
        let modules = parse(folder, FILE)?;
        for module in modules.as_array().into_iter().flatten() {
            let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or("");
            let (kind, path) = (text("type").rsplit('.').next().unwrap_or(""), text("path"));
            match kind {
                "Transformer" if path.is_empty() => {}
                "Transformer" => {
                    return Err(refused(FILE, format!("has its encoder in `{path}`, not in the folder")));
                }
                "Pooling" => {
                    let file = format!("{path}/config.json");
                    let config = parse(folder, &file)?;
                    found.pooling = pooling(&config).map_err(|why| refused(&file, why))?;
                    pools = true;
                }
                "Normalize" => found.normalize = true,
                other => {
                    return Err(refused(
                        FILE,
                        format!("has the module `{other}`, which obert does not compute"),
                    ));
                }
            }
        }
        if !pools {
            return Err(refused(FILE, "has no pooling".to_owned()));
        }
        const LENGTH: &str = "sentence_bert_config.json";
        if folder.join(LENGTH).exists() {
            let config = parse(folder, LENGTH)?;
            if config.get("do_lower_case").and_then(Value::as_bool) == Some(true) {
                return Err(refused(LENGTH, "has `do_lower_case`, which the tokenizer must do".to_owned()));
            }
            found.max_length = config.get("max_seq_length").and_then(Value::as_u64).map(|n| n as usize);
        }
        // Version 6 of the library writes it nowhere else.
        const TOKENIZER: &str = "tokenizer_config.json";
        if found.max_length.is_none() && folder.join(TOKENIZER).exists() {
            let config = parse(folder, TOKENIZER)?;
            // A tokenizer without a limit has 1e30, which is no integer in JSON.
            found.max_length = config.get("model_max_length").and_then(Value::as_u64).map(|n| n as usize);
        }
        if folder.join(PROMPTS).exists() {
            let config = parse(folder, PROMPTS)?;
            if let Some(name) = config.get("default_prompt_name").and_then(Value::as_str) {
                return Err(refused(PROMPTS, format!("puts the prompt `{name}` before every text")));
            }
        }
        Ok(Some(found))
    }

    /// The prompts of a folder by their names; none if it is no sentence-transformers folder.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn prompts(folder: &Path) -> Result<BTreeMap<String, String>, Diagnostic> {
        if !folder.join(PROMPTS).exists() {
            return Ok(BTreeMap::new());
        }
        let config = parse(folder, PROMPTS)?;
        let all = config.get("prompts").and_then(Value::as_object).into_iter().flatten();
        Ok(all.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect())
    }

    /// Writes the modules into the folder of an encoder of this hidden size.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path, hidden: usize) -> Result<(), Diagnostic> {
        let module = |index: usize, path: &str, kind: &str| {
            json!({ "idx": index, "name": index.to_string(), "path": path,
                "type": format!("sentence_transformers.models.{kind}") })
        };
        let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
        let mut pooling = Map::from_iter([("word_embedding_dimension".to_owned(), Value::from(hidden))]);
        for (mode, _, key) in PoolingMode::NAMES {
            pooling.insert(key.to_owned(), (mode == self.pooling).into());
        }
        let folder_of = |name: &str| {
            std::fs::create_dir_all(folder.join(name)).map_err(|e| {
                let message = format!("cannot make `{}`: {e}", folder.join(name).display());
                Diagnostic::unlocated(Code::WriteFailed, message).help("may you write there?")
            })
        };
        folder_of("1_Pooling")?;
        write(folder, "1_Pooling/config.json", &Value::Object(pooling))?;
        if self.normalize {
            modules.push(module(2, "2_Normalize", "Normalize"));
            folder_of("2_Normalize")?;
            // The library of version 6 looks for a file; older ones for a folder.
            write(folder, "2_Normalize/config.json", &json!({}))?;
        }
        write(folder, FILE, &Value::Array(modules))?;
        let length = json!({ "max_seq_length": self.max_length, "do_lower_case": false });
        write(folder, "sentence_bert_config.json", &length)
    }
}

fn parse(folder: &Path, file: &str) -> Result<Value, Diagnostic> {
    let path = folder.join(file);
    let wrong = |why: String| {
        Diagnostic::unlocated(Code::ModelNotReadable, format!("cannot read `{}`: {why}", path.display()))
            .help("is it a whole sentence-transformers folder? compare it with the original")
    };
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
}

fn write(folder: &Path, file: &str, value: &Value) -> Result<(), Diagnostic> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    files::write_whole(&folder.join(file), format!("{text}\n").as_bytes())
}

/// The pooling of `1_Pooling/config.json`.
fn pooling(config: &Value) -> Result<PoolingMode, String> {
    if config.get("include_prompt").and_then(Value::as_bool) == Some(false) {
        return Err("leaves prompts out of the pooling".to_owned());
    }
    if let Some(mode) = config.get("pooling_mode").and_then(Value::as_str) {
        let known = PoolingMode::NAMES.iter().find(|(_, name, _)| *name == mode);
        return known.map(|(mode, ..)| *mode).ok_or_else(|| format!("has the pooling `{mode}`"));
    }
    let on = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
    let all = config.as_object().into_iter().flat_map(Map::keys);
    let chosen: Vec<&String> = all.filter(|key| key.starts_with("pooling_mode_") && on(key)).collect();
    let [one] = chosen.as_slice() else { return Err(format!("has {} poolings", chosen.len())) };
    let known = PoolingMode::NAMES.iter().find(|(.., key)| key == one);
    known.map(|(mode, ..)| *mode).ok_or_else(|| format!("has the pooling `{one}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_length_is_the_tokenizers_where_no_other_is_given_and_prompts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let modules = SentenceModules { pooling: PoolingMode::Mean, normalize: false, max_length: Some(128) };
        modules.write(folder.path(), 8).unwrap();
        let put = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        let read = || SentenceModules::read(folder.path()).unwrap().unwrap().max_length;
        put("tokenizer_config.json", "{\"model_max_length\": 64}");
        assert_eq!(read(), Some(128));
        put("sentence_bert_config.json", "{}");
        assert_eq!(read(), Some(64));
        assert_eq!(SentenceModules::prompts(folder.path()).unwrap(), BTreeMap::new());
        put(PROMPTS, "{\"prompts\": {\"query\": \"query: \"}, \"default_prompt_name\": null}");
        let prompts = SentenceModules::prompts(folder.path()).unwrap();
        assert_eq!(prompts, BTreeMap::from([("query".to_owned(), "query: ".to_owned())]));
        put("tokenizer_config.json", "{\"model_max_length\": 1000000000000000019884624838656}");
        assert_eq!(read(), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_version_6_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SentenceModules::read(folder.path()).unwrap(), None);
        for (pooling, ..) in PoolingMode::NAMES {
            for normalize in [true, false] {
                let modules = SentenceModules { pooling, normalize, max_length: Some(128) };
                modules.write(folder.path(), 8).unwrap();
                assert_eq!(SentenceModules::read(folder.path()).unwrap(), Some(modules));
            }
        }
        let put = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).unwrap();
        put("1_Pooling/config.json", "{\"embedding_dimension\": 8, \"pooling_mode\": \"cls\"}");
        let read = || SentenceModules::read(folder.path());
        assert_eq!(read().unwrap().unwrap().pooling, PoolingMode::Cls);
        put(
            "1_Pooling/config.json",
            "{\"pooling_mode_mean_tokens\": true, \"pooling_mode_max_tokens\": true}",
        );
        assert!(read().unwrap_err().message.contains("has 2 poolings"));
        put("1_Pooling/config.json", "{\"pooling_mode\": \"weightedmean\"}");
        assert_eq!(read().unwrap_err().code, Code::ConfigUnsupported);
        put("1_Pooling/config.json", "{");
        assert_eq!(read().unwrap_err().code, Code::ModelNotReadable);
        put("modules.json", "[{\"path\": \"2_Dense\", \"type\": \"sentence_transformers.models.Dense\"}]");
        assert!(read().unwrap_err().message.contains("the module `Dense`"));
    }
}
