//! `freeze`: parameters without gradients.

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

/// Freezes and unfreezes parameters where a `freeze` window begins or ends. At the end of the stage all are unfrozen.
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

/// Freezes the parameters of a restored model that are frozen at its step.
///
/// # Errors
/// A selector that cannot be read.
pub fn restore<M: Module>(stage: &Stage, timeline: &Timeline, step: u64, model: M) -> Result<M, EngineError> {
    match step.checked_sub(1).map(|before| frozen_at(stage, timeline, before)) {
        Some(frozen) if frozen.contains(&true) => freeze(stage, &frozen, model),
        _ => Ok(model),
    }
}

/// The `freeze` statements in effect at a step; none at the end of the stage.
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
