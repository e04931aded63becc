//! Chooses the step size of the exact update (a line search).
//!
//! The joint update of all pruned weights minimises a quadratic approximation of the loss at the current weights. Where
//! an event prunes many weights, or the dampening is small, the full update overshoots. So several step sizes are
//! evaluated on training batches that the estimate has not used, and the one with the least loss is taken. A step size
//! of 0 only sets the pruned weights to zero.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Device;

use crate::method::mask::Mask;
use crate::method::obs::PruningUpdate;
use crate::task::Task;
use crate::task::parameters::{self, Values};

use super::events::{Work, goes_on};
use super::gradients::TaskGradients;

/// The step sizes to evaluate, in descending order.
pub const STEP_SIZES: [f32; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];

/// The number of batches for each: few compared with the forward and backward passes of an estimate.
fn batches(gradients: usize) -> u64 {
    (gradients as u64 / 16).clamp(4, 32)
}

/// Returns the step size with the least loss, the largest of equal ones, on the batches after those of `gradients`
/// gradients. Breaks if the observer wants to stop.
pub fn search<T: Task>(
    source: &mut TaskGradients<T>,
    gradients: usize,
    device: &Device,
    (weights, masks): (&[Vec<f32>], &[Mask]),
    removals: &[PruningUpdate],
) -> ControlFlow<(), f32> {
    let task = source.task;
    let mut sampler = source.draw.sampler(task.examples());
    let first = gradients as u64;
    let batches: Vec<T::Batch> =
        (first..first + batches(gradients)).map(|i| task.batch(&sampler.batch(i), device)).collect();
    let mut model = source.model.valid();
    let mut best = (f64::INFINITY, 0.0);
    let total = (STEP_SIZES.len() * batches.len()) as u64;
    let mut done = 0;
    for step in STEP_SIZES {
        let mut values = Values::new();
        for (i, target) in source.targets.iter().enumerate() {
            let (mut weights, mut mask) = (weights[i].clone(), masks[i].clone());
            removals[i].apply(&mut weights, &mut mask, step);
            values.insert(target.parameter.name.clone(), weights);
        }
        model = parameters::write(model, values);
        let mut loss = 0.0;
        for batch in &batches {
            let outputs = task.outputs(&model, batch, None);
            loss += f64::from(task.loss(&outputs, batch).into_scalar::<f32>());
            done += 1;
            source.observer.progress(Work::StepSize(source.stage), done, total);
            goes_on(source.observer)?;
        }
        if loss < best.0 {
            best = (loss, step);
        }
    }
    ControlFlow::Continue(best.1)
}
