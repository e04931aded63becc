//! What the encoder and the head of a packed model compute, as data: kernels know no family of models.

use serde::{Deserialize, Serialize};

use crate::params::Activation;

/// The largest accepted number of encoder layers.
const MOST_LAYERS: usize = 1000;
/// The largest accepted size of a dimension.
const MOST: usize = 1 << 24;

/// The encoder of a packed model. A directory with a key that is not in this list is refused, because an older program
/// would compute something else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Rows of the word embeddings.
    pub vocabulary: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the embeddings. If it is not the hidden size, a linear layer projects them, `bert.embeddings_project`.
    pub embedding: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads in a layer.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Rows of the position embeddings.
    pub positions: usize,
    /// The row of the position embeddings for the first token of a sequence.
    pub first_position: usize,
    /// Rows of the token type embeddings; 0 without them. With one, all tokens have type 0.
    pub types: usize,
    /// The epsilon of every layer normalization.
    pub norm_epsilon: f32,
    /// The activation of the feed-forward layer.
    pub activation: Activation,
}

/// A linear layer with an activation between the encoder and the output layer of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The activation.
    pub activation: Activation,
}

impl Encoder {
    /// The greatest sequence length in tokens.
    pub fn longest(&self) -> usize {
        self.positions.saturating_sub(self.first_position)
    }

    /// Why no model can have these sizes, in one sentence; `None` if one can.
    pub fn impossible(&self) -> Option<String> {
        let sizes = [
            ("vocabulary", self.vocabulary),
            ("hidden size", self.hidden),
            ("width of the embeddings", self.embedding),
            ("number of heads", self.heads),
            ("intermediate size", self.intermediate),
            ("number of positions", self.positions),
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
        if self.longest() == 0 {
            let first = self.first_position;
            return Some(format!(
                "the first position is {first}, and there are {} positions",
                self.positions
            ));
        }
        let epsilon = self.norm_epsilon;
        (!epsilon.is_finite() || epsilon < 0.0)
            .then(|| format!("the epsilon of its layer normalizations is {epsilon}"))
    }
}
