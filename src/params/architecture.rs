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
    /// Width of the embeddings. If it is not the hidden size, a linear layer `embeddings_project` projects them.
    pub embedding: usize,
    /// How positions enter.
    pub positions: Positions,
    /// Whether token types distinguish the texts of a pair. If not, every token has type 0.
    pub typed: bool,
    /// The activation of the feed-forward layers.
    pub activation: Activation,
    /// The epsilon of every layer normalization.
    pub epsilon: f64,
    /// Whether the output of attention passes a dropout before it is added to the residual.
    pub attention_output_dropout: bool,
    /// What the heads compute.
    pub heads: Heads,
}

/// How the position of a token enters the computation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The row of a learned table that is added to the embedding of the first token of a sequence; later tokens get
    /// the rows behind it.
    pub first: usize,
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
    /// The activation of the classifier's first linear layer (the pooler), which takes the first token.
    pub pooler: Activation,
    /// Whether a dropout precedes that layer; one always follows it.
    pub dropout_before_pooler: bool,
    /// Whether a dropout precedes the linear layer of question answering.
    pub dropout_before_answers: bool,
    /// The activation of the masked language model's transform. Its linear layer gives vectors of the width of the
    /// embeddings.
    pub language: Activation,
}

impl Architecture {
    /// BERT's architecture with the sizes of a configuration; families change what differs.
    pub(super) fn of_bert(config: &BertConfig) -> Self {
        let activation = Activation::named(&config.hidden_act).unwrap_or_default();
        Architecture {
            family: config.family(),
            shape: config.shape(),
            embedding: config.hidden_size,
            positions: Positions { first: config.first_position() },
            typed: true,
            activation,
            epsilon: config.layer_norm_eps,
            attention_output_dropout: true,
            heads: Heads {
                pooler: Activation::Tanh,
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
        Architecture { typed: false, heads, ..bert }
    }

    /// Whether a linear layer projects the embeddings to the hidden size.
    pub fn projects_embeddings(&self) -> bool {
        self.embedding != self.shape.hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_name_is_an_activation() {
        assert!(ACTIVATIONS.iter().all(|name| Activation::named(name).is_some()));
        assert_eq!(Activation::named("gelu_new"), Some(Activation::GeluTanh));
        assert_eq!(Activation::named("xielu"), None);
    }
}
