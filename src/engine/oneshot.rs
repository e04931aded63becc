//! Trials of one-shot pruning of one model, evaluated, with as many trials as possible from the same gradients
//! ([`super::gradient_sharing`]). The result of a trial equals that of a run with its settings.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use crate::diag::Diagnostic;
use crate::method::mask::Mask;
use crate::method::obs::{FisherEstimate, GradientSource, Place, Saliencies, Sharding};
use crate::ranks::Ranks;
use crate::runlog::Warning;
use crate::schedule::ir::{Obs, Quantize, Stage};
use crate::schedule::{PruneEvent, Schedule, Time};
use crate::task::Task;
use crate::task::evaluation::on_ranks;
use crate::task::metric::Metrics;

use super::EngineError;
use super::candidates::Candidates;
use super::estimation::Estimates;
use super::events::{Event, Observer, Work, goes_on};
use super::gradient_sharing::{SharedEstimate, SharedPass, Trial, arrange};
use super::gradients::{self, TaskGradients};
use super::interpreter::Interpreter;
use super::masks::Masks;
use super::movement::Movements;
use super::pruner::{self, Pruned, Subject};
use super::pruning_context::Context;
use super::reconstruction::reconstruct;
use super::targets::{self, Targets};
use super::trial_outcome::TrialOutcome;
use super::warnings::Remaining;

/// The task and the settings of trials.
pub struct OneShot<'a, T: Task> {
    /// The task.
    pub task: &'a T,
    /// The device, without autodiff.
    pub device: &'a Device,
    /// The stage name of the trials, for messages.
    pub name: &'a str,
    /// The seed of the gradients' batches; [`seed_of`] computes that of a run.
    pub seed: u64,
    /// Evaluates each pruned model a second time after post-training quantization (PTQ) by this schedule:
    /// [`post_training_quantization`].
    pub quantization: Option<&'a Schedule>,
    /// The ranks that compute the trials together: they share gradients; each has all Fisher matrices.
    pub ranks: &'a Ranks,
}

/// The number of calibration batches for a recipe without `calibrate`.
const CALIBRATE: usize = 32;

/// The `quantize` statements of a schedule's first stage that has any, as post-training quantization: one stage of no
/// length, in which ranges are observed and then frozen. `None` if nothing is quantized.
pub fn post_training_quantization(schedule: &Schedule) -> Option<Schedule> {
    let stage = schedule.stages.iter().find(|stage| !stage.quantize.is_empty())?;
    let observed = |statement: &Quantize| Quantize {
        start: Time::ZERO,
        end: Time::ZERO,
        freeze: None,
        calibrate: if statement.calibrate == 0 { CALIBRATE } else { statement.calibrate },
        ..statement.clone()
    };
    let alone = Stage {
        name: stage.name.clone(),
        doc: String::new(),
        branch_from: None,
        length: Time::ZERO,
        train: stage.train.clone(),
        layers: None,
        lr: Vec::new(),
        lr_factors: Vec::new(),
        prune: Vec::new(),
        hold: Vec::new(),
        freeze: Vec::new(),
        quantize: stage.quantize.iter().map(observed).collect(),
        distill: None,
        evaluate_every: None,
        keep_best: None,
    };
    Some(Schedule { stages: vec![alone], expect: Vec::new(), ..schedule.clone() })
}

/// The seed of the gradients of a statement that prunes before the first step of a run.
pub fn seed_of(seed: u64, stage: usize, statement: usize) -> u64 {
    super::seeds::of_pruning(seed, stage as u64, statement, 0)
}

/// Receives each trial when it is pruned.
type Each<'a, M> = dyn FnMut(usize, Pruned<M>, &mut dyn Observer) -> Result<(), EngineError> + 'a;

impl<T: Task> OneShot<'_, T> {
    /// Evaluates a model as it is; also after post-training quantization, if that is asked for. The reported sparsity
    /// is that of the parameters that `trial` prunes.
    ///
    /// # Errors
    /// Those of quantization, and parameters that the model does not have.
    pub fn evaluate(
        &self,
        model: &T::Model,
        trial: &Trial,
        observer: &mut dyn Observer,
    ) -> Result<TrialOutcome, EngineError> {
        let clock = Instant::now();
        let metrics = on_ranks(self.ranks, || {
            self.task.evaluate(model, self.device, &mut |done, total| {
                observer.progress(Work::Evaluating(self.name), done as u64, total as u64);
            })
        });
        let quantized = self.evaluate_quantized(model, observer)?;
        Ok(TrialOutcome {
            sparsity: self.sparsity(model, trial)?,
            metrics,
            quantized,
            raised_damp: None,
            step_sizes: Vec::new(),
            warnings: Vec::new(),
            seconds: clock.elapsed().as_secs_f64(),
        })
    }

    /// Evaluates the model after post-training quantization, if it is to be quantized.
    fn evaluate_quantized(
        &self,
        model: &T::Model,
        observer: &mut dyn Observer,
    ) -> Result<Option<Metrics>, EngineError> {
        let Some(schedule) = self.quantization else { return Ok(None) };
        let new = Interpreter::new(self.task, schedule, self.device.clone());
        let interpreter = Interpreter { ranks: self.ranks.clone(), ..new };
        let (_, results) = interpreter.run(model.clone(), &mut Progress(observer))?;
        Ok(results.into_iter().next_back().map(|result| result.metrics))
    }

    /// Runs all trials and evaluates the pruned models; `done` receives each result with its index in `trials`.
    ///
    /// # Errors
    /// Those of a pruning event.
    pub fn evaluate_trials(
        &self,
        model: &T::Model,
        trials: &[Trial],
        observer: &mut dyn Observer,
        done: &mut dyn FnMut(usize, &TrialOutcome, &mut dyn Observer),
    ) -> Result<Vec<TrialOutcome>, EngineError> {
        let mut outcomes: Vec<Option<TrialOutcome>> = vec![None; trials.len()];
        self.prune(model, trials, observer, &mut |index, pruned, observer| {
            let mut outcome = self.evaluate(&pruned.model.valid(), &trials[index], observer)?;
            (outcome.raised_damp, outcome.step_sizes) = (pruned.raised_damp, pruned.step_sizes);
            outcome.warnings = self.warnings(model, &pruned.model, &trials[index])?;
            done(index, &outcome, observer);
            outcomes[index] = Some(outcome);
            Ok(())
        })?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Runs all trials; `each` receives the index and the pruned model, with autodiff.
    ///
    /// # Errors
    /// Those of a pruning event.
    pub fn prune(
        &self,
        model: &T::Model,
        trials: &[Trial],
        observer: &mut dyn Observer,
        each: &mut Each<T::Model>,
    ) -> Result<(), EngineError> {
        let model = gradients::to_training(model.clone(), self.device);
        let Some(first) = trials.first() else { return Ok(()) };
        let counts = Targets::select(&model, &first.prune, self.name)?.counts();
        let (shared_passes, alone) = arrange(trials, &counts);
        for index in alone {
            self.goes_on(observer)?;
            let pruned = self.alone(&model, &trials[index], observer)?;
            each(index, pruned, observer)?;
        }
        for pass in &shared_passes {
            self.run_pass(&model, trials, pass, observer, each)?;
        }
        Ok(())
    }

    /// Runs a trial that shares no gradients.
    fn alone(
        &self,
        model: &T::Model,
        trial: &Trial,
        observer: &mut dyn Observer,
    ) -> Result<Pruned<T::Model>, EngineError> {
        let (training, movements) = (self.device.clone().autodiff(), Movements::default());
        let context = self.context(&training, &movements);
        let (mut masks, event) = (Masks::default(), event(trial));
        pruner::prune(self.task, model.clone(), &trial.prune, &event, &mut masks, &context, observer)
    }

    /// Computes the gradients of a shared pass once, and runs each trial as soon as the gradients that it uses are
    /// added.
    fn run_pass(
        &self,
        model: &T::Model,
        trials: &[Trial],
        pass: &SharedPass,
        observer: &mut dyn Observer,
        each: &mut Each<T::Model>,
    ) -> Result<(), EngineError> {
        let one = |shared: &SharedEstimate| {
            shared.prefixes.first().and_then(|s| s.trials.first()).map(|i| &trials[*i])
        };
        let Some((trial, obs)) = pass.estimates.first().and_then(one).and_then(|t| Some((t, t.obs()?)))
        else {
            return Ok(());
        };
        let (training, movements) = (self.device.clone().autodiff(), Movements::default());
        let context = self.context(&training, &movements);
        let start = Start::new(model, trial, self.name)?;
        let of_targets = |shared: &SharedEstimate| -> Vec<FisherEstimate> {
            start.targets.counts().into_iter().map(|count| estimate(shared, count, obs)).collect()
        };
        let mut estimates: Vec<Vec<FisherEstimate>> = pass.estimates.iter().map(of_targets).collect();
        let mut done = 0;
        for prefix in pass.prefixes() {
            let mut source = self.source(model, &start, obs, &context, observer);
            (source.done, source.total) = (done as u64, pass.gradients() as u64);
            let all = 0..start.targets.parameters.len();
            let end = source.gradients(all, done..prefix, Place::Host, &mut |i, gradient| {
                let values = gradient.into_values();
                // Estimates that have all their gradients were emptied below and are skipped.
                for estimate in estimates.iter_mut().filter_map(|e| e.get_mut(i)) {
                    estimate.add_values(&values);
                }
            });
            if end.is_break() {
                return Err(self.stopped());
            }
            done = prefix;
            for (shared, estimates) in pass.estimates.iter().zip(&mut estimates) {
                let Some(here) = shared.prefixes.iter().find(|s| s.gradients == prefix) else { continue };
                let is_last = shared.gradients() == prefix;
                if is_last {
                    estimates.iter_mut().for_each(FisherEstimate::finish);
                }
                let mut known = None;
                for index in &here.trials {
                    self.goes_on(observer)?;
                    let Some(obs) = trials[*index].obs() else { continue };
                    let (trial, from) = ((&trials[*index], obs), (&mut estimates[..], &mut known));
                    let pruned = self.from(model, trial, &start, from, &context, observer)?;
                    each(*index, pruned, observer)?;
                }
                if is_last {
                    *estimates = Vec::new();
                }
            }
        }
        Ok(())
    }

    /// The gradients of a statement's targets.
    fn source<'a>(
        &'a self,
        model: &'a T::Model,
        start: &'a Start,
        obs: &Obs,
        context: &Context<'a>,
        observer: &'a mut dyn Observer,
    ) -> TaskGradients<'a, T> {
        TaskGradients {
            task: self.task,
            model,
            unpruned: model,
            targets: &start.targets.parameters,
            draw: pruner::draw(obs, context, 1),
            first_evaluation: obs.gradients,
            candidates: Candidates::default(),
            stage: self.name,
            done: 0,
            total: obs.gradients as u64,
            observer,
            sharding: self.sharding(),
        }
    }

    /// Runs a trial from finished estimates.
    fn from(
        &self,
        model: &T::Model,
        (trial, obs): (&Trial, &Obs),
        start: &Start,
        (estimates, known): (&mut [FisherEstimate], &mut Option<Saliencies>),
        context: &Context,
        observer: &mut dyn Observer,
    ) -> Result<Pruned<T::Model>, EngineError> {
        let targets = &start.targets;
        let goals = targets.goals(&trial.prune, &event(trial))?;
        let partitions = targets::partitions(targets, &goals);
        let (weights, masks) = (&start.weights[..], &start.masks[..]);
        let (last, sharding) = (&goals[..], self.sharding());
        let subject =
            Subject { targets, weights, masks, goals: &goals, last, partitions: &partitions, sharding };
        let mut source = self.source(model, start, obs, context, observer);
        source.candidates = Candidates::planned(pruner::planned_evaluations(&trial.prune, obs));
        let interrupted = |why| pruner::interrupted(context, targets, why);
        let event = subject.event(&trial.prune, obs);
        let (removals, damp) = event.run_with(estimates, known, &mut source).map_err(interrupted)?;
        let at = (&start.weights[..], &start.masks[..]);
        let step = pruner::step(&mut source, obs, at, &removals).map_err(interrupted)?;
        let (mut weights, mut masks) = (start.weights.clone(), start.masks.clone());
        pruner::apply(&removals, &mut weights, &mut masks, step.unwrap_or(1.0) as f32);
        let mut pruned = targets.write(model.clone(), weights);
        let mut output_errors = Vec::new();
        if let Some(examples) = trial.prune.reconstruct {
            let of = (targets, &masks[..]);
            let (fitted, errors) =
                reconstruct(self.task, model, pruned, of, examples, context, source.observer)?;
            (pruned, output_errors) = (fitted, errors.into());
        }
        Ok(Pruned {
            model: pruned,
            output_errors,
            raised_damp: (damp > obs.damp).then_some(damp),
            step_sizes: step.into_iter().collect(),
        })
    }

    /// Stops between two trials if the observer wants to.
    fn goes_on(&self, observer: &mut dyn Observer) -> Result<(), EngineError> {
        if self.ranks.any(goes_on(observer).is_break()) { Err(self.stopped()) } else { Ok(()) }
    }

    fn sharding(&self) -> Sharding<'_> {
        Sharding { ranks: self.ranks, owners: &[] }
    }

    fn stopped(&self) -> EngineError {
        EngineError::Stopped { stage: self.name.to_owned(), step: 0 }
    }

    fn context<'a>(&'a self, training: &'a Device, movements: &'a Movements) -> Context<'a> {
        Context {
            stage: self.name,
            step: 0,
            device: training,
            plain: self.device,
            estimates: Estimates::default(),
            seed: self.seed,
            movements,
            ranks: self.ranks,
        }
    }

    /// Warnings about layers and matrices of which a trial left almost nothing.
    fn warnings(
        &self,
        model: &T::Model,
        pruned: &T::Model,
        trial: &Trial,
    ) -> Result<Vec<Warning>, EngineError> {
        let heads = super::warnings::heads(self.task, model);
        let targets = Targets::select(model, &trial.prune, self.name)?;
        let remaining = |model: &T::Model| {
            let mut masks = Masks::default();
            for (name, weights) in targets.names().zip(targets.weights(model)) {
                masks.set(name.to_owned(), Mask::of_nonzeros(&weights));
            }
            Remaining::count(&targets, &masks, &heads, trial.prune.pattern)
        };
        Ok(remaining(pruned).warnings(&remaining(model), self.name, 0, &trial.prune))
    }

    /// The sparsity of a trial's targets: the share of their weights that is zero, `0..=1`.
    fn sparsity(&self, model: &T::Model, trial: &Trial) -> Result<f64, EngineError> {
        let weights = Targets::select(model, &trial.prune, self.name)?.weights(model);
        let zeros: usize = weights.iter().map(|v| v.iter().filter(|w| **w == 0.0).count()).sum();
        let all: usize = weights.iter().map(Vec::len).sum();
        Ok(zeros as f64 / all.max(1) as f64)
    }
}

/// Forwards progress and `wants_to_stop`, and ignores events.
struct Progress<'a>(&'a mut dyn Observer);

impl Observer for Progress<'_> {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, work: Work, done: u64, total: u64) {
        self.0.progress(work, done, total);
    }

    fn wants_to_stop(&self) -> bool {
        self.0.wants_to_stop()
    }
}

/// The targets of a shared pass with their initial weights and masks.
struct Start {
    targets: Targets,
    weights: Vec<Vec<f32>>,
    masks: Vec<Mask>,
}

impl Start {
    fn new<M: Module>(model: &M, trial: &Trial, name: &str) -> Result<Self, EngineError> {
        let targets = Targets::select(model, &trial.prune, name)?;
        let weights = targets.weights(model);
        let masks = weights.iter().map(|w| Mask::of_nonzeros(w)).collect();
        Ok(Start { targets, weights, masks })
    }
}

/// An estimate for a parameter, on the host, where several estimates accumulate the same gradient.
fn estimate(shared: &SharedEstimate, count: usize, obs: &Obs) -> FisherEstimate {
    let (block, rows) = (shared.block, shared.rows);
    FisherEstimate::on_host(count, block, shared.gradients(), rows, pruner::precision(obs))
}

/// The one-shot pruning event of a trial, before the first step.
fn event(trial: &Trial) -> PruneEvent {
    PruneEvent { step: 0, at: Time::ZERO, prune: 0, share: 1.0, sparsity: trial.sparsity }
}
