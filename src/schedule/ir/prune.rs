//! Pruning: which weights, in which pattern, how many at each pruning event, by which criterion.

use serde::{Deserialize, Serialize};

use super::obs::Obs;
use super::targets::Targets;
use crate::schedule::{Ramp, Window};
use crate::settings::choices;

/// A `prune` statement: the least important of the selected weights become zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prune {
    /// The parameters to prune.
    pub targets: Targets,
    /// The times of the pruning events.
    pub window: Window,
    /// The sparsity after each pruning event, `0..=1`.
    pub sparsity: Ramp,
    /// Other final sparsities for some of the parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<SparsityException>,
    /// Which weights are pruned together.
    pub pattern: Pattern,
    /// Whether weights are ranked over all parameters or in each.
    pub rank: Rank,
    /// The largest sparsity of a parameter, `0..=1`; no limit if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// The number of training examples of layer-wise reconstruction after each pruning event; none if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruct: Option<usize>,
    /// How the importance of a weight is computed.
    pub by: Criterion,
}

impl Prune {
    /// Whether parameters are pruned to sparsities that depend on each other.
    pub fn ranks_together(&self) -> bool {
        self.rank != Rank::Layer && !matches!(self.pattern, Pattern::NofM { .. })
    }

    /// Whether a pruning event computes gradients or forward passes over training data.
    pub fn needs_training_data(&self) -> bool {
        matches!(self.by, Criterion::Obs(_)) || self.reconstruct.is_some()
    }

    /// Whether the sparsity of each layer is found by evaluating the loss of pruning it.
    pub fn is_measured(&self) -> bool {
        let obs = matches!(self.by, Criterion::Obs(_));
        obs && self.rank == Rank::Measured && !matches!(self.pattern, Pattern::NofM { .. })
    }

    /// The sparsity of the `index`th exception at fraction `share` of the window. Its ramp differs from the
    /// statement's only in the final value.
    pub fn exception_at(&self, index: usize, share: f64) -> f64 {
        Ramp { to: self.exceptions[index].sparsity, ..self.sparsity }.at(share)
    }
}

/// Another final sparsity for some of a statement's parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SparsityException {
    /// The parameters.
    pub targets: Targets,
    /// Their final sparsity, `0..=1`.
    pub sparsity: f64,
}

/// Which weights are pruned together. A parameter is `[outputs, inputs]`, as in Hugging Face's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pattern {
    /// Each weight alone.
    Unstructured,
    /// Blocks of this many consecutive inputs of one output.
    Blocks(usize),
    /// N:M sparsity: of every `of` consecutive inputs of one output, `keep` are not pruned.
    NofM {
        /// Weights of a group that are not pruned.
        keep: usize,
        /// Weights in a group.
        of: usize,
    },
    /// Whole outputs.
    Rows,
    /// Whole inputs.
    Columns,
}

impl Pattern {
    /// The number of consecutive inputs that a group of the pattern covers: of N:M, M.
    pub fn width(self) -> usize {
        match self {
            Pattern::Blocks(size) => size,
            Pattern::NofM { of, .. } => of,
            Pattern::Unstructured | Pattern::Rows | Pattern::Columns => 1,
        }
    }

    /// The number of consecutive weights that are ranked and pruned as one.
    pub fn group(self) -> usize {
        match self {
            Pattern::Unstructured | Pattern::NofM { .. } | Pattern::Rows | Pattern::Columns => 1,
            Pattern::Blocks(size) => size,
        }
    }
}

/// As written in a recipe.
impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pattern::Unstructured => f.write_str("unstructured"),
            Pattern::Blocks(size) => write!(f, "blocks(1, {size})"),
            Pattern::NofM { keep, of } => write!(f, "n_of_m({keep}, {of})"),
            Pattern::Rows => f.write_str("rows"),
            Pattern::Columns => f.write_str("columns"),
        }
    }
}

choices! {
    /// Among which weights the least important are pruned.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Rank {
        /// All selected parameters together: those with more low scores become sparser.
        Global = "global",
        /// Each parameter by itself: all reach the same sparsity.
        Layer = "layer",
        /// All selected parameters together: matrices whose pruning changes the model's outputs less become sparser.
        Measured = "measured",
    }
}

choices! {
    /// How the importance of a weight is computed.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Criterion {
        /// The weight's absolute value.
        Magnitude = "magnitude",
        /// How far the weight moves away from zero while it is trained: movement pruning (arXiv 2005.07683).
        Movement = "movement",
        /// The increase of the loss when the weight is pruned, to second order: the Optimal BERT Surgeon.
        Obs(Obs) = "obs",
    }
}
