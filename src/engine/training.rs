//! An optimizer step: forward and backward passes with gradient accumulation, and AdamW.

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::method::qat::Phase;
use crate::runlog::{Step, number};
use crate::task::{HiddenStates, Task, autocast};

use super::EngineError;
use super::context::StageContext;
use super::device;
use super::events::{Event, Observer, Work};
use super::gradient_sum::GradientSum;
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

impl Losses {
    /// Adds the losses of a batch, multiplied by its share of the step's examples.
    fn add(&mut self, of_batch: &Losses, weight: f64) {
        self.total += of_batch.total * weight;
        self.task += of_batch.task * weight;
        for (sum, part) in [(&mut self.distill, of_batch.distill), (&mut self.hidden, of_batch.hidden)] {
            if let Some(part) = part {
                *sum.get_or_insert(0.0) += part * weight;
            }
        }
    }

    /// For the other ranks: four numbers, those that there are marked by a byte of 1 before them.
    fn to_bytes(&self) -> Vec<u8> {
        let numbers = [Some(self.total), Some(self.task), self.distill, self.hidden];
        let bytes = numbers.map(|n| {
            let mut bytes = vec![u8::from(n.is_some())];
            bytes.extend(n.unwrap_or_default().to_le_bytes());
            bytes
        });
        bytes.concat()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut numbers = bytes
            .as_chunks::<9>()
            .0
            .iter()
            .map(|[is_some, number @ ..]| (*is_some == 1).then(|| f64::from_le_bytes(*number)));
        let mut next = || numbers.next().flatten();
        let (total, task) = (next().unwrap_or_default(), next().unwrap_or_default());
        Losses { total, task, distill: next(), hidden: next() }
    }
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

/// The gradients of the mean loss over examples, with gradient accumulation over batches, which the ranks share: of N
/// ranks, rank r computes batches r, r + N, …
///
/// While ranges are observed, every rank does the forward passes of all batches in order, as the scales of a batch
/// depend on the batches before it; the backward passes are shared.
pub fn gradients<T: Task>(
    context: &StageContext<T>,
    model: &T::Model,
    examples: &[usize],
    step: u64,
    phase: Phase,
) -> (Losses, GradientsParams) {
    let ranks = &context.ranks;
    let mut losses = Losses::default();
    let mut sum = GradientSum::new(ranks, model);
    let observes = quantizers::observe(context.task, model, phase);
    let batches: Vec<&[usize]> = examples.chunks(context.stage.train.batch).collect();
    for (round, batches) in batches.chunks(ranks.size()).enumerate() {
        let weight = |batch: &[usize]| batch.len() as f64 / examples.len() as f64;
        let mut own = (Losses::default(), None);
        for (rank, batch) in batches.iter().enumerate() {
            let is_own = rank == ranks.rank();
            if !is_own && !observes {
                continue;
            }
            let part = (round * ranks.size() + rank) as u64;
            let (loss, of_batch) = forward(context, model, batch, (step, part), phase);
            if is_own {
                let weight = weight(batch);
                // With all parameters frozen there is no backward pass.
                let gradients = gradients::any_trained(model).then(|| {
                    let loss = if weight == 1.0 { loss } else { loss * weight };
                    GradientsParams::from_grads(loss.backward(), model)
                });
                own = (of_batch, gradients);
            }
        }
        let (own, gradients) = own;
        for (batch, of_batch) in batches.iter().zip(ranks.all_gather(&own.to_bytes())) {
            losses.add(&Losses::from_bytes(&of_batch), weight(batch));
        }
        sum.add(gradients);
    }
    (losses, sum.finish())
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
