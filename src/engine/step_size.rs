//! The step size of the exact update: how much of it is taken.
//!
//! The joint update of all removed weights minimises a quadratic form that holds near the weights as they
//! are. Where many weights are removed in one event, or the dampening is small, the full step overshoots. So
//! some step sizes are tried on training data that the estimate has not seen, and the one of least loss is
//! taken; 0, plain zeroing, is among them.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Device;

use crate::method::mask::Mask;
use crate::method::obs::PruningUpdate;
use crate::task::Task;
use crate::task::parameters::{self, Values};

use super::events::{Work, goes_on};
use super::gradients::TaskGradients;

/// The step sizes that are tried, the longest first.
pub const STEP_SIZES: [f32; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];

/// Batches on which they are tried: five times their forward passes are a small share of an
/// estimate's forward and backward passes.
fn batches(gradients: usize) -> u64 {
    (gradients as u64 / 16).clamp(4, 32)
}

/// The step size of least loss, the longer of equal ones, on the batches that come after those of
/// `gradients` gradients. Breaks if the observer wants to stop.
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
