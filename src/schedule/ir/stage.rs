//! A stage: training with its own time axis, and what happens to the model meanwhile.

use serde::{Deserialize, Serialize};

use super::distill::Distill;
use super::prune::Prune;
use super::quantize::Quantize;
use super::targets::Hold;
use super::train::{LrFactor, LrPiece, Train};
use crate::schedule::Time;

/// A stage of the run, or a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The stage's name; the recipe's when the recipe has no stages.
    pub name: String,
    /// The stage's doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// For a branch: the stage whose result it starts from, or [`START`](super::START). A branch is evaluated
    /// and reported, and no stage starts from it. `None` for a stage, which starts from the stage before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_from: Option<String>,
    /// How long the stage trains; zero for one-shot pruning or post-training quantization.
    pub length: Time,
    /// Batches, optimizer and loss.
    pub train: Train,
    /// Encoder layers to keep or drop before anything else happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Layers>,
    /// The learning rate, in pieces that cover the whole length.
    pub lr: Vec<LrPiece>,
    /// Parameters with a learning rate of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lr_factors: Vec<LrFactor>,
    /// The `prune` statements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prune: Vec<Prune>,
    /// Parameters whose zeros stay zero.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hold: Vec<Hold>,
    /// Parameters that are not trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Hold>,
    /// Layers that are quantized.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quantize: Vec<Quantize>,
    /// Knowledge distillation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distill: Option<Distill>,
    /// The time between evaluations on the dev set; the end of a stage is always evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<Time>,
    /// The metric that selects the best checkpoint, with whose weights the stage ends. Only evaluations
    /// after the last pruning event compete. If `None`, the stage ends with its last weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_best: Option<String>,
}

/// A choice of encoder layers, counted from 0 in the model that the stage starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layers {
    /// The layers to keep, in this order.
    Keep(Vec<usize>),
    /// The layers to drop.
    Drop(Vec<usize>),
}

impl Layers {
    /// The remaining layers of a model that has `count`, in order. `None` if a layer does not exist.
    pub fn remaining(&self, count: usize) -> Option<Vec<usize>> {
        let (Layers::Keep(named) | Layers::Drop(named)) = self;
        if named.iter().any(|l| *l >= count) {
            return None;
        }
        Some(match self {
            Layers::Keep(list) => list.clone(),
            Layers::Drop(list) => (0..count).filter(|l| !list.contains(l)).collect(),
        })
    }
}
