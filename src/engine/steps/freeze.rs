//! `freeze`: parameters that are not trained.

use std::collections::HashSet;

use burn::module::Module;

use crate::engine::EngineError;
use crate::engine::context::StageContext;
use crate::engine::events::Observer;
use crate::engine::gradients;
use crate::engine::state::StageState;
use crate::engine::targets::ids;
use crate::schedule::Timeline;
use crate::schedule::ir::Stage;
use crate::task::Task;

/// Gradients for what is not frozen at this step, where that has changed. At the end of the stage nothing is
/// frozen any more.
///
/// # Errors
/// A selector that cannot be read.
pub fn before<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    _: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let (stage, timeline) = (context.stage, &context.timeline);
    let frozen = frozen_at(stage, timeline, state.step);
    let before = match state.step {
        0 => vec![false; frozen.len()],
        step => frozen_at(stage, timeline, step - 1),
    };
    if frozen != before {
        state.model = freeze(stage, &frozen, state.model)?;
    }
    Ok(state)
}

/// The model of a restored state as it was left before its step.
///
/// # Errors
/// A selector that cannot be read.
pub fn restore<M: Module>(stage: &Stage, timeline: &Timeline, step: u64, model: M) -> Result<M, EngineError> {
    match step.checked_sub(1).map(|before| frozen_at(stage, timeline, before)) {
        Some(frozen) if frozen.contains(&true) => freeze(stage, &frozen, model),
        _ => Ok(model),
    }
}

/// Which `freeze` statements hold at a step; none at the end of the stage.
fn frozen_at(stage: &Stage, timeline: &Timeline, step: u64) -> Vec<bool> {
    let holds = |start, end| step < timeline.steps() && timeline.contains(start, end, step);
    stage.freeze.iter().map(|f| holds(f.start, f.end)).collect()
}

fn freeze<M: Module>(stage: &Stage, frozen: &[bool], model: M) -> Result<M, EngineError> {
    let mut all = HashSet::new();
    for (freeze, _) in stage.freeze.iter().zip(frozen).filter(|(_, frozen)| **frozen) {
        all.extend(ids(&model, &freeze.targets, &stage.name)?);
    }
    Ok(gradients::trained_alone(model, |id| !all.contains(&id)))
}
