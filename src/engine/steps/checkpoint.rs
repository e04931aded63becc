//! Writes a checkpoint before a step, and stops the run if it was asked to stop.

use crate::engine::EngineError;
use crate::engine::checkpoint::snapshot;
use crate::engine::context::StageContext;
use crate::engine::events::Observer;
use crate::engine::position::CheckpointTrigger;
use crate::engine::state::StageState;
use crate::task::Task;

/// Writes a checkpoint, if the observer wants one before this step.
///
/// # Errors
/// A checkpoint that cannot be written, or an observer that wants to stop.
pub fn before<T: Task>(
    context: &StageContext<T>,
    state: StageState<T::Model>,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let step = state.step;
    let stops = context.ranks.any(observer.wants_to_stop());
    // The checkpoint that the run was resumed from exists already.
    let is_new = context.resumed_at != Some(step);
    if is_new && observer.wants_checkpoint(CheckpointTrigger::of(step, &context.timeline, stops)) {
        observer.checkpoint(&snapshot(context, &state)).map_err(EngineError::Observer)?;
    }
    match stops {
        true => Err(EngineError::Stopped { stage: context.name(), step }),
        false => Ok(state),
    }
}
