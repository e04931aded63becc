//! Operations on the quantizers of a model.

use std::sync::Arc;

use crate::method::qat::quantizer::Mode;
use crate::method::qat::{Phase, Quantizer};
use crate::task::Task;
use crate::task::quantizers::Quantizers;

use super::EngineError;

/// Sets the quantizers of a model.
///
/// # Errors
/// A task whose model cannot be quantized.
pub fn set<T: Task>(
    task: &T,
    model: T::Model,
    quantizers: Option<Arc<Quantizers>>,
    stage: &str,
) -> Result<T::Model, EngineError> {
    if quantizers.is_none() && task.quantizers(&model).is_none() {
        return Ok(model);
    }
    let set = task.set_quantizers(model, quantizers);
    set.ok_or_else(|| EngineError::NotQuantizable { stage: stage.to_owned() })
}

/// Gives a model quantizers of its own, so that its clones do not share the ranges that a stage observes.
///
/// # Errors
/// As [`set`].
pub fn own<T: Task>(task: &T, model: T::Model, stage: &str) -> Result<T::Model, EngineError> {
    match task.quantizers(&model).cloned() {
        None => Ok(model),
        Some(shared) => set(task, model, Some(Arc::new(shared.copied())), stage),
    }
}

/// Checks that all observed ranges are finite.
///
/// # Errors
/// The first tensor with a range that is not finite.
pub fn check_ranges<T: Task>(task: &T, model: &T::Model, stage: &str, step: u64) -> Result<(), EngineError> {
    match task.quantizers(model).and_then(|quantizers| quantizers.non_finite()) {
        None => Ok(()),
        Some(tensor) => {
            let (stage, tensor) = (stage.to_owned(), tensor.to_owned());
            Err(EngineError::RangeNotFinite { stage, step, tensor })
        }
    }
}

/// Runs `compute` with all quantizers of the model in this [`Phase`], then sets [`Phase::Evaluating`] again.
pub fn in_phase<T: Task, R>(task: &T, model: &T::Model, phase: Phase, compute: impl FnOnce() -> R) -> R {
    let quantizers = task.quantizers(model);
    quantizers.iter().for_each(|all| all.set_phase(phase));
    let computed = compute();
    quantizers.iter().for_each(|all| all.set_phase(Phase::Evaluating));
    computed
}

/// Whether a forward pass in this phase changes ranges.
pub fn observe<T: Task>(task: &T, model: &T::Model, phase: Phase) -> bool {
    task.quantizers(model).is_some_and(|all| all.iter().any(|(_, quantizer)| quantizer.observes(phase)))
}

/// Freezes the scales of all quantizers.
///
/// # Errors
/// A tensor that was never observed.
pub fn fix_all<T: Task>(task: &T, model: &T::Model, stage: &str, step: u64) -> Result<(), EngineError> {
    let Some(quantizers) = task.quantizers(model) else { return Ok(()) };
    quantizers.iter().try_for_each(|(name, quantizer)| fix(name, quantizer, stage, step))
}

/// Freezes the scale of a quantizer.
///
/// # Errors
/// If it was never observed.
pub fn fix(name: &str, quantizer: &Quantizer, stage: &str, step: u64) -> Result<(), EngineError> {
    if !quantizer.has_scales() {
        let (stage, tensor) = (stage.to_owned(), name.to_owned());
        return Err(EngineError::NeverObserved { stage, step, tensor });
    }
    quantizer.set_mode(Mode::Frozen);
    Ok(())
}
