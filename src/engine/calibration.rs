//! How far the weights that stay move to make up for those that go.
//!
//! The joint update of all removed weights is the minimum of a quadratic form that holds near the
//! weights as they are. Where much goes at once, or the damp is small, it leads too far. So some
//! lengths of the same step are tried on training data that the estimate has not seen, and the one
//! of least loss is taken; no step at all, plain zeroing, is among them.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::Device;

use crate::method::mask::Mask;
use crate::method::obs::Removal;
use crate::schedule::ir::Obs;
use crate::task::Task;
use crate::task::parameters::{self, Values};

use super::gradients::Draw;

/// The lengths that are tried, the longest first.
pub const LENGTHS: [f32; 5] = [1.0, 0.75, 0.5, 0.25, 0.0];

/// Batches on which they are tried: five times their forward passes are a small share of an
/// estimate's forward and backward passes.
fn batches(gradients: usize) -> u64 {
    (gradients as u64 / 16).clamp(4, 32)
}

/// The length of least loss, the longer of equal ones; nothing if `goes_on` broke off.
pub fn length<T: Task>(
    task: &T,
    model: &T::Model,
    names: &[&str],
    (weights, masks): (&[Vec<f32>], &[Mask]),
    removals: &[Removal],
    (obs, draw, device): (&Obs, &Draw, &Device),
    goes_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Option<f32> {
    let mut sampler = draw.sampler(task.examples());
    let first = obs.gradients as u64;
    let batches: Vec<T::Batch> =
        (first..first + batches(obs.gradients)).map(|i| task.batch(&sampler.batch(i), device)).collect();
    let mut model = model.valid();
    let mut best = (f64::INFINITY, 0.0);
    for length in LENGTHS {
        let mut values = Values::new();
        for (i, name) in names.iter().enumerate() {
            let (mut weights, mut mask) = (weights[i].clone(), masks[i].clone());
            removals[i].apply(&mut weights, &mut mask, length);
            values.insert((*name).to_owned(), weights);
        }
        model = parameters::write(model, values);
        let mut loss = 0.0;
        for batch in &batches {
            let outputs = task.outputs(&model, batch, None);
            loss += f64::from(task.loss(&outputs, batch).into_scalar::<f32>());
            if goes_on().is_break() {
                return None;
            }
        }
        if loss < best.0 {
            best = (loss, length);
        }
    }
    Some(best.1)
}
