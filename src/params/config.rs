//! The `config.json` of a BERT.

use serde::{Deserialize, Serialize};

/// The sizes that determine a BERT's parameters.
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
    /// The longest sequence, in tokens.
    pub positions: usize,
    /// Token types, two for pairs of texts.
    pub types: usize,
}

/// A BERT's configuration, under the names of Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// The class that wrote the checkpoint, such as `BertForQuestionAnswering`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `bert`.
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
    /// The longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Token types.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// The activation of the feed-forward layer; only `gelu` is known.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// Dropout after embeddings and in the output blocks, while training.
    #[serde(default = "tenth")]
    pub hidden_dropout_prob: f64,
    /// Dropout of the attention weights, while training.
    #[serde(default = "tenth")]
    pub attention_probs_dropout_prob: f64,
    /// The epsilon of every layer normalisation.
    #[serde(default = "small")]
    pub layer_norm_eps: f64,
    /// Standard deviation of new weights.
    #[serde(default = "spread")]
    pub initializer_range: f64,
    /// The padding token.
    #[serde(default)]
    pub pad_token_id: u32,
    /// Whatever else the file says, kept so that what is saved loses nothing.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
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
            rest: serde_json::Map::new(),
        }
    }

    /// The sizes alone.
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

    /// The names of a classifier's labels in the order of its outputs; `None` if there are none, or
    /// only the placeholders `LABEL_0`, `LABEL_1`, …
    pub fn labels(&self) -> Option<Vec<String>> {
        let names = self.rest.get("id2label")?.as_object()?;
        let named = |i: usize| names.get(&i.to_string())?.as_str().map(str::to_owned);
        let list: Option<Vec<String>> = (0..names.len()).map(named).collect();
        list.filter(|list| list.iter().enumerate().any(|(i, name)| *name != format!("LABEL_{i}")))
    }

    /// Names a classifier's labels.
    pub fn set_labels(&mut self, labels: &[String]) {
        let numbered = || labels.iter().enumerate();
        let by_number = numbered().map(|(i, name)| (i.to_string(), name.clone().into())).collect();
        let by_name = numbered().map(|(i, name)| (name.clone(), i.into())).collect();
        self.rest.insert("id2label".to_owned(), serde_json::Value::Object(by_number));
        self.rest.insert("label2id".to_owned(), serde_json::Value::Object(by_name));
        self.rest.insert("problem_type".to_owned(), "single_label_classification".into());
    }

    /// What this engine cannot do with the configuration, in one sentence.
    pub fn unsupported(&self) -> Option<String> {
        if self.model_type != "bert" {
            return Some(format!("`model_type` is `{}`, not `bert`", self.model_type));
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
    /// Why no model can have this shape, in one sentence.
    pub fn impossible(&self) -> Option<String> {
        let sizes = [
            ("vocabulary", self.vocab),
            ("hidden size", self.hidden),
            ("number of layers", self.layers),
            ("number of heads", self.heads),
            ("intermediate size", self.intermediate),
            ("number of positions", self.positions),
            ("number of token types", self.types),
        ];
        let most = 1 << 24;
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > most) {
            return Some(format!("the {name} is {size}; it must lie in 1..{most}"));
        }
        (!self.hidden.is_multiple_of(self.heads))
            .then(|| format!("the hidden size {} does not divide by {} heads", self.hidden, self.heads))
    }
}
