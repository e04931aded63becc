//! What a pruning event needs of the model: gradients, and evaluations of candidate weights.

use std::ops::{ControlFlow, Range};

use super::fisher_estimate::{Gradient, Place};

/// A source of gradients of the loss, one for each mini-batch.
pub trait GradientSource {
    /// Computes the gradients `numbers`, counted from 0, for the parameters of these indices, and calls `take` with
    /// each and its parameter's index, in the order of the numbers. Equal numbers give equal gradients in every call. With
    /// several ranks, all must call it together; `take` receives the gradients of parameters whose Fisher matrices this
    /// rank has.
    fn gradients(
        &mut self,
        parameters: Range<usize>,
        numbers: Range<usize>,
        place: Place,
        take: &mut dyn FnMut(usize, Gradient),
    ) -> ControlFlow<()>;

    /// Evaluates the model with `weights` in place of its values of these parameters (by index): the mean of `measure`
    /// over the evaluation batches numbered `batches`. No gradient is computed on evaluation batches.
    fn evaluate(
        &mut self,
        measure: Measure,
        batches: Range<usize>,
        weights: Vec<(usize, Vec<f32>)>,
    ) -> ControlFlow<(), f64>;

    /// Reports that `done` of `total` parameters have finished a phase; `Break` stops the event.
    fn progress(&mut self, _phase: Phase, _done: usize, _total: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A measure of a model on evaluation batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The task's loss.
    Loss,
    /// The Kullback-Leibler divergence of the outputs from those of the unchanged model. It is zero for the unchanged
    /// model and rises steadily as weights are pruned, so a few batches suffice to distinguish changes that the noise
    /// of the loss hides.
    Divergence,
}

/// What is computed for each parameter after the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Factorization of the blocks, and saliencies.
    Scoring,
    /// The update of the remaining weights.
    Updating,
}
