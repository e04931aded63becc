//! The steps of a stage, with what happens before each.

use std::collections::HashSet;
use std::time::Instant;

use burn::module::{Module, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

use crate::method::mask::Mask;
use crate::method::qat::Phase;
use crate::runlog::{self, Evaluated, LayerSparsity, Pruned, StageFinished, StageStarted, Step, number};
use crate::schedule::ir::{Batches, Precision, Stage, Targets};
use crate::schedule::{PruneEvent, Timeline};
use crate::task::data::sampler::Sampler;
use crate::task::metric::Metrics;
use crate::task::{States, Task, autocast, parameters};

use super::EngineError;
use super::best::{Best, Rounded};
use super::device;
use super::estimation::Estimates;
use super::events::{Event, Observer, Work, logged};
use super::gradients;
use super::keeping::{Clock, Earlier, State};
use super::machine;
use super::masks::Masks;
use super::movement::Movements;
use super::optimizer::AdamW;
use super::pruner;
use super::results::{StageResult, Times, encoder_bytes, layer_sparsity, nonzero};
use super::snapshot::Restored;
use super::teaching::Teaching;

/// A stage about to run.
pub struct StageRun<'a, T: Task> {
    pub task: &'a T,
    pub stage: &'a Stage,
    /// Its place in the schedule, for seeds.
    pub index: u64,
    pub seed: u64,
    /// The device, without autodiff.
    pub device: &'a Device,
    pub teaching: Option<Teaching<'a, T::Model>>,
    pub limit_steps: Option<u64>,
    /// What was reached before.
    pub earlier: Earlier<'a, T::Model>,
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
    hidden: Option<f64>,
}

impl<T: Task> StageRun<'_, T> {
    /// Runs the stage from a training model, or from where it was restored.
    pub fn run(
        &self,
        model: T::Model,
        restored: Option<Restored>,
        observer: &mut dyn Observer,
    ) -> Result<(T::Model, StageResult), EngineError> {
        let clock = Clock::starting(restored.as_ref().map_or(0.0, |r| r.position.stage_seconds));
        self.check_smoothing(&model)?;
        if self.stage.train.precision == Precision::Bf16 && !self.task.autocasts() {
            return Err(EngineError::NoAutocast { stage: self.stage.name.clone() });
        }
        let mut sampler = self.sampler();
        let steps_per_epoch = sampler.steps_per_epoch();
        let timeline = Timeline::limited(self.stage, steps_per_epoch, self.limit_steps);
        if restored.is_none() {
            self.tell(
                observer,
                Event::StageStarted(StageStarted {
                    stage: self.stage.name.clone(),
                    branch: self.stage.branch_from.is_some(),
                    steps: timeline.steps(),
                    steps_per_epoch: timeline.steps_per_epoch(),
                }),
            )?;
        }
        let mut optimizer = AdamW::new(&self.stage.train, &model);
        self.set_factors(&model, &mut optimizer)?;
        let mut model = self.own_rounding(model)?;
        let mut times = Times::default();
        let mut movements = Movements::new(self.stage, &model)?;
        let mut best = self.stage.keep_best.as_deref().map(|metric| Best::new(&self.stage.name, metric));
        let mut masks = Masks::default();
        let resumed = restored.as_ref().map(|r| r.position.step);
        if let Some(mut restored) = restored {
            times = restored.position.times;
            if let Some(best) = &mut best {
                best.restore(&mut restored, &model)?;
            }
            (model, masks) = self.restore(restored, model, &mut optimizer, &mut movements)?;
            // What was frozen before the next step is found frozen.
            let before = resumed.and_then(|step| step.checked_sub(1));
            if let Some(step) = before.filter(|s| self.frozen_at(*s, &timeline).contains(&true)) {
                model = self.freeze_at(step, &timeline, model)?;
            }
        }
        for step in resumed.unwrap_or(0)..timeline.steps() {
            let state = State {
                model: &model,
                masks: &masks,
                optimizer: &optimizer,
                movements: &movements,
                best: best.as_ref(),
                times,
                clock,
            };
            self.keep(step, (&timeline, steps_per_epoch), &state, resumed, observer)?;
            self.first_movement(step, &timeline, &model, &mut sampler, &mut movements);
            let changing = Changing { masks: &mut masks, optimizer: &mut optimizer, times: &mut times };
            model = self.before_step(step, &timeline, model, changing, &movements, observer)?;
            if timeline.evaluates_before(step) {
                let metrics = self.evaluate(&model, step, &mut times, observer)?;
                if let Some(best) = &mut best {
                    best.consider(&model, step, &timeline, &metrics, self.rounded(&model, step, &timeline))?;
                }
            }
            let begin = Instant::now();
            let batch = sampler.batch(step);
            let (losses, gradients) = self.gradients(&model, &batch, step, &timeline, Phase::Training);
            self.check_ranges(&model, step)?;
            movements.add(&model, &gradients);
            let loss = losses.total;
            if !loss.is_finite() {
                return Err(EngineError::LossNotFinite { stage: self.stage.name.clone(), step, loss });
            }
            let lr = timeline.lr(step);
            let (moved, norm) = optimizer.step(model, gradients, lr);
            model = moved;
            if !norm.is_finite() {
                return Err(EngineError::GradientNotFinite { stage: self.stage.name.clone(), step, norm });
            }
            let seconds = begin.elapsed().as_secs_f64();
            times.training += seconds;
            self.tell(
                observer,
                Event::Step(Step {
                    stage: self.stage.name.clone(),
                    step,
                    epoch: timeline.epoch(step),
                    loss: number(loss),
                    task_loss: number(losses.task),
                    distill_loss: losses.distill.and_then(number),
                    hidden_loss: losses.hidden.and_then(number),
                    lr: number(lr),
                    gradient_norm: number(norm),
                    seconds: Some(seconds),
                }),
            )?;
            observer.progress(Work::Training(&self.stage.name), step + 1, timeline.steps());
        }
        let end = timeline.steps();
        let state = State {
            model: &model,
            masks: &masks,
            optimizer: &optimizer,
            movements: &movements,
            best: best.as_ref(),
            times,
            clock,
        };
        self.keep(end, (&timeline, steps_per_epoch), &state, resumed, observer)?;
        self.first_movement(end, &timeline, &model, &mut sampler, &mut movements);
        let mut changing = Changing { masks: &mut masks, optimizer: &mut optimizer, times: &mut times };
        model = self.prune_before(end, &timeline, model, &mut changing, &movements, observer)?;
        model = self.quantize_before(end, &timeline, model, observer)?;
        let mut metrics = self.evaluate(&model, end, &mut times, observer)?;
        let mut kept = None;
        if let Some(mut best) = best {
            best.consider(&model, end, &timeline, &metrics, self.rounded(&model, end, &timeline))?;
            if let Some((found, rounding, which, measured)) = best.take(&model) {
                model = self.with_rounding(found, rounding)?;
                (kept, metrics) = (Some(which), measured);
            }
        }
        self.fix_all(&model, end)?;
        if let Some(kept) = &kept {
            let (stage, metric) = (self.stage.name.clone(), kept.metric.clone());
            self.tell(
                observer,
                Event::Kept(runlog::Kept { stage, step: kept.step, metric, value: kept.value }),
            )?;
        }
        // What this stage froze is trained again by the next.
        if end > 0 && self.frozen_at(end - 1, &timeline).contains(&true) {
            model = gradients::trained_alone(model, |_| true);
        }
        let sparsity = layer_sparsity(&model);
        let nonzero = nonzero(&model);
        let encoder_bytes = encoder_bytes(&model, self.task.rounding(&model));
        self.tell(
            observer,
            Event::StageFinished(StageFinished {
                stage: self.stage.name.clone(),
                sparsity: runlog::sparsity(&sparsity),
                layers: sparsity.clone(),
                values: Some(nonzero.1),
                nonzero: Some(nonzero.0),
                encoder_bytes: Some(encoder_bytes),
                seconds: clock.seconds(),
                memory: machine::peak_memory(),
            }),
        )?;
        let result = StageResult {
            name: self.stage.name.clone(),
            branch: self.stage.branch_from.is_some(),
            metrics,
            kept,
            sparsity,
            nonzero,
            encoder_bytes,
            times,
        };
        Ok((model, result))
    }

    /// What is rounded of the model before a step.
    fn rounded<'m>(&self, model: &'m T::Model, step: u64, timeline: &Timeline) -> Rounded<'m>
    where
        T: 'm,
    {
        Rounded { now: self.task.rounding(model), is_complete: self.is_rounded(model, step, timeline) }
    }

    /// What happens before a step's forward pass: masks that begin or end to be held, pruning, rounding.
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
        self.quantize_before(step, timeline, model, observer)
    }

    /// The batches of the stage.
    fn sampler(&self) -> Sampler {
        let (train, examples) = (&self.stage.train, self.task.examples());
        let (batch, seed) = (train.batch * train.accumulate, self.draw(0, 0));
        match train.batches {
            Batches::Shuffled => Sampler::new(examples, batch, seed),
            Batches::Bucketed => {
                Sampler::by_length((0..examples).map(|i| self.task.length(i)).collect(), batch, seed)
            }
        }
    }

    /// Refuses softened labels before the first step where the task has none.
    fn check_smoothing(&self, model: &T::Model) -> Result<(), EngineError> {
        let smoothing = self.stage.train.label_smoothing;
        if smoothing == 0.0 || self.task.examples() == 0 {
            return Ok(());
        }
        let batch = self.task.batch(&[0], self.device);
        let outputs = self.task.outputs(&model.valid(), &batch, None);
        match self.task.smoothed_loss(&outputs, &batch, smoothing) {
            Some(_) => Ok(()),
            None => Err(EngineError::NoSmoothing { stage: self.stage.name.clone() }),
        }
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
            let batch = sampler.batch(step);
            let (_, gradients) = self.gradients(model, &batch, step, timeline, Phase::Computing);
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

    /// The model with gradients for what is not frozen at this step, where that has changed.
    fn freeze_before(
        &self,
        step: u64,
        timeline: &Timeline,
        model: T::Model,
    ) -> Result<T::Model, EngineError> {
        let frozen = self.frozen_at(step, timeline);
        let before = if step > 0 { self.frozen_at(step - 1, timeline) } else { vec![false; frozen.len()] };
        if frozen == before { Ok(model) } else { self.freeze_at(step, timeline, model) }
    }

    /// Which of the stage's `freeze` hold at a step.
    fn frozen_at(&self, step: u64, timeline: &Timeline) -> Vec<bool> {
        self.stage.freeze.iter().map(|f| timeline.contains(f.start, f.end, step)).collect()
    }

    fn freeze_at(&self, step: u64, timeline: &Timeline, model: T::Model) -> Result<T::Model, EngineError> {
        let frozen = self.frozen_at(step, timeline);
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
            let layer = |name: &str| {
                let mask = masks.get(name)?;
                Some(LayerSparsity { name: name.to_owned(), count: mask.len(), zeros: mask.pruned() })
            };
            let layers: Vec<LayerSparsity> =
                targets.iter().filter_map(|t| layer(&t.parameter.name)).collect();
            self.tell(
                observer,
                Event::Pruned(Pruned {
                    stage: self.stage.name.clone(),
                    step,
                    at: event.at.to_string(),
                    parameters: targets.len(),
                    target: number(event.sparsity),
                    sparsity: runlog::sparsity(&layers),
                    raised_damp: pruned.raised_damp,
                    lengths: pruned.lengths,
                    layers,
                    seconds,
                    memory: machine::peak_memory(),
                }),
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
            seed: of_event(self.seed, self.index, event.prune, event.step),
        };
        pruner::prune(self.task, model, statement, event, masks, &context, observer)
    }

    /// The gradients of a step's mean loss, one batch after the other where several are summed.
    fn gradients(
        &self,
        model: &T::Model,
        examples: &[usize],
        step: u64,
        timeline: &Timeline,
        phase: Phase,
    ) -> (Losses, GradientsParams) {
        let mut losses = Losses::default();
        let mut sum = GradientsAccumulator::new();
        for (part, batch) in examples.chunks(self.stage.train.batch).enumerate() {
            let weight = batch.len() as f64 / examples.len() as f64;
            let (loss, of_batch) = self.losses(model, batch, (step, part as u64), timeline, phase);
            losses.total += of_batch.total * weight;
            losses.task += of_batch.task * weight;
            if let Some(distill) = of_batch.distill {
                *losses.distill.get_or_insert(0.0) += distill * weight;
            }
            if let Some(hidden) = of_batch.hidden {
                *losses.hidden.get_or_insert(0.0) += hidden * weight;
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
        (step, part): (u64, u64),
        timeline: &Timeline,
        phase: Phase,
    ) -> (Tensor<1>, Losses) {
        let device = self.device.clone().autodiff();
        let batch = self.task.batch(examples, &device);
        let dropout = Some(self.draw(1, step).wrapping_add(part));
        let teaching = self.teaching.as_ref();
        let active = teaching.filter(|t| timeline.contains(t.statement().start, t.statement().end, step));
        let wanted = |module: &str| active.is_some_and(|teaching| teaching.matches(module));
        let mut states = States::of(&wanted);
        let casts = device::casts(&self.stage.train, self.device);
        let outputs = self.in_phase(model, phase, || {
            autocast::with(casts, || self.task.outputs_and_states(model, &batch, dropout, &mut states))
        });
        let smoothing = self.stage.train.label_smoothing;
        let task_loss = match smoothing {
            0.0 => self.task.loss(&outputs, &batch),
            // invariant: a task without it was refused before the first step.
            _ => self.task.smoothed_loss(&outputs, &batch, smoothing).expect("softened labels"),
        };
        let task = scalar(&task_loss);
        let Some(teaching) = active else {
            return (task_loss, Losses { total: task, task, ..Losses::default() });
        };
        let lesson = teaching.lesson(self.task, examples, self.device, &outputs, &states.into_list());
        let distill = Some(scalar(&lesson.divergence));
        let mut total = match teaching.statement().hardness {
            1.0 => lesson.divergence,
            hardness => task_loss * (1.0 - hardness) + lesson.divergence * hardness,
        };
        let hidden = lesson.hidden.as_ref().map(scalar);
        if let Some(error) = lesson.hidden {
            total = total + error;
        }
        let losses = Losses { total: scalar(&total), task, distill, hidden };
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
            Event::Evaluated(Evaluated {
                stage: self.stage.name.clone(),
                step,
                metrics: logged(&metrics),
                seconds,
            }),
        )?;
        Ok(metrics)
    }

    /// A seed for one purpose at one step of this stage.
    pub(super) fn draw(&self, purpose: u64, step: u64) -> u64 {
        draw(self.seed, self.index, purpose, step)
    }

    fn tell(&self, observer: &mut dyn Observer, event: Event) -> Result<(), EngineError> {
        observer.event(&event).map_err(EngineError::Observer)
    }
}

/// The seed of a pruning event of the stage of an index.
pub fn of_event(seed: u64, stage: u64, prune: usize, step: u64) -> u64 {
    draw(seed, stage, 2 + prune as u64, step)
}

/// A seed for one purpose at one step of the stage of an index.
fn draw(seed: u64, stage: u64, purpose: u64, step: u64) -> u64 {
    [stage, purpose, step].iter().fold(seed, |seed, part| {
        let mut z = (seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

fn scalar(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}
