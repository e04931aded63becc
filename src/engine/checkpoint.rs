//! Saves the state of a stage to a checkpoint, and restores it.

use crate::task::Task;

use super::EngineError;
use super::best::{self, Best};
use super::context::StageContext;
use super::position::Position;
use super::quantizers;
use super::snapshot::{Restored, Snapshot};
use super::state::{Clock, StageState};
use super::steps::freeze;

/// The checkpoint before the next step.
pub fn snapshot<'a, T: Task>(context: &'a StageContext<T>, state: &'a StageState<T::Model>) -> Snapshot<'a> {
    let mut snapshot = Snapshot::new(Position {
        stage: context.index as usize,
        name: context.name(),
        step: state.step,
        steps_per_epoch: context.steps_per_epoch,
        optimizer_steps: state.optimizer.steps(),
        movement_steps: state.movement.steps(),
        times: state.times,
        stage_seconds: state.clock.seconds(),
        seconds: context.earlier.clock.seconds(),
        results: context.earlier.results.to_vec(),
        best: state.best.as_ref().and_then(Best::evaluation).cloned(),
        baseline: state.baseline.clone(),
        quantizers: Default::default(),
    });
    // Before the first step of a run the weights are those of the initial model, which is loaded again when the run is
    // resumed.
    if context.index > 0 || state.step > 0 {
        snapshot.hold_model("model", &state.model);
        snapshot.hold_quantizers("model", context.task.quantizers(&state.model));
    }
    for (name, model) in &context.earlier.ends {
        let kind = format!("end/{name}");
        snapshot.hold_model(&kind, *model);
        snapshot.hold_quantizers(&kind, context.task.quantizers(*model));
    }
    snapshot.tensors.extend(state.optimizer.held(&state.model));
    snapshot.tensors.extend(state.movement.held(&state.model));
    snapshot.tensors.extend(state.best.iter().flat_map(Best::held));
    snapshot.hold_quantizers(best::KIND, state.best.as_ref().and_then(Best::quantizers));
    snapshot.hold_masks(&state.masks);
    snapshot
}

/// Restores the state of a stage from a checkpoint.
///
/// # Errors
/// A checkpoint that does not fit the model.
pub fn restore<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    mut restored: Restored,
) -> Result<StageState<T::Model>, EngineError> {
    let (task, stage) = (context.task, context.stage);
    state.step = restored.position.step;
    state.times = restored.position.times;
    state.clock = Clock::starting(restored.position.stage_seconds);
    state.baseline = restored.position.baseline.take();
    if let Some(best) = &mut state.best {
        best.restore(&mut restored, &state.model)?;
    }
    if restored.has("model") {
        let model = restored.write_model("model", state.model)?;
        let own = restored.take_quantizers("model", &model)?;
        state.model = quantizers::set(task, model, own, &stage.name)?;
    }
    state.masks = restored.masks(&state.model)?;
    state.optimizer.restore(&mut restored, &state.model, context.device)?;
    state.optimizer.set_masks(&state.model, &state.masks, context.device);
    state.movement.restore(&mut restored, &state.model, context.device)?;
    state.model = freeze::restore(stage, &context.timeline, state.step, state.model)?;
    Ok(state)
}
