//! Runs a stage: a loop over its state.

use burn::module::Module;

use crate::runlog::{self, StageFinished, StageStarted};
use crate::schedule::ir::{Precision, Stage};
use crate::task::Task;

use super::EngineError;
use super::context::{StageContext, StepAction};
use super::events::{Event, Observer};
use super::machine;
use super::quantizers;
use super::results::{Baseline, BestStep, StageResult, encoder_bytes, layer_sparsity, nonzero};
use super::snapshot::Restored;
use super::state::StageState;
use super::steps::{checkpoint, evaluate, freeze, hold, movement, prune, quantize};
use super::training;
use super::{checkpoint as saved, context};

/// The actions before each step and at the end of the stage, in order.
fn before_step<T: Task>() -> [StepAction<T>; 7] {
    [
        checkpoint::before,
        movement::before,
        hold::before,
        freeze::before,
        prune::before,
        quantize::before,
        evaluate::before,
    ]
}

/// Runs a stage from its beginning or from a checkpoint. Returns its final model and its result.
///
/// # Errors
/// Any that stops the run.
pub fn run<T: Task>(
    context: &StageContext<T>,
    model: T::Model,
    restored: Option<Restored>,
    observer: &mut dyn Observer,
) -> Result<(T::Model, StageResult), EngineError> {
    let mut state = begin(context, model, restored, observer)?;
    loop {
        for action in before_step::<T>() {
            state = action(context, state, observer)?;
        }
        if context.is_end(state.step) {
            return finish(context, state, observer);
        }
        state = training::step(context, state, observer)?;
    }
}

/// The state before the first step, or that of a checkpoint.
fn begin<T: Task>(
    context: &StageContext<T>,
    model: T::Model,
    restored: Option<Restored>,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let stage = context.stage;
    check(context, stage, &model)?;
    let model = quantizers::own(context.task, model, &stage.name)?;
    let sampler = context::sampler(context.task, stage, context.index, context.seed);
    let state = StageState::new(model, stage, context.baseline.clone(), sampler)?;
    if let Some(restored) = restored {
        return saved::restore(context, state, restored);
    }
    let started = StageStarted {
        stage: context.name(),
        branch: stage.branch_from.is_some(),
        steps: context.timeline.steps(),
        steps_per_epoch: context.timeline.steps_per_epoch(),
    };
    context.report(observer, Event::StageStarted(started))?;
    Ok(state)
}

/// Checks before the first step that the task supports what the stage needs.
fn check<T: Task>(context: &StageContext<T>, stage: &Stage, model: &T::Model) -> Result<(), EngineError> {
    let (task, smoothing) = (context.task, stage.train.label_smoothing);
    if smoothing != 0.0 && task.examples() > 0 {
        let batch = task.batch(&[0], context.device);
        let outputs = task.outputs(&model.valid(), &batch, None);
        if task.smoothed_loss(&outputs, &batch, smoothing).is_none() {
            return Err(EngineError::NoSmoothing { stage: stage.name.clone() });
        }
    }
    if stage.train.precision == Precision::Bf16 && !task.autocasts() {
        return Err(EngineError::NoAutocast { stage: stage.name.clone() });
    }
    Ok(())
}

/// The final model of a stage, with its best weights if `keep_best`, and its result.
fn finish<T: Task>(
    context: &StageContext<T>,
    state: StageState<T::Model>,
    observer: &mut dyn Observer,
) -> Result<(T::Model, StageResult), EngineError> {
    let StageState { mut model, best, baseline, step, times, clock, .. } = state;
    let (task, name) = (context.task, &context.stage.name);
    let mut metrics = baseline.map(|baseline: Baseline| baseline.metrics).unwrap_or_default();
    let mut best_step: Option<BestStep> = None;
    if let Some((weights, best_quantizers, which, evaluated)) = best.and_then(|best| best.take(&model)) {
        model = quantizers::set(task, weights, best_quantizers, name)?;
        (best_step, metrics) = (Some(which), evaluated);
    }
    quantizers::fix_all(task, &model, name, step)?;
    if let Some(BestStep { metric, step, value }) = best_step.clone() {
        context.report(observer, Event::Kept(runlog::Kept { stage: name.clone(), step, metric, value }))?;
    }
    let sparsity = layer_sparsity(&model);
    let nonzero = nonzero(&model);
    let encoder_bytes = encoder_bytes(&model, task.quantizers(&model));
    let finished = StageFinished {
        stage: name.clone(),
        sparsity: runlog::sparsity(&sparsity),
        layers: sparsity.clone(),
        values: Some(nonzero.1),
        nonzero: Some(nonzero.0),
        encoder_bytes: Some(encoder_bytes),
        seconds: clock.seconds(),
        memory: machine::peak_memory(),
    };
    context.report(observer, Event::StageFinished(finished))?;
    let branch = context.stage.branch_from.is_some();
    let result = StageResult {
        name: name.clone(),
        branch,
        metrics,
        best: best_step,
        sparsity,
        nonzero,
        encoder_bytes,
        times,
    };
    Ok((model, result))
}
