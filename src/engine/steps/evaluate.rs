//! `evaluate`: evaluation on the dev set, and the best checkpoint.

use std::time::Instant;

use burn::module::Module;

use crate::engine::EngineError;
use crate::engine::best::QuantizationState;
use crate::engine::context::StageContext;
use crate::engine::events::{Event, Observer, Work, logged};
use crate::engine::results::Baseline;
use crate::engine::state::StageState;
use crate::engine::warnings::metric_cost;
use crate::runlog::Evaluated;
use crate::task::Task;
use crate::task::evaluation::on_ranks;

use super::quantize;

/// Evaluates at the steps of `evaluate every`, and at the end of the stage.
///
/// # Errors
/// The metric of `keep_best` is not computed.
pub fn before<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let step = state.step;
    if !context.is_end(step) && !context.timeline.evaluates_before(step) {
        return Ok(state);
    }
    let clock = Instant::now();
    let metrics = on_ranks(&context.ranks, || {
        context.task.evaluate(&state.model.valid(), context.device, &mut |done, total| {
            observer.progress(Work::Evaluating(&context.stage.name), done as u64, total as u64);
        })
    });
    let seconds = clock.elapsed().as_secs_f64();
    state.times.evaluating += seconds;
    let event = Evaluated { stage: context.name(), step, metrics: logged(&metrics), seconds };
    context.report(observer, Event::Evaluated(event))?;
    if let Some(best) = &mut state.best {
        let quantization = QuantizationState {
            quantizers: context.task.quantizers(&state.model),
            is_complete: quantize::is_complete(context, &state.model, step),
        };
        best.consider(&state.model, &context.stage.name, step, &context.timeline, &metrics, quantization)?;
    }
    if let Some(Baseline { metrics: before, pruned_since: Some(pruned_at) }) = &state.baseline {
        let (stage, prune) = (&context.stage.name, &context.stage.prune);
        if let Some(warning) = metric_cost(stage, prune, step, (before, &metrics), *pruned_at, &state.masks) {
            context.report(observer, Event::Warning(warning))?;
        }
    }
    state.baseline = Some(Baseline { metrics, pruned_since: None });
    Ok(state)
}
