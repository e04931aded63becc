//! The steps of a stage, with what happens before each.

use std::collections::HashSet;
use std::time::Instant;

use burn::module::{Module, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

use crate::method::distill::kl_divergence;
use crate::method::mask::Mask;
use crate::schedule::ir::{Distill, Stage, Targets};
use crate::schedule::{PruneEvent, Timeline};
use crate::task::data::sampler::Sampler;
use crate::task::metric::Metrics;
use crate::task::{Output, Task, parameters};

use super::EngineError;
use super::estimation::Estimates;
use super::events::{Event, Observer, Work};
use super::gradients;
use super::masks::Masks;
use super::movement::Movements;
use super::optimizer::AdamW;
use super::pruner;
use super::results::{StageResult, Times, layer_sparsity, nonzero, overall};

/// A stage about to run.
pub struct StageRun<'a, T: Task> {
    pub task: &'a T,
    pub stage: &'a Stage,
    /// Its place in the schedule, for seeds.
    pub index: u64,
    pub seed: u64,
    /// The device, without autodiff.
    pub device: &'a Device,
    pub teacher: Option<T::Model>,
    pub limit_steps: Option<u64>,
    /// Where the surgeon's estimates live.
    pub estimates: Estimates,
}

/// What pruning changes besides the model.
struct Changing<'a> {
    masks: &'a mut Masks,
    optimizer: &'a mut AdamW,
    times: &'a mut Times,
}

/// The loss of a step, and its parts.
#[derive(Default)]
struct Losses {
    total: f64,
    task: f64,
    distill: Option<f64>,
}

impl<T: Task> StageRun<'_, T> {
    /// Runs the stage from a training model.
    pub fn run(
        &self,
        model: T::Model,
        mut masks: Masks,
        observer: &mut dyn Observer,
    ) -> Result<(T::Model, StageResult), EngineError> {
        let begin = Instant::now();
        let train = &self.stage.train;
        let mut sampler = Sampler::new(self.task.examples(), train.batch * train.accumulate, self.draw(0, 0));
        let timeline = self.timeline(sampler.steps_per_epoch());
        self.tell(
            observer,
            &Event::StageStarted {
                stage: self.stage.name.clone(),
                branch: self.stage.branch_from.is_some(),
                steps: timeline.steps(),
                steps_per_epoch: timeline.steps_per_epoch(),
            },
        )?;
        let mut optimizer = AdamW::new(train, &model);
        self.set_factors(&model, &mut optimizer)?;
        let mut model = model;
        let mut times = Times::default();
        let mut movements = Movements::new(self.stage, &model)?;
        for step in 0..timeline.steps() {
            if observer.wants_to_stop() {
                return Err(EngineError::Stopped { stage: self.stage.name.clone(), step });
            }
            self.first_movement(step, &timeline, &model, &mut sampler, &mut movements);
            let changing = Changing { masks: &mut masks, optimizer: &mut optimizer, times: &mut times };
            model = self.before_step(step, &timeline, model, changing, &movements, observer)?;
            let clock = Instant::now();
            let (losses, gradients) = self.gradients(&model, &sampler.batch(step), step, &timeline);
            movements.add(&model, &gradients);
            let loss = losses.total;
            if !loss.is_finite() {
                return Err(EngineError::LossNotFinite { stage: self.stage.name.clone(), step, loss });
            }
            let lr = timeline.lr(step);
            let (moved, norm) = optimizer.step(model, gradients, lr);
            model = moved;
            times.training += clock.elapsed().as_secs_f64();
            self.tell(
                observer,
                &Event::Step {
                    stage: self.stage.name.clone(),
                    step,
                    epoch: timeline.epoch(step),
                    loss,
                    task_loss: losses.task,
                    distill_loss: losses.distill,
                    lr,
                    gradient_norm: norm,
                },
            )?;
            observer.progress(Work::Training(&self.stage.name), step + 1, timeline.steps());
        }
        let end = timeline.steps();
        self.first_movement(end, &timeline, &model, &mut sampler, &mut movements);
        let mut changing = Changing { masks: &mut masks, optimizer: &mut optimizer, times: &mut times };
        model = self.prune_before(end, &timeline, model, &mut changing, &movements, observer)?;
        let metrics = self.evaluate(&model, end, &mut times, observer)?;
        let sparsity = layer_sparsity(&model);
        let nonzero = nonzero(&model);
        self.tell(
            observer,
            &Event::StageFinished {
                stage: self.stage.name.clone(),
                sparsity: overall(&sparsity),
                seconds: begin.elapsed().as_secs_f64(),
            },
        )?;
        let result = StageResult {
            name: self.stage.name.clone(),
            branch: self.stage.branch_from.is_some(),
            metrics,
            sparsity,
            nonzero,
            times,
        };
        Ok((model, result))
    }

    /// The stage over real steps; with a limit, over so short epochs that it has no more.
    fn timeline(&self, steps_per_epoch: u64) -> Timeline {
        let mut steps_per_epoch = steps_per_epoch;
        if let Some(limit) = self.limit_steps {
            while steps_per_epoch > 1 && self.stage.length.first_step(steps_per_epoch) > limit {
                let over = self.stage.length.first_step(steps_per_epoch);
                let scaled = (steps_per_epoch as u128 * u128::from(limit) / u128::from(over)) as u64;
                steps_per_epoch = scaled.clamp(1, steps_per_epoch - 1);
            }
        }
        Timeline::new(self.stage, steps_per_epoch)
    }

    /// What happens before a step's forward pass: masks that begin or end to be held, pruning,
    /// measuring.
    fn before_step(
        &self,
        step: u64,
        timeline: &Timeline,
        model: T::Model,
        mut changing: Changing,
        movements: &Movements,
        observer: &mut dyn Observer,
    ) -> Result<T::Model, EngineError> {
        self.hold_before(step, timeline, &model, changing.masks, changing.optimizer)?;
        let model = self.freeze_before(step, timeline, model)?;
        let model = self.prune_before(step, timeline, model, &mut changing, movements, observer)?;
        if timeline.evaluates_before(step) {
            self.evaluate(&model, step, changing.times, observer)?;
        }
        Ok(model)
    }

    /// Movement is measured over at least one step: where pruning comes before the first, over that
    /// step's own gradient, as SparseML does.
    fn first_movement(
        &self,
        step: u64,
        timeline: &Timeline,
        model: &T::Model,
        sampler: &mut Sampler,
        movements: &mut Movements,
    ) {
        if movements.lacks_steps() && !timeline.prunes_before(step).is_empty() {
            let (_, gradients) = self.gradients(model, &sampler.batch(step), step, timeline);
            movements.add(model, &gradients);
        }
    }

    fn hold_before(
        &self,
        step: u64,
        timeline: &Timeline,
        model: &T::Model,
        masks: &mut Masks,
        optimizer: &mut AdamW,
    ) -> Result<(), EngineError> {
        let mut changed = false;
        for hold in &self.stage.hold {
            let inside = timeline.contains(hold.start, hold.end, step);
            let was = step > 0 && timeline.contains(hold.start, hold.end, step - 1);
            if inside == was {
                continue;
            }
            changed = true;
            let matcher =
                hold.targets.selector.matcher().map_err(|e| EngineError::selector(&self.stage.name, e))?;
            for (name, weights) in parameters::read(model, |name| matcher.matches(name)) {
                if inside {
                    masks.set(name, Mask::of_nonzeros(&weights));
                } else {
                    masks.remove(&name);
                }
            }
        }
        if changed {
            optimizer.set_masks(model, masks, self.device);
        }
        Ok(())
    }

    /// The model with gradients for what is not frozen at this step.
    fn freeze_before(
        &self,
        step: u64,
        timeline: &Timeline,
        model: T::Model,
    ) -> Result<T::Model, EngineError> {
        let frozen_at = |step| -> Vec<bool> {
            self.stage.freeze.iter().map(|f| timeline.contains(f.start, f.end, step)).collect()
        };
        let frozen = frozen_at(step);
        let before = if step > 0 { frozen_at(step - 1) } else { vec![false; frozen.len()] };
        if frozen == before {
            return Ok(model);
        }
        let mut ids = HashSet::new();
        for freeze in self.stage.freeze.iter().zip(frozen).filter_map(|(f, now)| now.then_some(f)) {
            ids.extend(self.selected(&model, &freeze.targets)?);
        }
        Ok(gradients::trained_alone(model, |id| !ids.contains(&id)))
    }

    fn set_factors(&self, model: &T::Model, optimizer: &mut AdamW) -> Result<(), EngineError> {
        for factor in &self.stage.lr_factors {
            for id in self.selected(model, &factor.targets)? {
                optimizer.set_factor(id, factor.factor);
            }
        }
        Ok(())
    }

    fn selected(&self, model: &T::Model, targets: &Targets) -> Result<Vec<ParamId>, EngineError> {
        let matcher = targets.selector.matcher().map_err(|e| EngineError::selector(&self.stage.name, e))?;
        let all = parameters::parameters(model).into_iter();
        Ok(all.filter(|p| matcher.matches(&p.parameter.name)).map(|p| p.id).collect())
    }

    fn prune_before(
        &self,
        step: u64,
        timeline: &Timeline,
        model: T::Model,
        changing: &mut Changing,
        movements: &Movements,
        observer: &mut dyn Observer,
    ) -> Result<T::Model, EngineError> {
        let Changing { masks, optimizer, times } = changing;
        let mut model = model;
        for event in timeline.prunes_before(step) {
            let clock = Instant::now();
            let pruned = self.prune(model, &event, masks, movements, observer)?;
            model = pruned.model;
            optimizer.set_masks(&model, masks, self.device);
            let seconds = clock.elapsed().as_secs_f64();
            times.pruning += seconds;
            let targets = pruner::targets(&model, &self.stage.prune[event.prune], &self.stage.name)?;
            let of_targets = targets.iter().filter_map(|t| masks.get(&t.parameter.name));
            let (gone, all) = of_targets.fold((0, 0), |(p, n), m| (p + m.pruned(), n + m.len()));
            self.tell(
                observer,
                &Event::Pruned {
                    stage: self.stage.name.clone(),
                    step,
                    at: event.at.to_string(),
                    parameters: targets.len(),
                    target: event.sparsity,
                    sparsity: gone as f64 / usize::max(all, 1) as f64,
                    raised_damp: pruned.raised_damp,
                    lengths: pruned.lengths,
                    seconds,
                },
            )?;
        }
        Ok(model)
    }

    fn prune(
        &self,
        model: T::Model,
        event: &PruneEvent,
        masks: &mut Masks,
        movements: &Movements,
        observer: &mut dyn Observer,
    ) -> Result<pruner::Pruned<T::Model>, EngineError> {
        let statement = &self.stage.prune[event.prune];
        let training = self.device.clone().autodiff();
        let context = pruner::Context {
            stage: &self.stage.name,
            step: event.step,
            device: &training,
            plain: self.device,
            estimates: self.estimates,
            movements,
            seed: self.draw(2 + event.prune as u64, event.step),
        };
        pruner::prune(self.task, model, statement, event, masks, &context, |done, total| {
            observer.progress(Work::Gradients(&self.stage.name), done, total);
        })
    }

    /// The gradients of a step's mean loss, one batch after the other where several are summed.
    fn gradients(
        &self,
        model: &T::Model,
        examples: &[usize],
        step: u64,
        timeline: &Timeline,
    ) -> (Losses, GradientsParams) {
        let mut losses = Losses::default();
        let mut sum = GradientsAccumulator::new();
        for (part, batch) in examples.chunks(self.stage.train.batch).enumerate() {
            let weight = batch.len() as f64 / examples.len() as f64;
            let (loss, of_batch) = self.losses(model, batch, step, part as u64, timeline);
            losses.total += of_batch.total * weight;
            losses.task += of_batch.task * weight;
            if let Some(distill) = of_batch.distill {
                *losses.distill.get_or_insert(0.0) += distill * weight;
            }
            // Where everything is frozen there is nothing to go back to.
            if gradients::any_trained(model) {
                let loss = if weight == 1.0 { loss } else { loss * weight };
                sum.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
            }
        }
        (losses, sum.grads())
    }

    fn losses(
        &self,
        model: &T::Model,
        examples: &[usize],
        step: u64,
        part: u64,
        timeline: &Timeline,
    ) -> (Tensor<1>, Losses) {
        let device = self.device.clone().autodiff();
        let batch = self.task.batch(examples, &device);
        let outputs = self.task.outputs(model, &batch, Some(self.draw(1, step).wrapping_add(part)));
        let task_loss = self.task.loss(&outputs, &batch);
        let task = scalar(&task_loss);
        let active = self.stage.distill.as_ref().filter(|d| timeline.contains(d.start, d.end, step));
        let (Some(distill), Some(teacher)) = (active, &self.teacher) else {
            return (task_loss, Losses { total: task, task, distill: None });
        };
        let plain = self.task.batch(examples, self.device);
        let taught = self.task.outputs(teacher, &plain, None);
        let loss = distillation(distill, &outputs, taught, &device);
        let value = scalar(&loss);
        let total = match distill.hardness {
            1.0 => loss,
            hardness => task_loss * (1.0 - hardness) + loss * hardness,
        };
        let losses = Losses { total: scalar(&total), task, distill: Some(value) };
        (total, losses)
    }

    fn evaluate(
        &self,
        model: &T::Model,
        step: u64,
        times: &mut Times,
        observer: &mut dyn Observer,
    ) -> Result<Metrics, EngineError> {
        let clock = Instant::now();
        let metrics = self.task.evaluate(&model.valid(), self.device, &mut |done, total| {
            observer.progress(Work::Evaluating(&self.stage.name), done as u64, total as u64);
        });
        let seconds = clock.elapsed().as_secs_f64();
        times.evaluating += seconds;
        self.tell(
            observer,
            &Event::Evaluated { stage: self.stage.name.clone(), step, metrics: metrics.clone(), seconds },
        )?;
        Ok(metrics)
    }

    /// A seed for one purpose at one step of this stage.
    fn draw(&self, purpose: u64, step: u64) -> u64 {
        [self.index, purpose, step].iter().fold(self.seed, |seed, part| {
            let mut z = (seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
    }

    fn tell(&self, observer: &mut dyn Observer, event: &Event) -> Result<(), EngineError> {
        observer.event(event).map_err(EngineError::Observer)
    }
}

/// The mean divergence over the matched outputs.
fn distillation(distill: &Distill, outputs: &[Output], taught: Vec<Output>, device: &Device) -> Tensor<1> {
    let matched = |output: &&Output| {
        distill.outputs.is_empty() || distill.outputs.iter().any(|name| name == output.name)
    };
    let mut sum: Option<Tensor<1>> = None;
    let mut count = 0;
    for student in outputs.iter().filter(matched) {
        let Some(teacher) = taught.iter().find(|t| t.name == student.name) else { continue };
        let constant = Tensor::from_data(teacher.logits.to_data(), device);
        let loss = kl_divergence(student.logits.clone(), constant, distill.temperature);
        sum = Some(sum.map_or(loss.clone(), |s| s + loss));
        count += 1;
    }
    match sum {
        Some(sum) => sum / f64::from(count),
        None => Tensor::zeros([1], device),
    }
}

fn scalar(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}
