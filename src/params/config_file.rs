//! Reads and checks `config.json` of a model folder by the table of [`super::config_keys`], with diagnostics at its keys.

use std::path::Path;

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Sources, Span, counted};

use super::config_keys::{self, Treatment};
use super::config_values::{NULLABLE, fault, is_off, refused};
use super::json_places::{Places, entries, offset_of};
use super::{BertConfig, Family};

/// A configuration with the source positions of its keys.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The configuration.
    pub config: BertConfig,
    /// Notes for the user on how the file was read.
    pub notes: Vec<String>,
    places: Places,
}

impl ConfigFile {
    /// Reads and checks `config.json`. If the file lacks `model_type`, `guess` returns the family to suggest.
    ///
    /// # Errors
    /// A file that is missing or not JSON; otherwise one diagnostic for each key with an unusable value, located at
    /// the value.
    pub fn read(
        folder: &Path,
        sources: &mut Sources,
        guess: impl FnOnce() -> Option<Family>,
    ) -> Result<ConfigFile, Vec<Diagnostic>> {
        let path = folder.join("config.json");
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(&path).map_err(|e| {
                vec![Diagnostic::unlocated(Code::ModelNotFound, format!("cannot read `{shown}`: {e}")).help(
                    "a model folder holds config.json, model.safetensors and tokenizer.json or vocab.txt",
                )]
            })?;
        let file = sources.add(shown, text.clone());
        let value: Value = serde_json::from_str(&text).map_err(|e| {
            let at = offset_of(&text, e.line(), e.column());
            let span = Span::new(file, at..(at + 1).min(text.len()));
            vec![
                Diagnostic::error(Code::ModelNotReadable, "config.json is not JSON", span, e.to_string())
                    .help("download the file again, or compare it with the original"),
            ]
        })?;
        let places = Places { file, entries: entries(&text) };
        let Value::Object(map) = value else {
            return Err(vec![
                Diagnostic::error(
                    Code::ConfigMalformed,
                    "config.json holds no configuration",
                    places.start(),
                    "an object of keys is expected",
                )
                .help("download the file again, or compare it with the original"),
            ]);
        };
        check(map, places, guess)
    }

    /// The position of a value, by BERT's name of its key; the first character of the file if the key is missing.
    pub fn at(&self, key: &str) -> Span {
        self.places.value(self.name(key))
    }

    /// Whether the file has a key, by BERT's name, with a value other than `null`.
    pub fn has(&self, key: &str) -> bool {
        self.places.entries.iter().any(|e| e.key == self.name(key))
            && self.config.rest.get(key).is_none_or(|value| !value.is_null())
    }

    /// The family's name for a key of BERT.
    pub fn name<'a>(&self, key: &'a str) -> &'a str {
        self.config.family().key(key)
    }
}

/// Checks all keys and their values, fills in defaults, and builds the configuration.
fn check(
    mut map: Map<String, Value>,
    places: Places,
    guess: impl FnOnce() -> Option<Family>,
) -> Result<ConfigFile, Vec<Diagnostic>> {
    let family = family_of(&map, &places, guess).map_err(|d| vec![d])?;
    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    for (name, value) in &map {
        match config_keys::find(name, family).map(|key| key.treatment) {
            Some(Treatment::WithoutEffect(_)) => {}
            Some(Treatment::Refused(why)) => {
                wrong.extend((!is_off(value)).then(|| refused(name, value, why, &places)));
            }
            Some(Treatment::Computed(kind, _)) => wrong.extend(fault(name, value, kind, family, &places)),
            None => match other_name(name, family) {
                Some(own) => wrong.push(
                    Diagnostic::error(
                        Code::ConfigMalformed,
                        format!("obert does not read `{name}` of a `{}`", family.model_type()),
                        places.key(name),
                        format!("this family calls it `{own}`"),
                    )
                    .help(format!("write `\"{own}\": {value}`")),
                ),
                None => unknown.push(format!("`{name}`")),
            },
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut notes = Vec::new();
    if !unknown.is_empty() {
        notes.push(format!("config.json: unknown keys have no effect: {}", few(&unknown)));
    }
    if map.get("sinusoidal_pos_embds") == Some(&Value::Bool(true)) {
        notes.push(
            "config.json: `sinusoidal_pos_embds` keeps `transformers` from training the position embeddings; \
             here they are trained unless the recipe freezes them"
                .to_owned(),
        );
    }
    map.retain(|name, value| {
        let without_effect = || {
            let key = config_keys::find(name, family);
            key.is_some_and(|key| matches!(key.treatment, Treatment::WithoutEffect(_)))
        };
        let is_kept = name == "classifier_dropout" || !NULLABLE.contains(&&**name) || without_effect();
        !value.is_null() || is_kept
    });
    // Only RoBERTa depends on it. Some files hold -1.
    if map.get("pad_token_id").is_some_and(|token| token.as_u64().is_none()) {
        map.shift_remove("pad_token_id");
    }
    let mut assumed = Vec::new();
    for (bert, size) in family.assumed_sizes() {
        let (own, value) = (family.key(bert), size.value());
        if !map.contains_key(own) {
            assumed.push(format!("`{own}` {value}"));
            map.insert(own.to_owned(), value);
        }
    }
    if !assumed.is_empty() {
        notes.push(format!("config.json leaves out what `transformers` assumes: {}", assumed.join(", ")));
    }
    let malformed = |e: serde_json::Error| {
        let what = "config.json cannot be understood";
        vec![
            Diagnostic::error(Code::ConfigMalformed, what, places.start(), e.to_string())
                .help("compare the file with the original"),
        ]
    };
    let config: BertConfig = serde_json::from_value(Value::Object(map)).map_err(malformed)?;
    let read = ConfigFile { config, notes, places };
    match contradiction(&read) {
        Some(wrong) => Err(vec![wrong]),
        None => Ok(read),
    }
}

/// The family by `model_type`.
fn family_of(
    map: &Map<String, Value>,
    places: &Places,
    guess: impl FnOnce() -> Option<Family>,
) -> Result<Family, Diagnostic> {
    let families = known_families();
    match map.get("model_type") {
        Some(Value::String(name)) => Family::named(name).ok_or_else(|| {
            Diagnostic::error(
                Code::NotABert,
                format!("`model_type` is `{name}`"),
                places.value("model_type"),
                differs(name),
            )
            .help(families.clone())
        }),
        Some(Value::Null) | None => {
            let missing = Diagnostic::error(
                Code::NotABert,
                "config.json does not say which architecture the model has",
                places.start(),
                "`model_type` is missing",
            );
            let guess = guess_of_keys(map).or_else(guess);
            Err(missing.help(match guess {
                Some(family) => format!(
                    "add `\"model_type\": \"{}\"`: its classes, tensors or files are named so",
                    family.model_type()
                ),
                None => families,
            }))
        }
        Some(other) => Err(Diagnostic::error(
            Code::NotABert,
            format!("`model_type` is {other}"),
            places.value("model_type"),
            "a name is expected",
        )
        .help(families)),
    }
}

/// The supported families, for help lines.
fn known_families() -> String {
    let names: Vec<String> = Family::ALL.iter().map(|f| format!("`{}`", f.model_type())).collect();
    format!("obert compresses models whose `model_type` is one of {}", names.join(", "))
}

/// How an unsupported architecture differs from the supported ones.
fn differs(model_type: &str) -> &'static str {
    const OTHERS: &[(&[&str], &str)] = &[
        (
            &[
                "gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "opt",
                "phi3",
            ],
            "a decoder: a token attends to earlier tokens only",
        ),
        (&["t5", "mt5", "umt5", "bart", "mbart", "pegasus", "marian"], "an encoder with a decoder"),
        (&["longformer", "big_bird", "led"], "attention with global tokens and windows"),
        (&["xlnet", "transfo-xl"], "attention over segments with a recurrence"),
        (&["funnel", "mobilebert", "squeezebert", "convbert", "fnet"], "layers of another structure"),
        (&["deberta"], "the first version of DeBERTa, with one matrix for queries, keys and values"),
        (&["nomic_bert", "new", "eurobert", "neobert"], "rotary positions and gated feed-forward layers"),
    ];
    let found = OTHERS.iter().find(|(names, _)| names.contains(&model_type));
    found.map_or("another architecture", |(_, what)| what)
}

/// Guesses the family from the class in `architectures` or from the names of keys.
fn guess_of_keys(map: &Map<String, Value>) -> Option<Family> {
    let class = map.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str).unwrap_or("");
    let of_class = |family: &Family| {
        class.starts_with(&format!("{}For", family.class())) || class == format!("{}Model", family.class())
    };
    let by_class = Family::ALL.into_iter().find(of_class);
    by_class
        .or_else(|| (map.contains_key("dim") && map.contains_key("n_layers")).then_some(Family::DistilBert))
}

/// The error for keys that contradict each other, if any do.
fn contradiction(read: &ConfigFile) -> Option<Diagnostic> {
    let config = &read.config;
    let (width, heads) = (read.name("hidden_size"), read.name("num_attention_heads"));
    if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        let message = format!(
            "`{heads}` {} does not divide `{width}` {}",
            config.num_attention_heads, config.hidden_size
        );
        return Some(
            Diagnostic::error(
                Code::ConfigMalformed,
                message,
                read.at("num_attention_heads"),
                "so many heads",
            )
            .and_at(read.at("hidden_size"), "so wide together")
            .help("each head has the same width: compare config.json with the original"),
        );
    }
    let architecture = config.architecture();
    if !architecture.positions.thetas.is_empty()
        && !(config.hidden_size / config.num_attention_heads).is_multiple_of(2)
    {
        let message = format!(
            "a head of {} of {} is {} wide, which rotary position embeddings cannot divide into pairs",
            config.hidden_size,
            counted(config.num_attention_heads, "head", "heads"),
            config.hidden_size / config.num_attention_heads
        );
        return Some(
            Diagnostic::error(
                Code::ConfigMalformed,
                message,
                read.at("num_attention_heads"),
                "so many heads",
            )
            .and_at(read.at("hidden_size"), "so wide together")
            .help("each head has an even width: compare config.json with the original"),
        );
    }
    for key in ["embedding_size", "pooler_hidden_size"] {
        let width = config.size(key).filter(|width| *width != config.hidden_size);
        if let Some(width) = width.filter(|_| architecture.positions.disentangled.is_some()) {
            let message = format!("`{key}` is {width} and `hidden_size` {}", config.hidden_size);
            return Some(
                Diagnostic::error(Code::ConfigUnsupported, message, read.at(key), "so wide")
                    .and_at(read.at("hidden_size"), "another width")
                    .help("obert computes this family with one width: give another model"),
            );
        }
    }
    if architecture.distinct_layers() > config.num_hidden_layers {
        let message = format!(
            "{} share the parameters of {}",
            counted(config.num_hidden_layers, "layer", "layers"),
            counted(architecture.distinct_layers(), "group", "groups")
        );
        return Some(
            Diagnostic::error(Code::ConfigMalformed, message, read.at("num_hidden_groups"), "so many groups")
                .and_at(read.at("num_hidden_layers"), "fewer layers")
                .help("compare config.json with the original"),
        );
    }
    let types = config.rest.get("layer_types").and_then(Value::as_array).map(Vec::len);
    if let Some(types) = types.filter(|types| *types != config.num_hidden_layers) {
        let message = format!("`layer_types` has {types} of {} layers", config.num_hidden_layers);
        return Some(
            Diagnostic::error(
                Code::ConfigMalformed,
                message,
                read.at("layer_types"),
                "one type for each layer",
            )
            .and_at(read.at("num_hidden_layers"), "so many layers")
            .help("compare config.json with the original"),
        );
    }
    if config.longest() == 0 {
        let message =
            counted(config.max_position_embeddings, "position holds no token", "positions hold no token");
        return Some(
            Diagnostic::error(
                Code::ConfigMalformed,
                message,
                read.at("max_position_embeddings"),
                "so few rows",
            )
            .help("a RoBERTa's positions begin at `pad_token_id` + 1: compare config.json with the original"),
        );
    }
    None
}

/// The family's own name of a setting, if `name` is the name of another family. Only names of sizes are certain: a file of
/// a BERT may contain `dropout`, which has no effect.
fn other_name(name: &str, family: Family) -> Option<&'static str> {
    const SIZES: [&str; 4] = ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"];
    let own = family.description().settings.iter().find(|(bert, _)| *bert == name).map(|(_, own)| *own);
    let theirs = || {
        let names = |bert: &&str| Family::ALL.iter().any(|other| other.key(bert) == name);
        SIZES.into_iter().find(names).map(|bert| family.key(bert))
    };
    own.or_else(theirs)
}

/// The first five items of a list, and the number of the others.
pub fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN),
    }
}
