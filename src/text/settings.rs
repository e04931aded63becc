//! The settings of a tokenizer: `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`.
//!
//! Every key that changes token ids is applied, or refused by name ([`super::restricted`]). Other keys
//! (`chat_template`, `padding_side`, `clean_up_tokenization_spaces`, …) do not affect token ids and are saved unchanged.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::diag::{Code, Diagnostic, FileId, Sources, Span};
use crate::params::json_places::{entries, offset_of};

use super::class::Class;
use super::error::unreadable;
use super::restricted::{OTHER_MODEL, RESTRICTED};

/// The roles of special tokens, in the order in which `transformers` adds them to a vocabulary.
const ROLES: &[&str] =
    &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A JSON file beside the vocabulary.
#[derive(Clone, Debug)]
struct File {
    id: FileId,
    text: String,
    map: Map<String, Value>,
}

/// The settings of a tokenizer, from the files beside its vocabulary.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `tokenizer_config.json`.
    pub map: Map<String, Value>,
    config: Option<File>,
    special: Option<File>,
    added: Option<File>,
    model_type: Option<String>,
    class: Option<String>,
}

impl Settings {
    /// Reads the files of a folder; each may be missing.
    ///
    /// # Errors
    /// A file that is no JSON object, or a key with an unsupported value.
    pub fn read(folder: &Path, sources: &mut Sources) -> Result<Settings, Diagnostic> {
        let config = File::read(&folder.join("tokenizer_config.json"), sources)?;
        let map = config.as_ref().map(|f| f.map.clone()).unwrap_or_default();
        // As in transformers, `added_tokens_decoder` replaces the two older files.
        let (mut special, mut added) = (None, None);
        if !map.contains_key("added_tokens_decoder") {
            special = File::read(&folder.join("special_tokens_map.json"), sources)?;
            added = File::read(&folder.join("added_tokens.json"), sources)?;
        }
        // Errors of config.json are reported where the model is read.
        let model = std::fs::read(folder.join("config.json")).unwrap_or_default();
        let model: Value = serde_json::from_slice(&model).unwrap_or_default();
        let of_model = |key: &str| Some(model.get(key)?.as_str()?.to_owned());
        let class = map.get("tokenizer_class").and_then(Value::as_str).map(str::to_owned);
        let settings = Settings {
            class: class.or_else(|| of_model("tokenizer_class")),
            model_type: of_model("model_type"),
            map,
            config,
            special,
            added,
        };
        for (key, accepts, why, help) in RESTRICTED {
            match settings.map.get(*key) {
                None | Some(Value::Null) => {}
                Some(value) if accepts(value) => {}
                Some(_) => return Err(settings.refuse(key, why, help)),
            }
        }
        Ok(settings)
    }

    /// The class that `AutoTokenizer` chooses.
    ///
    /// # Errors
    /// A class with Python code.
    pub fn class(&self) -> Result<Class, Diagnostic> {
        let Some(name) = &self.class else {
            return Ok(Class::of_model_type(self.model_type.as_deref()));
        };
        Class::of_name(name).ok_or_else(|| {
            let name = name.strip_suffix("Fast").unwrap_or(name);
            let how = match name {
                "BertJapaneseTokenizer" => "splits Japanese words with MeCab or another analyzer",
                _ => "runs Python code that no tokenizer.json describes",
            };
            let why = format!("`{name}` {how}, which obert does not run");
            self.refuse("tokenizer_class", &why, OTHER_MODEL)
        })
    }

    /// The tokenizer's class, if it is unknown; then tokenizer.json alone is used, and the user gets a note.
    pub fn unknown_class(&self) -> Option<&str> {
        self.class.as_deref().filter(|name| !Class::is_known(name))
    }

    /// The class name to save where the source has none.
    pub fn default_class(&self, class: Class) -> &'static str {
        match class {
            Class::Bert if self.model_type.as_deref() == Some("distilbert") => "DistilBertTokenizer",
            Class::Bert => "BertTokenizer",
            Class::Roberta => "RobertaTokenizer",
            Class::XlmRoberta => "XLMRobertaTokenizer",
            Class::Generic => "PreTrainedTokenizerFast",
        }
    }

    /// A boolean key; `None` if it is missing or null.
    ///
    /// # Errors
    /// Another value.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Diagnostic> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.refuse(key, "it is neither true nor false", "write `true` or `false`")),
        }
    }

    /// The special token of a role such as `cls_token`, if a file has it.
    pub fn special(&self, role: &str) -> Option<AddedToken> {
        let older = self.special.as_ref().and_then(|file| file.map.get(role));
        let token = token(older.or_else(|| self.map.get(role))?, true)?;
        // The properties of `added_tokens_decoder` take precedence.
        let listed = self.added().ok()?.into_values().find(|added| added.content == token.content);
        Some(listed.unwrap_or(token))
    }

    /// The special token of a role, or the default of the class.
    pub fn special_of(&self, class: Class, role: &str) -> Option<AddedToken> {
        let usual = || class.special().iter().find(|(name, _)| *name == role);
        self.special(role).or_else(|| usual().map(|(_, token)| AddedToken::from(*token, true)))
    }

    /// Special tokens that are not in [`Self::added`], in the order in which `transformers` adds them to a vocabulary.
    pub fn unlisted_special(&self, class: Class) -> Vec<AddedToken> {
        let mut list: Vec<AddedToken> =
            ROLES.iter().filter_map(|role| self.special_of(class, role)).collect();
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            let older = self.special.as_ref().and_then(|file| file.map.get(key));
            match older.or_else(|| self.map.get(key)) {
                Some(Value::Array(tokens)) => list.extend(tokens.iter().filter_map(|t| token(t, true))),
                Some(Value::Object(tokens)) => list.extend(tokens.values().filter_map(|t| token(t, true))),
                _ => {}
            }
        }
        let listed = self.added().unwrap_or_default();
        list.retain(|token| listed.values().all(|own| own.content != token.content));
        list.iter_mut().for_each(|token| token.special = true);
        list
    }

    /// Added tokens by their ids: `added_tokens_decoder`, or `added_tokens.json`.
    ///
    /// # Errors
    /// A malformed entry.
    pub fn added(&self) -> Result<BTreeMap<u32, AddedToken>, Diagnostic> {
        if let Some(Value::Object(decoder)) = self.map.get("added_tokens_decoder") {
            let read = |(id, value): (&String, &Value)| Some((id.parse().ok()?, token(value, false)?));
            let all: Option<BTreeMap<_, _>> = decoder.iter().map(read).collect();
            let why = "it does not map ids to tokens";
            let help = "each entry is an id with a token: \"30522\": {\"content\": \"<new>\", …}";
            return all.ok_or_else(|| self.refuse("added_tokens_decoder", why, help));
        }
        let Some(file) = &self.added else { return Ok(BTreeMap::new()) };
        let named: Vec<String> = ROLES
            .iter()
            .filter_map(|role| {
                let older = self.special.as_ref().and_then(|file| file.map.get(*role));
                token(older.or_else(|| self.map.get(*role))?, true)
            })
            .map(|token| token.content)
            .collect();
        let mut all = BTreeMap::new();
        for (content, id) in &file.map {
            let Some(id) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
                let help = "each entry is a token with its id: \"<new>\": 30522";
                return Err(file.refuse(content, "its id is no whole number", help));
            };
            all.insert(id, AddedToken::from(content.clone(), named.contains(content)));
        }
        Ok(all)
    }

    /// Whether `model_input_names` has no `token_type_ids`.
    pub fn omits_types(&self) -> bool {
        let names = self.map.get("model_input_names").and_then(Value::as_array);
        names.is_some_and(|names| !names.iter().any(|name| name == "token_type_ids"))
    }

    /// The error of a key of `tokenizer_config.json` with an unsupported value.
    pub fn refuse(&self, key: &str, why: &str, help: &str) -> Diagnostic {
        match &self.config {
            Some(file) if file.map.contains_key(key) => file.refuse(key, why, help),
            // The class can be in config.json.
            _ => Diagnostic::unlocated(Code::TokenizerSetting, format!("the tokenizer's `{key}`: {why}"))
                .help(help),
        }
    }

    /// The error of an added token whose id differs from that in the files.
    pub fn refuse_added(&self, token: &str, says: u32, becomes: Option<u32>) -> Diagnostic {
        let becomes = becomes.map_or("none".to_owned(), |id| id.to_string());
        let why = format!("`{token}` has the id {says} here; behind this vocabulary it gets {becomes}");
        let help = "does the file belong to this vocabulary? added tokens continue it without gaps";
        match &self.added {
            Some(file) if file.map.contains_key(token) => file.refuse(token, &why, help),
            _ => self.refuse("added_tokens_decoder", &why, help),
        }
    }
}

impl File {
    fn read(path: &Path, sources: &mut Sources) -> Result<Option<File>, Diagnostic> {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(path, &e.to_string())),
        };
        let id = sources.add(shown, text.clone());
        match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(map)) => Ok(Some(File { id, text, map })),
            Ok(_) => Err(unreadable(path, "it is no JSON object")),
            Err(e) => {
                let at = offset_of(&text, e.line(), e.column());
                let message = format!("cannot use `{}`", path.display());
                let span = Span::new(id, at..at + 1);
                Err(Diagnostic::error(Code::TokenizerNotReadable, message, span, e.to_string())
                    .help("download the file again, or compare it with the original"))
            }
        }
    }

    fn refuse(&self, key: &str, why: &str, help: &str) -> Diagnostic {
        let message = format!("the tokenizer's `{key}` is not supported");
        let place = key_of(&self.text, key).unwrap_or(0..self.text.len().min(1));
        Diagnostic::error(Code::TokenizerSetting, message, Span::new(self.id, place), why).help(help)
    }
}

/// A token as a string, or as an object with its properties.
fn token(value: &Value, special: bool) -> Option<AddedToken> {
    match value {
        Value::String(content) => Some(AddedToken::from(content.clone(), special)),
        Value::Object(map) => {
            let flag = |key: &str| map.get(key).and_then(Value::as_bool);
            let special = special || flag("special").unwrap_or(false);
            let token = AddedToken::from(map.get("content")?.as_str()?, special)
                .single_word(flag("single_word").unwrap_or(false))
                .lstrip(flag("lstrip").unwrap_or(false))
                .rstrip(flag("rstrip").unwrap_or(false));
            Some(token.normalized(flag("normalized").unwrap_or(!special)))
        }
        _ => None,
    }
}

/// The range of a key in the outermost object of a JSON text, quotes included.
fn key_of(text: &str, key: &str) -> Option<std::ops::Range<usize>> {
    entries(text).into_iter().find(|entry| entry.key == key).map(|entry| entry.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_the_outermost_object_alone() {
        let text = r#"{"a": {"b": "\"b\": 1"}, "b" : [1], "c": "b"}"#;
        let at = key_of(text, "b").unwrap();
        assert_eq!(&text[at.clone()], "\"b\"");
        assert_eq!(at.start, text.find("\"b\" :").unwrap());
        assert_eq!(key_of(text, "d"), None);
        assert_eq!(key_of("{\"a", "a"), None);
    }

    #[test]
    fn a_setting_that_is_not_supported_is_refused_at_its_place() {
        let refused = |config: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
            let mut sources = Sources::new();
            let settings = Settings::read(dir.path(), &mut sources);
            let error = settings.and_then(|s| s.class().map(|_| ())).unwrap_err();
            let at = error.primary.as_ref().map(|label| sources.slice(label.span).to_owned());
            (error.code, at.unwrap_or_default())
        };
        for (config, key) in [
            (r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#, "tokenizer_class"),
            (r#"{"do_lower_case": false, "word_tokenizer_type": "mecab"}"#, "word_tokenizer_type"),
            (r#"{"do_basic_tokenize": false}"#, "do_basic_tokenize"),
            (r#"{"never_split": ["foo"]}"#, "never_split"),
            (r#"{"truncation_side": "left"}"#, "truncation_side"),
            (r#"{"split_special_tokens": true}"#, "split_special_tokens"),
        ] {
            assert_eq!(refused(config), (Code::TokenizerSetting, format!("\"{key}\"")), "{config}");
        }
        assert_eq!(refused("{").0, Code::TokenizerNotReadable);
    }
}
