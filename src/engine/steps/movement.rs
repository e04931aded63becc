//! Movement scores for pruning before the first step.

use crate::engine::EngineError;
use crate::engine::context::StageContext;
use crate::engine::events::Observer;
use crate::engine::state::StageState;
use crate::engine::training::gradients;
use crate::method::qat::Phase;
use crate::task::Task;

/// Accumulates the scores of the first batch's gradients if the stage has a pruning event before its first step and
/// prunes by movement, so that scores cover at least one step, as in SparseML.
///
/// # Errors
/// None: the signature is that of the other steps.
pub fn before<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    _: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    if state.movement.lacks_steps() && !context.timeline.prunes_before(state.step).is_empty() {
        let batch = state.sampler.batch(state.step);
        let (_, gradients) = gradients(context, &state.model, &batch, state.step, Phase::Evaluating);
        state.movement.add(&state.model, &gradients);
    }
    Ok(state)
}
