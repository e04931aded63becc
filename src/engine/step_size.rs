//! Chooses the step size of the exact update (a line search).
//!
//! The joint update of all pruned weights minimizes a quadratic approximation of the loss at the current weights. Where
//! an event prunes many weights, or the dampening is small, the full update overshoots. So several step sizes are
//! evaluated on the training batches after those of the estimate (other examples, unless the data has too few), and the
//! one with the least loss is taken. A step size of 0 only sets the pruned weights to zero.

use std::ops::ControlFlow;

use crate::method::mask::Mask;
use crate::method::obs::{GradientSource, Measure, PruningUpdate};

/// The step sizes to evaluate, in descending order.
const STEP_SIZES: [f32; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];

/// The number of evaluation batches for each step size. The search takes few passes compared with the estimate.
fn batches(gradients: usize) -> usize {
    (gradients / 16).clamp(8, 32)
}

/// The forward passes of a search.
pub fn evaluations(gradients: usize) -> usize {
    STEP_SIZES.len() * batches(gradients)
}

/// Returns the step size with the least loss, the largest of equal ones, on the first evaluation batches of `source`.
/// Breaks if the observer wants to stop.
pub fn search(
    source: &mut dyn GradientSource,
    gradients: usize,
    (weights, masks): (&[Vec<f32>], &[Mask]),
    updates: &[PruningUpdate],
) -> ControlFlow<(), f32> {
    let mut best = (f64::INFINITY, 0.0);
    for step in STEP_SIZES {
        let mut pruned = Vec::new();
        for (i, update) in updates.iter().enumerate() {
            let (mut weights, mut mask) = (weights[i].clone(), masks[i].clone());
            update.apply(&mut weights, &mut mask, step);
            pruned.push((i, weights));
        }
        let loss = source.evaluate(Measure::Loss, 0..batches(gradients), pruned)?;
        if loss < best.0 {
            best = (loss, step);
        }
    }
    ControlFlow::Continue(best.1)
}
