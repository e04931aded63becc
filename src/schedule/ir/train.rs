//! How a stage trains: batches, AdamW, the loss, and the learning rate over time.

use serde::{Deserialize, Serialize};

use super::is_default;
use super::targets::Targets;
use crate::schedule::{Ramp, Time};
use crate::settings::choices;

/// Batches, optimizer (AdamW) and loss of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// Examples in a batch.
    pub batch: usize,
    /// Gradient accumulation: the number of batches in one optimizer step; the gradient is that of the mean loss over
    /// all their examples.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// AdamW's decoupled weight decay; biases and layer normalizations have none.
    pub weight_decay: f64,
    /// AdamW's β₁.
    pub beta1: f64,
    /// AdamW's β₂.
    pub beta2: f64,
    /// AdamW's ε.
    pub epsilon: f64,
    /// The largest global norm of the gradient (`clip_grad_norm_`); zero for no clipping.
    pub clip: f64,
    /// The dropout probability, in place of the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Label smoothing ε, as in PyTorch's `cross_entropy(label_smoothing=ε)`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// Which examples make a batch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batches: Batches,
    /// The precision of matrix products in the forward and the backward pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
}

fn one() -> usize {
    1
}

fn is_one(n: &usize) -> bool {
    *n == 1
}

choices! {
    /// Which examples make a batch; every epoch has each example once.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Batches {
        /// All examples, in an order drawn for every epoch.
        #[default]
        Shuffled = "shuffled",
        /// Examples of similar length in tokens (transformers' `group_by_length`): less padding where batches are padded.
        Bucketed = "bucketed",
    }
}

choices! {
    /// Floating-point format of stored numbers or of matrix products; sums are always float32.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Precision {
        /// 32 bits.
        #[default]
        F32 = "f32",
        /// bfloat16: half the memory, enough where gradients outnumber a block's weights.
        Bf16 = "bf16",
    }
}

/// The learning rate over `start..end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrPiece {
    /// The start.
    pub start: Time,
    /// The end, exclusive: the rates apply in the steps of `start..end`.
    pub end: Time,
    /// The rates at both ends, of each cycle if it repeats.
    pub ramp: Ramp,
    /// The length of a cycle, after which the ramp starts again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeating: Option<Time>,
}

/// Parameters whose learning rate is a multiple of the stage's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrFactor {
    /// The parameters.
    pub targets: Targets,
    /// The factor.
    pub factor: f64,
}
