//! The quantizers of a model's tensors, through its task.

use std::sync::Arc;

use crate::method::qat::quantizer::Mode;
use crate::method::qat::{Phase, Quantizer};
use crate::task::Task;
use crate::task::quantizers::Quantizers;

use super::EngineError;

/// The model with other quantizers.
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

/// The model with quantizers of its own: what a stage observes is no other model's.
///
/// # Errors
/// As [`set`].
pub fn own<T: Task>(task: &T, model: T::Model, stage: &str) -> Result<T::Model, EngineError> {
    match task.quantizers(&model).cloned() {
        None => Ok(model),
        Some(shared) => set(task, model, Some(Arc::new(shared.copied())), stage),
    }
}

/// Refuses ranges that are not finite.
///
/// # Errors
/// The first such range.
pub fn check_ranges<T: Task>(task: &T, model: &T::Model, stage: &str, step: u64) -> Result<(), EngineError> {
    match task.quantizers(model).and_then(|quantizers| quantizers.non_finite()) {
        None => Ok(()),
        Some(tensor) => {
            let (stage, tensor) = (stage.to_owned(), tensor.to_owned());
            Err(EngineError::RangeNotFinite { stage, step, tensor })
        }
    }
}

/// Computes while all quantizers are in a phase.
pub fn in_phase<T: Task, R>(task: &T, model: &T::Model, phase: Phase, compute: impl FnOnce() -> R) -> R {
    let quantizers = task.quantizers(model);
    quantizers.iter().for_each(|all| all.set_phase(phase));
    let computed = compute();
    quantizers.iter().for_each(|all| all.set_phase(Phase::Evaluating));
    computed
}

/// Fixes all ranges that are still observed.
///
/// # Errors
/// A tensor that was never observed.
pub fn fix_all<T: Task>(task: &T, model: &T::Model, stage: &str, step: u64) -> Result<(), EngineError> {
    let Some(quantizers) = task.quantizers(model) else { return Ok(()) };
    quantizers.iter().try_for_each(|(name, quantizer)| fix(name, quantizer, stage, step))
}

/// Fixes the range of one tensor.
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
