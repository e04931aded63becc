//! An optimizer step: forward and backward passes with gradient accumulation, and AdamW.

use std::time::Instant;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;

use crate::method::qat::Phase;
use crate::runlog::{Step, number};
use crate::task::{HiddenStates, Task, autocast};

use super::EngineError;
use super::context::StageContext;
use super::device;
use super::events::{Event, Observer, Work};
use super::gradients;
use super::quantizers;
use super::state::StageState;

/// The total loss of a step and its parts.
#[derive(Default)]
pub struct Losses {
    total: f64,
    task: f64,
    distill: Option<f64>,
    hidden: Option<f64>,
}

/// Does the next optimizer step.
///
/// # Errors
/// A loss, a gradient or a quantization range that is not finite.
pub fn step<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let begin = Instant::now();
    let step = state.step;
    let batch = state.sampler.batch(step);
    let (losses, gradients) = gradients(context, &state.model, &batch, step, Phase::Training);
    quantizers::check_ranges(context.task, &state.model, &context.stage.name, step)?;
    state.movement.add(&state.model, &gradients);
    let loss = losses.total;
    if !loss.is_finite() {
        return Err(EngineError::LossNotFinite { stage: context.name(), step, loss });
    }
    let lr = context.timeline.lr(step);
    let norm;
    (state.model, norm) = state.optimizer.step(state.model, gradients, lr);
    if !norm.is_finite() {
        return Err(EngineError::GradientNotFinite { stage: context.name(), step, norm });
    }
    let seconds = begin.elapsed().as_secs_f64();
    state.times.training += seconds;
    state.step += 1;
    let event = Step {
        stage: context.name(),
        step,
        epoch: context.timeline.epoch(step),
        loss: number(loss),
        task_loss: number(losses.task),
        distill_loss: losses.distill.and_then(number),
        hidden_loss: losses.hidden.and_then(number),
        lr: number(lr),
        gradient_norm: number(norm),
        seconds: Some(seconds),
    };
    context.report(observer, Event::Step(event))?;
    observer.progress(Work::Training(&context.stage.name), state.step, context.timeline.steps());
    Ok(state)
}

/// The gradients of the mean loss over examples, with gradient accumulation over batches.
pub fn gradients<T: Task>(
    context: &StageContext<T>,
    model: &T::Model,
    examples: &[usize],
    step: u64,
    phase: Phase,
) -> (Losses, GradientsParams) {
    let mut losses = Losses::default();
    let mut sum = GradientsAccumulator::new();
    for (part, batch) in examples.chunks(context.stage.train.batch).enumerate() {
        let weight = batch.len() as f64 / examples.len() as f64;
        let (loss, of_batch) = forward(context, model, batch, (step, part as u64), phase);
        losses.total += of_batch.total * weight;
        losses.task += of_batch.task * weight;
        if let Some(distill) = of_batch.distill {
            *losses.distill.get_or_insert(0.0) += distill * weight;
        }
        if let Some(hidden) = of_batch.hidden {
            *losses.hidden.get_or_insert(0.0) += hidden * weight;
        }
        // With all parameters frozen there is no backward pass.
        if gradients::any_trained(model) {
            let loss = if weight == 1.0 { loss } else { loss * weight };
            sum.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
        }
    }
    (losses, sum.grads())
}

/// The loss of one batch, `[1]`, and its parts.
fn forward<T: Task>(
    context: &StageContext<T>,
    model: &T::Model,
    examples: &[usize],
    (step, part): (u64, u64),
    phase: Phase,
) -> (Tensor<1>, Losses) {
    let (task, train) = (context.task, &context.stage.train);
    let device = context.device.clone().autodiff();
    let batch = task.batch(examples, &device);
    let dropout = Some(context.seed_for(1, step).wrapping_add(part));
    let active = context.distillation.as_ref().filter(|distillation| {
        let statement = distillation.statement();
        context.timeline.contains(statement.start, statement.end, step)
    });
    let wanted = |module: &str| active.is_some_and(|distillation| distillation.matches(module));
    let mut states = HiddenStates::of(&wanted);
    let casts = device::casts(train, context.device);
    let outputs = quantizers::in_phase(task, model, phase, || {
        autocast::with(casts, || task.outputs_with_hidden_states(model, &batch, dropout, &mut states))
    });
    let task_loss = match train.label_smoothing {
        0.0 => task.loss(&outputs, &batch),
        // invariant: checked before the first step.
        smoothing => task.smoothed_loss(&outputs, &batch, smoothing).expect("smoothed labels"),
    };
    let of_task = scalar(&task_loss);
    let Some(distillation) = active else {
        return (task_loss, Losses { total: of_task, task: of_task, ..Losses::default() });
    };
    let losses = distillation.losses(task, examples, context.device, &outputs, &states.into_list());
    let distill = Some(scalar(&losses.divergence));
    let mut total = match distillation.statement().hardness {
        1.0 => losses.divergence,
        hardness => task_loss * (1.0 - hardness) + losses.divergence * hardness,
    };
    let hidden = losses.hidden.as_ref().map(scalar);
    if let Some(error) = losses.hidden {
        total = total + error;
    }
    let losses = Losses { total: scalar(&total), task: of_task, distill, hidden };
    (total, losses)
}

fn scalar(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}
