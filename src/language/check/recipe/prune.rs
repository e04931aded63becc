//! The typed `prune` statement.

use crate::diag::Span;
use crate::language::syntax::ast::Spanned;
use crate::language::vocab::{Targets, TimeRange};
use crate::schedule::ir::{Criterion, ObsEach, Pattern, Rank};
use crate::schedule::{Ramp, Time};

/// A `prune` statement.
#[derive(Clone, Debug)]
pub struct Prune {
    /// The parameters to prune.
    pub targets: Targets,
    /// The window; `None` for one-shot pruning at the start.
    pub over: Option<Spanned<TimeRange>>,
    /// The time between pruning events.
    pub every: Option<Spanned<Time>>,
    /// The sparsity over the window.
    pub sparsity: Spanned<Ramp>,
    /// Other final sparsities for some of the parameters.
    pub exceptions: Vec<SparsityException>,
    /// Which weights are pruned together.
    pub pattern: Spanned<Pattern>,
    /// Whether weights are ranked over all parameters or in each.
    pub rank: Spanned<Rank>,
    /// The largest sparsity of a parameter.
    pub at_most: Option<Spanned<f64>>,
    /// The examples of layer-wise reconstruction.
    pub reconstruct: Option<usize>,
    /// How the importance of a weight is computed.
    pub by: Spanned<Criterion>,
    /// The spans of the settings of `obs`; a default has the span of `by`.
    pub obs: Option<ObsEach<Span>>,
    /// The statement without its block.
    pub head: Span,
}

/// A `target PARAMS: 80%` line of a `prune` statement.
#[derive(Clone, Debug)]
pub struct SparsityException {
    /// The parameters.
    pub targets: Targets,
    /// Their final sparsity, `0..=1`.
    pub sparsity: Spanned<f64>,
}
