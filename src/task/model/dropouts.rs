//! The dropout of a forward pass.

use super::kernels::Dropout;

/// Dropout of a forward pass: a probability and a seed for hidden states, attention weights and the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropouts {
    /// Dropout of hidden states (`hidden_dropout_prob`).
    pub hidden: Dropout,
    /// Dropout of attention weights (`attention_probs_dropout_prob`).
    pub attention: Dropout,
    /// Dropout of the head's input, where the family has one (DistilBERT's `qa_dropout`).
    pub head: Dropout,
}

/// The number from which the seed of the head's dropout is derived; those of encoder layers count from 1.
pub(super) const HEAD: u32 = u32::MAX;

impl Dropouts {
    /// No dropout: evaluation, teachers, and gradients for pruning.
    pub const NONE: Dropouts =
        Dropouts { hidden: Dropout::NONE, attention: Dropout::NONE, head: Dropout::NONE };

    /// Dropout with these probabilities, drawn from a seed; [`Dropouts::NONE`] without a seed.
    pub fn of(hidden: f64, attention: f64, seed: Option<u64>) -> Dropouts {
        seed.map_or(Dropouts::NONE, |seed| {
            let hidden = Dropout::drawn(hidden, seed, 1);
            Dropouts { hidden, attention: Dropout::drawn(attention, seed, 2), head: hidden.place(HEAD) }
        })
    }

    /// The same dropout with another probability in the head.
    pub fn with_head(self, probability: f64) -> Dropouts {
        Dropouts { head: self.head.with_probability(probability), ..self }
    }

    /// The dropout of encoder layer `layer` at place `k` within it: 0 is the attention weights, 1 the output of
    /// attention, 2 that of the feed-forward network.
    pub(super) fn in_layer(self, layer: usize, k: u32) -> Dropouts {
        let place = 1 + 4 * layer as u32 + k;
        let (hidden, attention) = (self.hidden.place(place), self.attention.place(place));
        Dropouts { hidden, attention, head: Dropout::NONE }
    }
}
