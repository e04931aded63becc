//! `config.json` of BERT, RoBERTa and DistilBERT.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::family::{DISTILLED_SETTINGS, Family};
use crate::diag::counted;

/// The largest accepted number of encoder layers.
pub const MOST_LAYERS: usize = 1000;

/// The sizes that determine a model's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BertShape {
    /// Entries of the vocabulary.
    pub vocab: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads in a layer.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Rows of the position embeddings.
    pub positions: usize,
    /// Token types (segments): two to distinguish the texts of a pair; 0 for DistilBERT.
    pub types: usize,
}

/// A model's configuration, with the keys of BERT's `config.json`. It is read and written with the keys of its own
/// family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct BertConfig {
    /// The class of `transformers` that wrote the checkpoint, such as `BertForQuestionAnswering`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `bert`, `roberta` or `distilbert`.
    pub model_type: String,
    /// Entries of the vocabulary.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads in a layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// Token types.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// The activation of the feed-forward layer; only `gelu` is supported.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// The dropout probability of hidden states, during training.
    #[serde(default = "tenth")]
    pub hidden_dropout_prob: f64,
    /// The dropout probability of attention weights, during training.
    #[serde(default = "tenth")]
    pub attention_probs_dropout_prob: f64,
    /// The epsilon of every layer normalization.
    #[serde(default = "small")]
    pub layer_norm_eps: f64,
    /// The standard deviation of newly initialized weights.
    #[serde(default = "spread")]
    pub initializer_range: f64,
    /// The padding token.
    #[serde(default)]
    pub pad_token_id: u32,
    /// All other keys of the file, which are written back unchanged.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl<'de> Deserialize<'de> for BertConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map: Map<String, Value> = Deserialize::deserialize(deserializer)?;
        let family = map.get("model_type").and_then(Value::as_str).and_then(Family::named);
        match family {
            Some(Family::DistilBert) => {
                for (of_bert, own) in DISTILLED_SETTINGS {
                    if let Some(value) = map.shift_remove(*own) {
                        map.insert((*of_bert).to_owned(), value);
                    }
                }
                // Settings that are constants in DistilBERT's code.
                map.insert("type_vocab_size".to_owned(), 0.into());
                map.insert("layer_norm_eps".to_owned(), small().into());
            }
            Some(Family::Roberta) => {
                map.entry("pad_token_id").or_insert_with(|| 1.into());
            }
            _ => {}
        }
        BertConfig::deserialize(Value::Object(map)).map_err(serde::de::Error::custom)
    }
}

impl Serialize for BertConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = BertConfig::serialize(self, serde_json::value::Serializer);
        let mut value = value.map_err(serde::ser::Error::custom)?;
        if let (Family::DistilBert, Some(map)) = (self.family(), value.as_object_mut()) {
            for (of_bert, own) in DISTILLED_SETTINGS {
                if let Some(value) = map.shift_remove(*of_bert) {
                    map.insert((*own).to_owned(), value);
                }
            }
            map.shift_remove("type_vocab_size");
            map.shift_remove("layer_norm_eps");
        }
        Serialize::serialize(&value, serializer)
    }
}

fn two() -> usize {
    2
}
fn gelu() -> String {
    "gelu".to_owned()
}
fn tenth() -> f64 {
    0.1
}
fn small() -> f64 {
    1e-12
}
fn spread() -> f64 {
    0.02
}

impl BertConfig {
    /// The configuration of a new model of this shape.
    pub fn new(shape: BertShape) -> Self {
        BertConfig {
            architectures: vec!["BertForQuestionAnswering".to_owned()],
            model_type: "bert".to_owned(),
            vocab_size: shape.vocab,
            hidden_size: shape.hidden,
            num_hidden_layers: shape.layers,
            num_attention_heads: shape.heads,
            intermediate_size: shape.intermediate,
            max_position_embeddings: shape.positions,
            type_vocab_size: shape.types,
            hidden_act: gelu(),
            hidden_dropout_prob: tenth(),
            attention_probs_dropout_prob: tenth(),
            layer_norm_eps: small(),
            initializer_range: spread(),
            pad_token_id: 0,
            rest: Map::new(),
        }
    }

    /// The family, by `model_type`; BERT if that is unknown.
    pub fn family(&self) -> Family {
        Family::named(&self.model_type).unwrap_or_default()
    }

    /// The row of the position embeddings for the first token of a sequence: 0, or `pad_token_id + 1` for RoBERTa.
    pub fn first_position(&self) -> usize {
        match self.family() {
            Family::Roberta => self.pad_token_id as usize + 1,
            _ => 0,
        }
    }

    /// The greatest sequence length in tokens.
    pub fn longest(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }

    /// The dropout probability before a classifier, during training.
    pub fn classifier_dropout(&self) -> f64 {
        let said = |key: &str| self.rest.get(key).and_then(Value::as_f64);
        match self.family() {
            Family::DistilBert => said("seq_classif_dropout").unwrap_or(0.2),
            _ => said("classifier_dropout").unwrap_or(self.hidden_dropout_prob),
        }
    }

    /// The dropout probability before the question answering head, during training; only DistilBERT has it.
    pub fn answer_dropout(&self) -> f64 {
        match self.family() {
            Family::DistilBert => self.rest.get("qa_dropout").and_then(Value::as_f64).unwrap_or(0.1),
            _ => 0.0,
        }
    }

    /// The model's shape.
    pub fn shape(&self) -> BertShape {
        BertShape {
            vocab: self.vocab_size,
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            intermediate: self.intermediate_size,
            positions: self.max_position_embeddings,
            types: self.type_vocab_size,
        }
    }

    /// The names of a classifier's labels in the order of its outputs (`id2label`); `None` without that key, or if it
    /// holds only the placeholders `LABEL_0`, `LABEL_1`, …
    pub fn labels(&self) -> Option<Vec<String>> {
        let names = self.rest.get("id2label")?.as_object()?;
        let named = |i: usize| names.get(&i.to_string())?.as_str().map(str::to_owned);
        let list: Option<Vec<String>> = (0..names.len()).map(named).collect();
        list.filter(|list| list.iter().enumerate().any(|(i, name)| *name != format!("LABEL_{i}")))
    }

    /// Sets the names of a classifier's labels (`id2label`, `label2id`).
    pub fn set_labels(&mut self, labels: &[String]) {
        let numbered = || labels.iter().enumerate();
        let by_number = numbered().map(|(i, name)| (i.to_string(), name.clone().into())).collect();
        let by_name = numbered().map(|(i, name)| (name.clone(), i.into())).collect();
        self.rest.insert("id2label".to_owned(), Value::Object(by_number));
        self.rest.insert("label2id".to_owned(), Value::Object(by_name));
        self.rest.insert("problem_type".to_owned(), "single_label_classification".into());
    }

    /// Why this program cannot compute the model, in one sentence; `None` if it can.
    pub fn unsupported(&self) -> Option<String> {
        let Some(family) = Family::named(&self.model_type) else {
            return Some(format!("`model_type` is `{}`", self.model_type));
        };
        if family != Family::DistilBert && self.type_vocab_size == 0 {
            return Some("the number of token types is 0".to_owned());
        }
        if self.longest() == 0 {
            return Some(counted(
                self.max_position_embeddings,
                "position holds no token",
                "positions hold no token",
            ));
        }
        if self.hidden_act != "gelu" {
            return Some(format!("`hidden_act` is `{}`; only `gelu` is known", self.hidden_act));
        }
        let position = self.rest.get("position_embedding_type").and_then(|v| v.as_str());
        if let Some(kind) = position.filter(|kind| *kind != "absolute") {
            return Some(format!("`position_embedding_type` is `{kind}`; only `absolute` is known"));
        }
        self.shape().impossible()
    }
}

impl BertShape {
    /// Why no model can have this shape, in one sentence; `None` if one can.
    pub fn impossible(&self) -> Option<String> {
        let sizes = [
            ("vocabulary", self.vocab),
            ("hidden size", self.hidden),
            ("number of heads", self.heads),
            ("intermediate size", self.intermediate),
            ("number of positions", self.positions),
            // DistilBERT has none.
            ("number of token types", self.types.max(1)),
        ];
        if self.layers == 0 || self.layers > MOST_LAYERS {
            return Some(format!("the number of layers is {}; it must be in 1..={MOST_LAYERS}", self.layers));
        }
        let most = 1 << 24;
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > most) {
            return Some(format!("the {name} is {size}; it must be in 1..={most}"));
        }
        (!self.hidden.is_multiple_of(self.heads)).then(|| {
            format!(
                "the hidden size {} is not a multiple of the number of heads, {}",
                self.hidden, self.heads
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> BertConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_distilbert_is_read_and_written_under_its_own_names() {
        let json = r#"{"architectures":["DistilBertForMaskedLM"],"model_type":"distilbert","vocab_size":60,
            "max_position_embeddings":20,"n_layers":2,"n_heads":4,"dim":32,"hidden_dim":48,"dropout":0.2,
            "attention_dropout":0.3,"activation":"gelu","seq_classif_dropout":0.25,"tie_weights_":true}"#;
        let config = read(json);
        assert_eq!(config.family(), Family::DistilBert);
        assert_eq!((config.hidden_size, config.num_hidden_layers, config.intermediate_size), (32, 2, 48));
        assert_eq!((config.hidden_dropout_prob, config.attention_probs_dropout_prob), (0.2, 0.3));
        assert_eq!((config.shape().types, config.longest(), config.classifier_dropout()), (0, 20, 0.25));
        assert_eq!(config.unsupported(), None);
        let written = serde_json::to_value(&config).unwrap();
        assert_eq!((&written["dim"], &written["n_layers"]), (&32.into(), &2.into()));
        assert!(written.get("hidden_size").is_none() && written.get("type_vocab_size").is_none());
        assert_eq!(serde_json::from_value::<BertConfig>(written).unwrap(), config);
    }

    #[test]
    fn positions_of_a_roberta_begin_after_its_padding_token() {
        let json = r#"{"model_type":"roberta","vocab_size":60,"hidden_size":32,"num_hidden_layers":2,
            "num_attention_heads":4,"intermediate_size":48,"max_position_embeddings":22,"type_vocab_size":1,
            "classifier_dropout":null}"#;
        let config = read(json);
        assert_eq!((config.first_position(), config.longest()), (2, 20));
        assert_eq!(config.classifier_dropout(), config.hidden_dropout_prob);
        assert_eq!(config.unsupported(), None);
        assert!(
            read(&json.replace("\"type_vocab_size\":1", "\"type_vocab_size\":0")).unsupported().is_some()
        );
        assert!(read(&json.replace(":22", ":2")).unsupported().unwrap().contains("no token"));
        assert!(read(&json.replace("roberta", "gpt2")).unsupported().unwrap().contains("gpt2"));
    }
}
