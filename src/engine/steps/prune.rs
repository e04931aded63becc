//! `prune`: the pruning events before a step.

use std::time::Instant;

use crate::engine::EngineError;
use crate::engine::context::StageContext;
use crate::engine::events::{Event, Observer};
use crate::engine::machine;
use crate::engine::pruner;
use crate::engine::pruning_context::Context;
use crate::engine::seeds;
use crate::engine::state::StageState;
use crate::engine::targets::Targets;
use crate::engine::warnings::{self, Remaining};
use crate::runlog::{self, LayerSparsity, Pruned, number};
use crate::schedule::PruneEvent;
use crate::task::Task;

/// Carries out the pruning events of a step, in the order of the recipe.
///
/// # Errors
/// A parameter that cannot be pruned, or an observer that wants to stop.
pub fn before<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    for event in context.timeline.prunes_before(state.step) {
        state = prune(context, state, &event, observer)?;
    }
    Ok(state)
}

fn prune<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    event: &PruneEvent,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let clock = Instant::now();
    let statement = &context.stage.prune[event.prune];
    let targets = Targets::select(&state.model, statement, &context.stage.name)?;
    let heads = warnings::heads(context.task, &state.model);
    let before = Remaining::count(&targets, &state.masks, &heads, statement.pattern);
    let training = context.device.clone().autodiff();
    let of_event = Context {
        stage: &context.stage.name,
        step: event.step,
        device: &training,
        plain: context.device,
        estimates: context.estimates,
        movements: &state.movement,
        ranks: &context.ranks,
        seed: seeds::of_pruning(context.seed, context.index, event.prune, event.step),
    };
    let pruned =
        pruner::prune(context.task, state.model, statement, event, &mut state.masks, &of_event, observer)?;
    state.model = pruned.model;
    state.optimizer.set_masks(&state.model, &state.masks, context.device);
    let seconds = clock.elapsed().as_secs_f64();
    state.times.pruning += seconds;
    let after = Remaining::count(&targets, &state.masks, &heads, statement.pattern);
    let layer = |name: &str| {
        let mask = state.masks.get(name)?;
        Some(LayerSparsity { name: name.to_owned(), count: mask.len(), zeros: mask.pruned() })
    };
    let layers: Vec<LayerSparsity> = targets.names().filter_map(layer).collect();
    let event = Pruned {
        stage: context.name(),
        step: state.step,
        at: event.at.to_string(),
        parameters: targets.parameters.len(),
        target: number(event.sparsity),
        sparsity: runlog::sparsity(&layers),
        raised_damp: pruned.raised_damp,
        step_sizes: pruned.step_sizes,
        output_errors: pruned.output_errors,
        layers,
        empty_outputs: after.empty_outputs(),
        seconds,
        memory: machine::peak_memory(),
    };
    context.report(observer, Event::Pruned(event))?;
    for warning in after.warnings(&before, &context.stage.name, state.step, statement) {
        context.report(observer, Event::Warning(warning))?;
    }
    if let Some(baseline) = &mut state.baseline {
        baseline.pruned_since.get_or_insert(state.step);
    }
    Ok(state)
}
