//! Runs the stages of a schedule one after the other, each branch from the stage that it names.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Device;

use crate::diag::counted;
use crate::ranks::Ranks;
use crate::runlog::{self, RunFinished, RunStarted};
use crate::schedule::ir::{START, Stage, Teacher};
use crate::schedule::{Schedule, Timeline};
use crate::task::Task;
use crate::task::parameters;

use super::EngineError;
use super::context::{self, Earlier, StageContext};
use super::device;
use super::distillation::Distillation;
use super::estimation::Estimates;
use super::events::{Event, Observer};
use super::gradients;
use super::machine;
use super::quantizers;
use super::results::{Baseline, StageResult};
use super::snapshot::Restored;
use super::stage;
use super::state::Clock;
use super::warnings;

/// Runs a schedule for a task.
pub struct Interpreter<'a, T: Task> {
    /// The task.
    pub task: &'a T,
    /// The schedule.
    pub schedule: &'a Schedule,
    /// The device, without autodiff.
    pub device: Device,
    /// The teacher of `distill from teacher`.
    pub teacher: Option<T::Model>,
    /// The teachers of `distill from "NAME"`, by name.
    pub named_teachers: HashMap<String, T::Model>,
    /// The maximum number of steps of a stage (`--limit-steps`), but at least one step per epoch: epochs are shortened,
    /// and several pruning events of a statement at one step become one.
    pub limit_steps: Option<u64>,
    /// The device of estimates of Fisher matrices.
    pub estimates: Estimates,
    /// The ranks that compute the run together, each with an interpreter of the same task, schedule, device and teachers.
    pub ranks: Ranks,
}

impl<'a, T: Task> Interpreter<'a, T> {
    /// An interpreter in one process, without external teachers and without a limit on steps.
    pub fn new(task: &'a T, schedule: &'a Schedule, device: Device) -> Self {
        let named_teachers = HashMap::new();
        Interpreter {
            task,
            schedule,
            device,
            teacher: None,
            named_teachers,
            limit_steps: None,
            estimates: Estimates::default(),
            ranks: Ranks::alone(),
        }
    }
}

impl<'a, T: Task> Interpreter<'a, T> {
    /// Runs all stages from `model`, which has no autodiff. Returns the model of the last stage that is no branch, and the
    /// result of every stage.
    ///
    /// # Errors
    /// Whatever stops the run.
    pub fn run(
        &self,
        model: T::Model,
        observer: &mut dyn Observer,
    ) -> Result<(T::Model, Vec<StageResult>), EngineError> {
        self.execute(model, None, observer)
    }

    /// Resumes from a checkpoint, with the initial model of the run. Events before the checkpoint are not reported again.
    /// On the CPU the result equals that of an uninterrupted run bit for bit.
    ///
    /// # Errors
    /// A checkpoint that does not fit, and whatever stops the run.
    pub fn resume(
        &self,
        model: T::Model,
        restored: Restored,
        observer: &mut dyn Observer,
    ) -> Result<(T::Model, Vec<StageResult>), EngineError> {
        self.execute(model, Some(restored), observer)
    }

    fn execute(
        &self,
        model: T::Model,
        mut restored: Option<Restored>,
        observer: &mut dyn Observer,
    ) -> Result<(T::Model, Vec<StageResult>), EngineError> {
        let position = restored.as_ref().map(|r| &r.position);
        let clock = Clock::starting(position.map_or(0.0, |p| p.seconds));
        let first = position.map_or(0, |p| p.stage);
        let mut results = position.map_or(Vec::new(), |p| p.results.clone());
        // The model that the next stage starts from, and the stage at whose end it was reached.
        let mut carried = (START, Some(gradients::to_training(model, &self.device)));
        let mut kept: HashMap<&str, T::Model> = HashMap::new();
        if let Some(start) = carried.1.as_ref().filter(|_| self.is_needed(START, 0)) {
            kept.insert(START, start.clone());
        }
        self.check_quantization(carried.1.as_ref())?;
        if restored.is_none() {
            self.report(
                observer,
                &Event::RunStarted(RunStarted {
                    format: Some(runlog::FORMAT),
                    recipe: self.schedule.name.clone(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    seed: self.schedule.seed,
                    device: device::name_of(&self.device),
                    examples: self.task.examples(),
                    weights: carried.1.as_ref().map_or(0, linear_weights),
                }),
            )?;
            for warning in self.schedule.stages.iter().flat_map(warnings::few_gradients) {
                self.report(observer, &Event::Warning(warning))?;
            }
        }
        for (index, stage) in self.schedule.stages.iter().enumerate() {
            let (base, start) = match &stage.branch_from {
                // Frees the old model before the new one is made.
                None => (carried.0, carried.1.take()),
                Some(from) => (from.as_str(), kept.get(from.as_str()).cloned()),
            };
            let start = start.ok_or_else(|| EngineError::StageMissing {
                stage: base.to_owned(),
                at: stage.name.clone(),
            })?;
            if index < first {
                // This stage had ended before the checkpoint was written; the checkpoint contains the stage's weights
                // only if they are still needed.
                let mut end = self.choose_layers(stage, start)?;
                if let Some(restored) = &mut restored {
                    let kind = format!("end/{}", stage.name);
                    if restored.has(&kind) {
                        end = restored.write_model(&kind, end)?;
                        let own = restored.take_quantizers(&kind, &end)?;
                        end = quantizers::set(self.task, end, own, &stage.name)?;
                    } else if self
                        .ends_needed(first, carried_before(self.schedule, first))
                        .contains(&&*stage.name)
                    {
                        let why = format!("it does not hold the model at the end of `{}`", stage.name);
                        return Err(EngineError::Checkpoint(why));
                    }
                }
                self.store_end(stage, index, end, &mut kept, &mut carried);
                continue;
            }
            // In self-distillation the teacher keeps all layers.
            let teacher = self.teacher_of(stage, &start, &kept)?;
            let start = self.choose_layers(stage, start)?;
            let distillation = Distillation::new(stage, teacher.clone())?;
            if let Some(distillation) = &distillation {
                distillation.check(self.task, &start, &self.device)?;
            }
            let restored = restored.take();
            let ends = self
                .ends_needed(index, carried_before(self.schedule, index))
                .into_iter()
                .filter_map(|name| {
                    let own = (name == carried.0).then_some(carried.1.as_ref()).flatten();
                    let its_start = teacher.as_ref().filter(|_| name == base);
                    Some((name.to_owned(), own.or_else(|| kept.get(name)).or(its_start)?))
                })
                .collect();
            // Metrics of the model before layers are dropped are no baseline.
            let of_base = results.iter().find(|r| r.name == base && stage.layers.is_none());
            let baseline = of_base.map(|r| Baseline { metrics: r.metrics.clone(), pruned_since: None });
            let (index_seed, seed) = (index as u64, self.schedule.seed);
            let steps_per_epoch = context::sampler(self.task, stage, index_seed, seed).steps_per_epoch();
            let context = StageContext {
                task: self.task,
                stage,
                index: index_seed,
                seed,
                device: &self.device,
                distillation,
                timeline: Timeline::limited(stage, steps_per_epoch, self.limit_steps),
                steps_per_epoch,
                resumed_at: restored.as_ref().map(|r| r.position.step),
                earlier: Earlier { results: &results, ends, clock },
                baseline,
                estimates: self.estimates,
                ranks: self.ranks.clone(),
            };
            let (finished, result) = stage::run(&context, start, restored, observer)?;
            results.push(result);
            self.store_end(stage, index, finished, &mut kept, &mut carried);
        }
        let (seconds, memory) = (clock.seconds(), machine::peak_memory());
        self.report(observer, &Event::RunFinished(RunFinished { seconds, memory }))?;
        let model = carried.1.ok_or_else(|| EngineError::StageMissing {
            stage: carried.0.to_owned(),
            at: self.schedule.name.clone(),
        })?;
        Ok((model.valid(), results))
    }

    /// Checks before the first stage that the model can be quantized, if a stage quantizes.
    fn check_quantization(&self, model: Option<&T::Model>) -> Result<(), EngineError> {
        let quantizes = self.schedule.stages.iter().find(|stage| !stage.quantize.is_empty());
        match (quantizes, model) {
            (Some(stage), Some(model)) if self.task.set_quantizers(model.clone(), None).is_none() => {
                Err(EngineError::NotQuantizable { stage: stage.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Stores the model at the end of a stage for branches and distillation.
    fn store_end<'s>(
        &self,
        stage: &'s Stage,
        index: usize,
        end: T::Model,
        kept: &mut HashMap<&'s str, T::Model>,
        carried: &mut (&'s str, Option<T::Model>),
    ) {
        if self.is_needed(&stage.name, index + 1) {
            kept.insert(&stage.name, end.clone());
        }
        if stage.branch_from.is_none() {
            *carried = (&stage.name, Some(end));
        }
    }

    /// The earlier stages whose final models a checkpoint of the stage at `index` contains besides the model in
    /// training: stages that this or a later stage distills from; stages that a later branch starts from; and, while a
    /// branch runs, `carried`, the last stage before it that is no branch, because the next stage continues from it.
    /// The initial model is not saved but loaded again.
    fn ends_needed(&self, index: usize, carried: &'a str) -> Vec<&'a str> {
        let stage = &self.schedule.stages[index];
        let base = stage.branch_from.as_deref().unwrap_or(carried);
        let teacher = stage.distill.as_ref().map(|d| &d.from);
        let is_wanted = |name: &str| {
            self.is_needed(name, index + 1)
                || matches!(teacher, Some(Teacher::Stage(stage)) if stage == name)
                || (matches!(teacher, Some(Teacher::Itself)) && base == name)
                || (stage.branch_from.is_some() && carried == name)
        };
        let earlier = self.schedule.stages[..index].iter().map(|s| s.name.as_str());
        earlier.filter(|name| is_wanted(name)).collect()
    }

    fn report(&self, observer: &mut dyn Observer, event: &Event) -> Result<(), EngineError> {
        observer.event(event).map_err(EngineError::Observer)
    }

    /// Whether a stage from index `from` on needs the final model of stage `name`.
    fn is_needed(&self, name: &str, from: usize) -> bool {
        self.schedule.stages[from..].iter().any(|later| {
            let teacher = later.distill.as_ref().map(|d| &d.from);
            later.branch_from.as_deref() == Some(name)
                || matches!(teacher, Some(Teacher::Stage(stage)) if stage == name)
        })
    }

    /// The model with the layers that the stage keeps.
    fn choose_layers(&self, stage: &Stage, model: T::Model) -> Result<T::Model, EngineError> {
        let Some(layers) = &stage.layers else { return Ok(model) };
        let count = parameters::table(&model).layers();
        let missing = |why: String| EngineError::Layers { stage: stage.name.clone(), why };
        let kept = layers.remaining(count).filter(|kept| !kept.is_empty());
        let kept =
            kept.ok_or_else(|| missing(format!("the model has {}", counted(count, "layer", "layers"))))?;
        let chosen = self.task.keep_layers(model, &kept);
        chosen.ok_or_else(|| missing("this task's model has no layers to choose from".into()))
    }

    fn teacher_of(
        &self,
        stage: &Stage,
        start: &T::Model,
        kept: &HashMap<&str, T::Model>,
    ) -> Result<Option<T::Model>, EngineError> {
        let Some(distill) = &stage.distill else { return Ok(None) };
        let missing = |teacher: String| {
            let stage = stage.name.clone();
            move || EngineError::TeacherMissing { stage, teacher }
        };
        Ok(Some(match &distill.from {
            Teacher::Flag => self.teacher.clone().ok_or_else(missing("the teacher of the run".into()))?,
            Teacher::Named(name) => {
                self.named_teachers.get(name).cloned().ok_or_else(missing(format!("`{name}`")))?
            }
            Teacher::Itself => start.valid(),
            Teacher::Stage(name) => {
                let (name, at) = (name.clone(), stage.name.clone());
                let end = kept.get(name.as_str());
                end.ok_or(EngineError::StageMissing { stage: name, at })?.valid()
            }
        }))
    }
}

/// The number of weights of the linear layers, which are multiplied for each token.
fn linear_weights<M: Module>(model: &M) -> usize {
    let table = parameters::table(model);
    table.iter().filter(|p| p.is_prunable()).map(|p| p.count()).sum()
}

/// The last stage before index `index` that is not a branch.
fn carried_before(schedule: &Schedule, index: usize) -> &str {
    let carried = schedule.stages[..index].iter().rev().find(|s| s.branch_from.is_none());
    carried.map_or(START, |stage| &stage.name)
}
