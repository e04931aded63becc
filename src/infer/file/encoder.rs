//! What the encoder and the head of a packed model compute, as data: kernels know no family of models.

use serde::{Deserialize, Serialize};

use crate::params::Activation;

/// The largest accepted number of encoder layers.
const MOST_LAYERS: usize = 1000;
/// The largest accepted size of a dimension.
const MOST: usize = 1 << 24;

/// The encoder of a packed model. An unknown key in this object is refused: a newer version wrote the file, and
/// ignoring the key would give wrong results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Rows of the word embeddings.
    pub vocabulary: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Whether a linear layer projects the embeddings to the hidden size, `bert.embeddings_project`.
    pub projection: bool,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads in a layer.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// The greatest sequence length in tokens.
    pub longest: usize,
    /// Rows of the position embeddings; 0 without them.
    pub positions: usize,
    /// The row of the position embeddings for the first token of a sequence.
    pub first_position: usize,
    /// Rows of the token type embeddings; 0 without them. With one, all tokens have type 0.
    pub types: usize,
    /// The epsilon of every layer normalization.
    pub norm_epsilon: f32,
    /// The activation of the feed-forward layer.
    pub activation: Activation,
    /// The structure of the layers.
    pub structure: Structure,
    /// For each layer the base θ of rotary positions; empty without them.
    pub rotary: Vec<f64>,
    /// For each layer the greatest distance of a key that a query attends to, or `null` if it attends to all.
    pub windows: Vec<Option<usize>>,
    /// Whether the section `position_bias` holds a bias of the scores for each head and distance, `[heads, 2 longest −
    /// 1]`: that of the distance `query − key` at `distance + longest − 1`.
    pub position_bias: bool,
    /// The terms of contents and distances in the scores of attention; absent from models without them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disentangled: Option<Disentangled>,
}

/// Disentangled attention (DeBERTa): for query i, key j and the row r of their distance the scores are
/// `(Q_i · K_j + Q_i · K'_r + K_j · Q'_r) / √(d n)` with the number n of these products. K' and Q' are linear functions of the
/// section `distance_embeddings`, `[rows, hidden]`. The section `distance_rows` holds the row of the distance `query − key`
/// at `distance + longest − 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disentangled {
    /// Rows of the embeddings of distances.
    pub rows: usize,
    /// Whether there is the term `Q_i · K'_r`.
    pub content_to_position: bool,
    /// Whether there is the term `K_j · Q'_r`.
    pub position_to_content: bool,
    /// Whether a layer's key and query projections compute K' and Q'. Otherwise it has the linear layers
    /// `attention.self.pos_key` and `attention.self.pos_query`.
    pub shared: bool,
}

impl Disentangled {
    /// The number n of the products of a score.
    pub fn terms(&self) -> usize {
        1 + usize::from(self.content_to_position) + usize::from(self.position_to_content)
    }
}

/// The structure of an encoder layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    /// Layer normalization after the residual connections of attention and of the feed-forward layer.
    PostNorm,
    /// Layer normalization before attention (but not in the first layer) and before the feed-forward layer, whose
    /// output is gated, `(f(x W₁ᵀ) ∘ x W₂ᵀ) W₃ᵀ`, and a last one after all layers.
    PreNormGated,
}

/// What the output layer of a head takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The hidden state of the first token.
    #[default]
    First,
    /// The hidden state of the last token.
    Last,
    /// The mean of the hidden states of all tokens.
    Mean,
    /// The maximum over all tokens, of each feature.
    Max,
}

/// A linear layer with an activation between the encoder and the output layer of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The activation.
    pub activation: Activation,
    /// Whether a layer normalization follows, `bert.pooler.LayerNorm`.
    pub norm: bool,
}

impl Encoder {
    /// Why no model can have these sizes, in one sentence; `None` if one can.
    pub fn impossible(&self) -> Option<String> {
        let sizes = [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("width of the embeddings", self.embedding),
            ("number of heads", self.heads),
            ("intermediate size", self.intermediate),
            ("greatest sequence length", self.longest),
            ("number of token types", self.types.max(1)),
        ];
        if self.layers == 0 || self.layers > MOST_LAYERS {
            return Some(format!("the number of layers is {}; it must be in 1..={MOST_LAYERS}", self.layers));
        }
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > MOST) {
            return Some(format!("the {name} is {size}; it must be in 1..={MOST}"));
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Some(format!(
                "the hidden size {} is not a multiple of the number of heads, {}",
                self.hidden, self.heads
            ));
        }
        if !self.projection && self.embedding != self.hidden {
            return Some(format!(
                "embeddings of {} features are not projected to {}",
                self.embedding, self.hidden
            ));
        }
        let (first, rows, longest) = (self.first_position, self.positions, self.longest);
        if rows > MOST || rows > 0 && first.checked_add(longest).is_none_or(|end| end > rows) {
            return Some(format!("{longest} tokens from position {first} on do not fit {rows} positions"));
        }
        if ![0, self.layers].contains(&self.rotary.len()) || self.windows.len() != self.layers {
            return Some(format!(
                "{} layers have {} rotary bases and {} windows",
                self.layers,
                self.rotary.len(),
                self.windows.len()
            ));
        }
        if !self.rotary.is_empty() && !(self.hidden / self.heads).is_multiple_of(2) {
            return Some("rotary positions need an even number of features in a head".into());
        }
        if let Some(theta) = self.rotary.iter().find(|theta| !theta.is_finite() || **theta <= 0.0) {
            return Some(format!("the base of rotary positions is {theta}"));
        }
        if let Some(of) = &self.disentangled {
            if of.rows == 0 || of.rows > MOST {
                return Some(format!(
                    "the embeddings of distances have {} rows; it must be 1..={MOST}",
                    of.rows
                ));
            }
            if of.terms() == 1 || self.structure != Structure::PostNorm {
                return Some(
                    "its disentangled attention has no terms, or layers of another structure".into(),
                );
            }
            if self.position_bias || !self.rotary.is_empty() || self.windows.iter().any(Option::is_some) {
                return Some("disentangled attention is mixed with other terms of positions".into());
            }
        }
        let epsilon = self.norm_epsilon;
        (!epsilon.is_finite() || epsilon < 0.0)
            .then(|| format!("the epsilon of its layer normalizations is {epsilon}"))
    }
}
