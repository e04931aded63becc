//! The result of a one-shot trial.

use crate::runlog::Warning;
use crate::task::metric::Metrics;

/// The result of pruning a model one-shot to one sparsity, without training.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrialOutcome {
    /// The share of the targets' weights that is zero, `0..=1`.
    pub sparsity: f64,
    /// The metrics of the pruned model.
    pub metrics: Metrics,
    /// Its metrics after post-training quantization, if the recipe quantizes.
    pub quantized: Option<Metrics>,
    /// The dampening λ that the OBS pruner used, if the recipe's had to be raised.
    pub raised_damp: Option<f64>,
    /// The step size of the exact OBS update of each estimate (`recompute`); 1 is the full update.
    pub step_sizes: Vec<f64>,
    /// Warnings about layers and matrices of which almost nothing is left.
    pub warnings: Vec<Warning>,
    /// Wall-clock time of the evaluation in seconds.
    pub seconds: f64,
}
