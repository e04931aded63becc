//! One model pruned at once in many ways, each measured: as many of them as possible from the same
//! gradients ([`super::sharing`]). What comes of each is what a run of it alone would give.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use crate::diag::Diagnostic;
use crate::method::mask::Mask;
use crate::method::mask::grouping::Grouping;
use crate::method::obs::{self, Estimate};
use crate::schedule::ir::{Obs, Precision, Quantize, Stage};
use crate::schedule::{PruneEvent, Schedule, Time};
use crate::task::Task;
use crate::task::metric::Metrics;
use crate::task::parameters::{self, ModuleParameter, Values};

use super::EngineError;
use super::estimation::{Estimated, Estimates};
use super::events::{Event, Observer, Work};
use super::gradients::{self, OnHost};
use super::interpreter::Interpreter;
use super::masks::Masks;
use super::movement::Movements;
use super::pruner::{self, Context, Pruned};
use super::sharing::{Shared, Sweep, Trial, arrange};
use super::surgery::{Judged, Surgery};

/// Where and for what a model is pruned.
pub struct OneShot<'a, T: Task> {
    /// What it is measured on.
    pub task: &'a T,
    /// The device, without autodiff.
    pub device: &'a Device,
    /// What the prunings are called, for messages.
    pub name: &'a str,
    /// The seed of the gradients' batches: [`seed_of`] a statement.
    pub seed: u64,
    /// What is pruned is also rounded without training and measured again: [`rounding_alone`].
    pub rounding: Option<&'a Schedule>,
}

/// Batches that are observed where the recipe observes while it trains.
const CALIBRATE: usize = 32;

/// The roundings of a schedule's first stage that has any, as post-training quantization: one stage of no
/// length, in which ranges are observed and fixed. `None` if nothing is rounded.
pub fn rounding_alone(schedule: &Schedule) -> Option<Schedule> {
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

/// The seed with which a run draws the gradients of a statement that prunes before the first step.
pub fn seed_of(seed: u64, stage: usize, statement: usize) -> u64 {
    super::stage::of_event(seed, stage as u64, statement, 0)
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The share of the targets' weights that is zero.
    pub sparsity: f64,
    /// How good the model is.
    pub metrics: Metrics,
    /// How good it is when it is rounded too.
    pub rounded: Option<Metrics>,
    /// The damp that it took, if the recipe's had to be raised.
    pub raised_damp: Option<f64>,
    /// The length of the compensation in each round where it was chosen by calibration.
    pub lengths: Vec<f64>,
    /// Seconds spent on measuring.
    pub seconds: f64,
}

/// Hears of each trial when it is pruned.
type Each<'a, M> = dyn FnMut(usize, Pruned<M>, &mut dyn Observer) -> Result<(), EngineError> + 'a;

impl<T: Task> OneShot<'_, T> {
    /// Measures the model itself.
    pub fn evaluate(&self, model: &T::Model, observer: &mut dyn Observer) -> Metrics {
        self.task.evaluate(model, self.device, &mut |done, total| {
            observer.progress(Work::Evaluating(self.name), done as u64, total as u64);
        })
    }

    /// Measures the model rounded, if it is to be.
    ///
    /// # Errors
    /// What stops a rounding.
    pub fn rounded(
        &self,
        model: &T::Model,
        observer: &mut dyn Observer,
    ) -> Result<Option<Metrics>, EngineError> {
        let Some(schedule) = self.rounding else { return Ok(None) };
        let interpreter = Interpreter::new(self.task, schedule, self.device.clone());
        let (_, results) = interpreter.run(model.clone(), &mut Progress(observer))?;
        Ok(results.into_iter().next_back().map(|result| result.metrics))
    }

    /// Prunes the model in every way and measures what comes of it; `told` hears of each trial by its
    /// index, in the order in which they are done.
    ///
    /// # Errors
    /// What stops a pruning event.
    pub fn measure(
        &self,
        model: &T::Model,
        trials: &[Trial],
        observer: &mut dyn Observer,
        told: &mut dyn FnMut(usize, &Outcome),
    ) -> Result<Vec<Outcome>, EngineError> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; trials.len()];
        self.prune(model, trials, observer, &mut |index, pruned, observer| {
            let clock = Instant::now();
            let model = pruned.model.valid();
            let outcome = Outcome {
                sparsity: self.sparsity(&pruned.model, &trials[index])?,
                metrics: self.evaluate(&model, observer),
                rounded: self.rounded(&model, observer)?,
                raised_damp: pruned.raised_damp,
                lengths: pruned.lengths,
                seconds: clock.elapsed().as_secs_f64(),
            };
            told(index, &outcome);
            outcomes[index] = Some(outcome);
            Ok(())
        })?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Prunes the model in every way and hands over each result, with gradients, as soon as it is there.
    ///
    /// # Errors
    /// What stops a pruning event.
    pub fn prune(
        &self,
        model: &T::Model,
        trials: &[Trial],
        observer: &mut dyn Observer,
        each: &mut Each<T::Model>,
    ) -> Result<(), EngineError> {
        let model = gradients::to_training(model.clone(), self.device);
        let Some(first) = trials.first() else { return Ok(()) };
        let counts: Vec<usize> =
            pruner::targets(&model, &first.prune, self.name)?.iter().map(|t| t.parameter.count()).collect();
        let (sweeps, alone) = arrange(trials, &counts);
        for index in alone {
            self.goes_on(observer)?;
            let pruned = self.alone(&model, &trials[index], observer)?;
            each(index, pruned, observer)?;
        }
        for sweep in &sweeps {
            self.sweep(&model, trials, sweep, observer, each)?;
        }
        Ok(())
    }

    /// A trial that shares nothing.
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

    /// One pass over the gradients, with a halt wherever trials use those so far.
    fn sweep(
        &self,
        model: &T::Model,
        trials: &[Trial],
        sweep: &Sweep,
        observer: &mut dyn Observer,
        each: &mut Each<T::Model>,
    ) -> Result<(), EngineError> {
        let one = |shared: &Shared| shared.stops.first().and_then(|s| s.trials.first()).map(|i| &trials[*i]);
        let Some((trial, obs)) = sweep.estimates.first().and_then(one).and_then(|t| Some((t, t.obs()?)))
        else {
            return Ok(());
        };
        let (training, movements) = (self.device.clone().autodiff(), Movements::default());
        let context = self.context(&training, &movements);
        let draw = pruner::draw(obs, &context, 1);
        let subject = Subject::new(model, trial, self.name)?;
        let of_targets = |shared: &Shared| -> Vec<Estimated> {
            subject.targets.iter().map(|t| estimate(shared, t.parameter.count(), obs)).collect()
        };
        let mut estimates: Vec<Vec<Estimated>> = sweep.estimates.iter().map(of_targets).collect();
        let targets: Vec<&ModuleParameter> = subject.targets.iter().collect();
        let total = sweep.gradients() as u64;
        let mut done = 0;
        for stop in sweep.stops() {
            let mut sink = OnHost(|i: usize, gradient: &[f32]| {
                // Those that have had all theirs are gone.
                for estimate in estimates.iter_mut().filter_map(|e| e.get_mut(i)) {
                    estimate.add(gradient);
                }
            });
            let mut count = done as u64;
            let end = gradients::each(self.task, model, &targets, &draw, done..stop, &mut sink, || {
                count += 1;
                observer.progress(Work::Gradients(self.name), count, total);
                pruner::goes_on(observer)
            });
            if end.is_break() {
                return Err(self.stopped());
            }
            done = stop;
            for (shared, estimates) in sweep.estimates.iter().zip(&mut estimates) {
                let Some(here) = shared.stops.iter().find(|s| s.gradients == stop) else { continue };
                let is_last = shared.gradients() == stop;
                if is_last {
                    estimates.iter_mut().for_each(Estimated::finish);
                }
                let mut judged = None;
                for index in &here.trials {
                    self.goes_on(observer)?;
                    let trial = &trials[*index];
                    let pruned = self.operate(
                        model,
                        trial,
                        &subject,
                        (&mut estimates[..], &mut judged),
                        &context,
                        observer,
                    )?;
                    each(*index, pruned, observer)?;
                }
                if is_last {
                    *estimates = Vec::new();
                }
            }
        }
        Ok(())
    }

    /// A trial by estimates that are there.
    fn operate(
        &self,
        model: &T::Model,
        trial: &Trial,
        subject: &Subject,
        (estimates, judged): (&mut [Estimated], &mut Option<Judged>),
        context: &Context,
        observer: &mut dyn Observer,
    ) -> Result<Pruned<T::Model>, EngineError> {
        let Some(obs) = trial.obs() else { return Err(EngineError::Missing("gradients".into())) };
        let names: Vec<&str> = subject.targets.iter().map(|t| t.parameter.name.as_str()).collect();
        let groups = pruner::groups(&names, &trial.prune, &event(trial), self.name)?;
        let goals: Vec<pruner::Goal> =
            groups.iter().map(|g| pruner::Goal { members: &g.members, sparsity: g.goal }).collect();
        let surgery = Surgery {
            task: self.task,
            model,
            statement: &trial.prune,
            obs,
            targets: &subject.targets,
            groupings: &subject.groupings,
            passes: &[],
            weights: &subject.weights,
            masks: &subject.masks,
            goals: &goals,
            draw: pruner::draw(obs, context, 1),
            tensors_of: None,
        };
        let halted = |halt| pruner::halted(context, &names, halt);
        let (removals, damp) = surgery.round_from(estimates, judged).map_err(halted)?;
        let (mut weights, mut masks) = (subject.weights.clone(), subject.masks.clone());
        let at = (&mut weights[..], &mut masks[..]);
        let on = (obs, &surgery.draw, context.plain);
        let length =
            pruner::carry_out(self.task, model, &names, at, &removals, on, &mut || pruner::goes_on(observer))
                .map_err(halted)?;
        let values: Values = names.iter().map(|n| (*n).to_owned()).zip(weights).collect();
        Ok(Pruned {
            model: parameters::write(model.clone(), values),
            raised_damp: (damp > obs.damp).then_some(damp),
            lengths: length.into_iter().collect(),
        })
    }

    /// Between two trials.
    fn goes_on(&self, observer: &mut dyn Observer) -> Result<(), EngineError> {
        if pruner::goes_on(observer).is_break() { Err(self.stopped()) } else { Ok(()) }
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
        }
    }

    /// The share of a trial's targets that is zero.
    fn sparsity(&self, model: &T::Model, trial: &Trial) -> Result<f64, EngineError> {
        let targets = pruner::targets(model, &trial.prune, self.name)?;
        let names: Vec<&str> = targets.iter().map(|t| t.parameter.name.as_str()).collect();
        let values = parameters::read(model, |name| names.contains(&name));
        let zeros: usize = values.values().map(|v| v.iter().filter(|w| **w == 0.0).count()).sum();
        let all: usize = values.values().map(Vec::len).sum();
        Ok(zeros as f64 / all.max(1) as f64)
    }
}

/// Tells how far things are, and nothing else.
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

/// What all trials of a sweep work on.
struct Subject {
    targets: Vec<ModuleParameter>,
    groupings: Vec<Grouping>,
    weights: Vec<Vec<f32>>,
    masks: Vec<Mask>,
}

impl Subject {
    fn new<M: Module>(model: &M, trial: &Trial, name: &str) -> Result<Self, EngineError> {
        let targets = pruner::targets(model, &trial.prune, name)?;
        let groupings = targets.iter().map(|t| pruner::grouping(&trial.prune, t)).collect();
        let mut values = parameters::read(model, |name| targets.iter().any(|t| t.parameter.name == name));
        let weights: Vec<Vec<f32>> =
            targets.iter().map(|t| values.remove(&t.parameter.name).unwrap_or_default()).collect();
        let masks = weights.iter().map(|w| Mask::of_nonzeros(w)).collect();
        Ok(Subject { targets, groupings, weights, masks })
    }
}

/// The estimate of a parameter that takes in all gradients of a shared one. It lives on the host, where
/// several of them take in one gradient.
fn estimate(shared: &Shared, count: usize, obs: &Obs) -> Estimated {
    let precision = match obs.precision {
        Precision::F32 => obs::Precision::Single,
        Precision::Bf16 => obs::Precision::Half,
    };
    let (gradients, rows) = (shared.gradients(), shared.rows);
    Estimated::Host(Estimate::with_precision(count, shared.block, gradients, rows, precision))
}

/// A pruning event before the first step that reaches a trial's sparsity at once.
fn event(trial: &Trial) -> PruneEvent {
    PruneEvent { step: 0, at: Time::ZERO, prune: 0, share: 1.0, sparsity: trial.sparsity }
}
