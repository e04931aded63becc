//! What an encoder computes, as plain data: [`Architecture`].
//!
//! Every family computes it from its configuration (`Description::architecture` of [`super::family`]). The training module, the
//! parameter table, the runtime and the exports are built from it and do not ask for the family, except for names.

use serde::{Deserialize, Serialize};

use super::{BertConfig, BertShape, Family};

/// What an encoder and its heads compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The family, which names the parameters.
    pub family: Family,
    /// The sizes.
    pub shape: BertShape,
    /// Width of the embeddings.
    pub embedding: usize,
    /// Whether a linear layer `embeddings_project` projects the embeddings to the hidden size.
    pub projects: bool,
    /// The number of groups of consecutive layers that share their parameters (ALBERT's `num_hidden_groups`); `None` if
    /// every layer has its own.
    pub groups: Option<usize>,
    /// The type of position embedding.
    pub positions: Positions,
    /// Where layer normalizations are, and the structure of the layers.
    pub layers: LayerKind,
    /// For each layer the greatest distance of tokens that attend to each other; `None` if all do.
    pub windows: Vec<Option<usize>>,
    /// Which parts have biases.
    pub biases: Biases,
    /// Whether token types distinguish the texts of a pair. If not, every token has type 0.
    pub typed: bool,
    /// The activation of the feed-forward layers.
    pub activation: Activation,
    /// The epsilon of every layer normalization.
    pub epsilon: f64,
    /// Whether the embeddings pass a dropout.
    pub embedding_dropout: bool,
    /// Whether the output of attention passes a dropout before it is added to the residual.
    pub attention_output_dropout: bool,
    /// Whether the output of the feed-forward network passes a dropout before it is added to the residual.
    pub feed_forward_dropout: bool,
    /// What the heads compute.
    pub heads: Heads,
}

/// The structure of an encoder layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// Attention with separate projections and a feed-forward network of two linear layers, each followed by the
    /// residual connection and a layer normalization (BERT).
    PostNorm,
    /// A layer normalization before attention, except in layer 0, and before the feed-forward network; one matrix for
    /// queries, keys and values, and a gated feed-forward network `(f(x W₁) ∘ x W₂) W₃`; a layer normalization after
    /// the last layer (ModernBERT).
    PreNormGated,
}

/// Which parts have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    /// The linear layers of attention.
    pub attention: bool,
    /// The linear layers of the feed-forward network.
    pub feed_forward: bool,
    /// The layer normalizations.
    pub norm: bool,
    /// The first linear layer of heads.
    pub pooler: bool,
}

/// How the position of a token enters the computation.
#[derive(Clone, Debug, PartialEq)]
pub struct Positions {
    /// Whether a row of a learned table is added to the embedding of each token.
    pub table: bool,
    /// The row of the table for the first token of a sequence; later tokens get the rows after it.
    pub first: usize,
    /// For each layer the base θ of rotary positions, which rotate queries and keys at position p by the angles
    /// `p θ^(-2i/d)`, i = 0..d/2; empty without rotary positions.
    pub thetas: Vec<f64>,
    /// A bias for each bucket of distances and head, shared by all layers, is added to the scores of attention.
    pub buckets: Option<DistanceBuckets>,
    /// Terms of contents and distances are added to the scores of attention.
    pub disentangled: Option<Disentangled>,
}

/// Disentangled attention (DeBERTa): for query i, key j and the row r of their distance in a table of embeddings the scores
/// are `(Q_i · K_j + Q_i · K'_r + K_j · Q'_r) / √(d n)`, with projections K' and Q' of the table and the number n of the
/// terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disentangled {
    /// Half of the rows of the table.
    pub span: usize,
    /// Whether far distances share rows, logarithmically, up to this distance; otherwise each distance has a row.
    pub logarithmic: Option<usize>,
    /// Whether there is the term `Q_i · K'_r`.
    pub content_to_position: bool,
    /// Whether there is the term `K_j · Q'_r`.
    pub position_to_content: bool,
    /// Whether the projections of the table are those of queries and keys.
    pub shared: bool,
    /// Whether the table is normalized.
    pub norm: bool,
}

impl Disentangled {
    /// The row of the distance `j - i` of key j and query i (`make_log_bucket_position` of `transformers`).
    pub fn row(&self, distance: i64) -> u32 {
        let back = -distance;
        let middle = (self.span / 2) as i64;
        let bucket = match self.logarithmic {
            Some(farthest) if back.abs() > middle => {
                let ratio = (back.abs() as f32 / middle as f32).ln();
                let ratio = ratio / ((farthest as f64 - 1.0) / middle as f64).ln() as f32;
                (ratio * (middle - 1) as f32).ceil() as i64 + middle
            }
            _ => back.abs(),
        };
        let span = self.span as i64;
        (bucket * back.signum() + span).clamp(0, 2 * span - 1) as u32
    }

    /// The number n of the terms of a score.
    pub fn terms(&self) -> usize {
        1 + usize::from(self.content_to_position) + usize::from(self.position_to_content)
    }
}

/// The division of the distances between tokens into buckets, each of which has a learned bias: half of the buckets for
/// keys before the query and half for those after it; of each half one half for a distance each, and the other for
/// ranges that grow logarithmically (`relative_position_bucket` of MPNet and T5 in `transformers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistanceBuckets {
    /// The number of buckets.
    pub count: usize,
    /// The distance from which on all keys share the last bucket.
    pub farthest: usize,
}

impl DistanceBuckets {
    /// The bucket of the distance `j - i` of key j and query i.
    pub fn bucket(&self, distance: i64) -> u32 {
        let half = self.count / 2;
        let exact = half / 2;
        let first = if distance > 0 { half } else { 0 };
        let distance = distance.unsigned_abs() as usize;
        if distance < exact {
            return (first + distance) as u32;
        }
        let ratio = (distance as f32 / exact as f32).ln() / (self.farthest as f32 / exact as f32).ln();
        let large = exact + (ratio * (half - exact) as f32) as usize;
        (first + large.min(half - 1)) as u32
    }
}

/// A pointwise activation function. Packed files hold its name in snake case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The exact GELU, `x Φ(x)` with the normal distribution function Φ.
    #[default]
    Gelu,
    /// GELU by tanh: `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
    /// `max(0, x)`.
    Relu,
    /// `x / (1 + e⁻ˣ)`, also called swish.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// The names of [`Activation`]s in `config.json` (keys of `ACT2FN` in `transformers`).
pub const ACTIVATIONS: &[&str] =
    &["gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "tanh"];

impl Activation {
    /// The activation of a name in `config.json`.
    pub fn named(name: &str) -> Option<Activation> {
        Some(match name {
            "gelu" | "gelu_python" => Activation::Gelu,
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            "silu" | "swish" => Activation::Silu,
            "tanh" => Activation::Tanh,
            _ => return None,
        })
    }
}

/// What the heads of a family compute from the last hidden states.
#[derive(Clone, Debug, PartialEq)]
pub struct Heads {
    /// The activation of the classifier's first linear layer (the pooler).
    pub pooler: Activation,
    /// Whether a layer normalization follows the pooler.
    pub pooler_norm: bool,
    /// Whether the classifier takes the mean of a sequence's tokens instead of the first.
    pub mean: bool,
    /// Whether the pooler also transforms the tokens of question answering and token classification.
    pub transforms_tokens: bool,
    /// The dropout probability before the classifier, during training.
    pub classifier_dropout: f64,
    /// The dropout probability before a classifier of tokens, during training.
    pub token_dropout: f64,
    /// The dropout probability before the linear layer of question answering, during training.
    pub answer_dropout: f64,
    /// Whether a dropout precedes the pooler; one always follows it.
    pub dropout_before_pooler: bool,
    /// Whether a dropout precedes the linear layer of question answering.
    pub dropout_before_answers: bool,
    /// The activation of the masked language model's transform. Its linear layer projects the hidden size to the width
    /// of the embeddings.
    pub language: Activation,
}

impl Architecture {
    /// BERT's architecture with the sizes of a configuration; families change what differs.
    pub(super) fn of_bert(config: &BertConfig) -> Self {
        let activation = Activation::named(&config.hidden_act).unwrap_or_default();
        let dropout = config.number("classifier_dropout").unwrap_or(config.hidden_dropout_prob);
        Architecture {
            family: config.family(),
            shape: config.shape(),
            embedding: config.hidden_size,
            projects: false,
            groups: None,
            positions: Positions {
                table: true,
                first: 0,
                thetas: Vec::new(),
                buckets: None,
                disentangled: None,
            },
            layers: LayerKind::PostNorm,
            windows: vec![None; config.num_hidden_layers],
            biases: Biases { attention: true, feed_forward: true, norm: true, pooler: true },
            typed: true,
            activation,
            epsilon: config.layer_norm_eps,
            embedding_dropout: true,
            attention_output_dropout: true,
            feed_forward_dropout: true,
            heads: Heads {
                pooler: Activation::Tanh,
                pooler_norm: false,
                mean: false,
                transforms_tokens: false,
                classifier_dropout: dropout,
                token_dropout: dropout,
                answer_dropout: 0.0,
                dropout_before_pooler: false,
                dropout_before_answers: false,
                language: activation,
            },
        }
    }

    /// RoBERTa's architecture: one token type, dropout on both sides of the pooler, GELU in the language model's head.
    pub(super) fn of_roberta(config: &BertConfig) -> Self {
        let bert = Self::of_bert(config);
        let heads = Heads { dropout_before_pooler: true, language: Activation::Gelu, ..bert.heads.clone() };
        let positions = Positions { first: config.pad_token_id as usize + 1, ..bert.positions };
        Architecture { typed: false, heads, positions, ..bert }
    }

    /// The number of layers with parameters of their own.
    pub fn distinct_layers(&self) -> usize {
        self.groups.unwrap_or(self.shape.layers)
    }

    /// The index of the parameters that layer `depth` uses: `depth * groups / layers` where layers share them
    /// (ALBERT's `num_hidden_groups`), else `depth`.
    pub fn layer_at(&self, depth: usize) -> usize {
        match self.groups {
            Some(groups) => depth * groups / self.shape.layers.max(1),
            None => depth,
        }
    }

    /// The architecture after layers are dropped: `kept` lists the remaining ones, in order. Where layers share
    /// parameters, `kept` lists groups of layers.
    #[must_use]
    pub fn keep_layers(&self, kept: &[usize]) -> Self {
        let mut left = self.clone();
        left.shape.layers = match self.groups {
            Some(groups) => self.shape.layers * kept.len() / groups.max(1),
            None => kept.len(),
        };
        left.groups = self.groups.map(|_| kept.len());
        left.windows = kept.iter().filter_map(|layer| self.windows.get(*layer).copied()).collect();
        left.positions.thetas =
            kept.iter().filter_map(|layer| self.positions.thetas.get(*layer).copied()).collect();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_keys_have_a_bucket_each_and_far_ones_share_the_last() {
        let buckets = DistanceBuckets { count: 32, farthest: 128 };
        let of = |distances: &[i64]| distances.iter().map(|d| buckets.bucket(*d)).collect::<Vec<_>>();
        // `MPNetEncoder.relative_position_bucket(torch.tensor([...]))` of transformers 5.24.
        assert_eq!(
            of(&[0, -1, -7, -8, -11, -12, -16, -64, -127, -128, -500]),
            [0, 1, 7, 8, 8, 9, 10, 14, 15, 15, 15]
        );
        assert_eq!(of(&[1, 7, 8, 12, 23, 64, 128]), [17, 23, 24, 25, 27, 30, 31]);
    }

    #[test]
    fn far_distances_share_rows_of_a_table() {
        let of = Disentangled {
            span: 8,
            logarithmic: Some(32),
            content_to_position: true,
            position_to_content: true,
            shared: true,
            norm: true,
        };
        let rows =
            |of: Disentangled, distances: &[i64]| distances.iter().map(|d| of.row(*d)).collect::<Vec<_>>();
        // `make_log_bucket_position(torch.tensor([...]), 8, 32) + 8` of transformers 5.24, of `i - j`.
        assert_eq!(rows(of, &[0, -1, -4, -5, -9, -16, -31]), [8, 9, 12, 13, 14, 15, 15]);
        assert_eq!(rows(of, &[1, 4, 5, 9, 16, 31]), [7, 4, 3, 2, 1, 1]);
        let each = Disentangled { logarithmic: None, ..of };
        assert_eq!(rows(each, &[-20, -8, -7, 0, 8, 20]), [15, 15, 15, 8, 0, 0]);
    }

    #[test]
    fn every_accepted_name_is_an_activation() {
        assert!(ACTIVATIONS.iter().all(|name| Activation::named(name).is_some()));
        assert_eq!(Activation::named("gelu_new"), Some(Activation::GeluTanh));
        assert_eq!(Activation::named("xielu"), None);
    }
}
