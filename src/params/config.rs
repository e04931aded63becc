//! `config.json` of the supported families.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::head::PROBLEMS;

/// The largest accepted number of encoder layers.
pub const MOST_LAYERS: usize = 1000;

/// The sizes that determine a model's parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The family's name, such as `bert`.
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
    /// The activation of the feed-forward layers (a name that `Activation::named` knows).
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

    /// A number that only some families have, by its key.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.rest.get(key).and_then(Value::as_f64)
    }

    /// A size that only some families have, by its key.
    pub(super) fn size(&self, key: &str) -> Option<usize> {
        self.rest.get(key).and_then(Value::as_u64).map(|size| size as usize)
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

    /// Sets the names of the labels of a classifier of tokens, which has no `problem_type`.
    pub fn set_tags(&mut self, labels: &[String]) {
        self.set_labels(labels);
        self.rest.remove("problem_type");
    }

    /// Sets the names of a classifier's labels (`id2label`, `label2id`).
    pub fn set_labels(&mut self, labels: &[String]) {
        let numbered = || labels.iter().enumerate();
        let by_number = numbered().map(|(i, name)| (i.to_string(), name.clone().into())).collect();
        let by_name = numbered().map(|(i, name)| (name.clone(), i.into())).collect();
        self.rest.insert("id2label".to_owned(), Value::Object(by_number));
        self.rest.insert("label2id".to_owned(), Value::Object(by_name));
        self.rest.insert("problem_type".to_owned(), PROBLEMS[0].into());
    }

    /// Sets what the outputs of a classifier of texts mean, one of [`PROBLEMS`].
    pub fn set_problem(&mut self, problem: &str) {
        self.rest.insert("problem_type".to_owned(), problem.into());
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
