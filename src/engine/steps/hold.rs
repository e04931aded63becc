//! `hold`: masks of the present zeros, so that training leaves them zero (SparseML's `ConstantPruningModifier`).

use crate::engine::EngineError;
use crate::engine::context::StageContext;
use crate::engine::events::Observer;
use crate::engine::state::StageState;
use crate::method::mask::Mask;
use crate::task::Task;
use crate::task::parameters;

/// Adds and removes masks where a `hold` window begins or ends. At the end of the stage masks remain for the pruning
/// events there.
///
/// # Errors
/// A selector that cannot be read.
pub fn before<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    _: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let (step, stage) = (state.step, context.stage);
    if context.is_end(step) {
        return Ok(state);
    }
    let mut changed = false;
    for hold in &stage.hold {
        let inside = context.timeline.contains(hold.start, hold.end, step);
        let was = step > 0 && context.timeline.contains(hold.start, hold.end, step - 1);
        if inside == was {
            continue;
        }
        changed = true;
        let matcher = hold.targets.selector.matcher().map_err(|e| EngineError::selector(&stage.name, e))?;
        for (name, weights) in parameters::read(&state.model, |name| matcher.matches(name)) {
            if inside {
                state.masks.set(name, Mask::of_nonzeros(&weights));
            } else {
                state.masks.remove(&name);
            }
        }
    }
    if changed {
        state.optimizer.set_masks(&state.model, &state.masks, context.device);
    }
    Ok(state)
}
