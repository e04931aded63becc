//! Stage after stage, branches beside them.

use std::collections::HashMap;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use crate::schedule::Schedule;
use crate::schedule::ir::{START, Stage, Teacher};
use crate::task::Task;
use crate::task::parameters;

use super::EngineError;
use super::events::{self, Event, Observer};
use super::gradients;
use super::machine;
use super::masks::Masks;
use super::results::StageResult;
use super::stage::StageRun;
use super::teaching::Teaching;

/// Runs a schedule for a task.
pub struct Interpreter<'a, T: Task> {
    /// What is trained for.
    pub task: &'a T,
    /// What is done.
    pub schedule: &'a Schedule,
    /// The device, without autodiff.
    pub device: Device,
    /// The model that `distill from teacher` means.
    pub teacher: Option<T::Model>,
    /// Models named in `distill from "…"`, by name.
    pub named_teachers: HashMap<String, T::Model>,
    /// At most so many training steps in a stage: epochs are shortened so that everything still
    /// happens.
    pub limit_steps: Option<u64>,
}

impl<'a, T: Task> Interpreter<'a, T> {
    /// An interpreter without teachers from elsewhere, over the whole length of every stage.
    pub fn new(task: &'a T, schedule: &'a Schedule, device: Device) -> Self {
        let named_teachers = HashMap::new();
        Interpreter { task, schedule, device, teacher: None, named_teachers, limit_steps: None }
    }
}

impl<T: Task> Interpreter<'_, T> {
    /// Runs all stages from `model`, which lives on the device without autodiff. Returns the last
    /// carried stage's model and every stage's figures.
    ///
    /// # Errors
    /// Whatever stops the run.
    pub fn run(
        &self,
        model: T::Model,
        observer: &mut dyn Observer,
    ) -> Result<(T::Model, Vec<StageResult>), EngineError> {
        let begin = Instant::now();
        let mut model = gradients::to_training(model, &self.device);
        let mut kept: HashMap<&str, T::Model> = HashMap::new();
        if self.is_needed(START, 0) {
            kept.insert(START, model.clone());
        }
        let mut results = Vec::new();
        self.tell(
            observer,
            &Event::RunStarted {
                format: events::FORMAT,
                recipe: self.schedule.name.clone(),
                version: env!("CARGO_PKG_VERSION"),
                seed: self.schedule.seed,
                device: format!("{:?}", self.device),
                examples: self.task.examples(),
            },
        )?;
        for (index, stage) in self.schedule.stages.iter().enumerate() {
            let start = match &stage.branch_from {
                None => model.clone(),
                Some(from) => {
                    let kept = kept.get(from.as_str()).cloned();
                    kept.ok_or_else(|| EngineError::Missing(format!("there is no stage `{from}`")))?
                }
            };
            if stage.branch_from.is_none() {
                // The old model would keep its weights alive beside the new one's.
                drop(std::mem::replace(&mut model, start.clone()));
            }
            // A student that learns from itself learns from all of its layers.
            let teacher = self.teacher_of(stage, &start, &kept)?;
            let start = self.choose_layers(stage, start)?;
            let teaching = Teaching::new(stage, teacher)?;
            if let Some(teaching) = &teaching {
                teaching.check(self.task, &start, &self.device)?;
            }
            let run = StageRun {
                task: self.task,
                stage,
                index: index as u64,
                seed: self.schedule.seed,
                device: &self.device,
                teaching,
                limit_steps: self.limit_steps,
            };
            let (finished, result) = run.run(start, Masks::default(), observer)?;
            results.push(result);
            if self.is_needed(&stage.name, index + 1) {
                kept.insert(&stage.name, finished.clone());
            }
            if stage.branch_from.is_none() {
                model = finished;
            }
        }
        let (seconds, memory) = (begin.elapsed().as_secs_f64(), machine::peak_memory());
        self.tell(observer, &Event::RunFinished { seconds, memory })?;
        Ok((model.valid(), results))
    }

    fn tell(&self, observer: &mut dyn Observer, event: &Event) -> Result<(), EngineError> {
        observer.event(event).map_err(EngineError::Observer)
    }

    /// Whether a stage from index `from` on needs the result of `name`.
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
        let kept = layers.kept(count).filter(|kept| !kept.is_empty());
        let kept = kept.ok_or_else(|| missing(format!("the model has {count} layers")))?;
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
        let missing = |what: String| EngineError::Missing(what);
        Ok(Some(match &distill.from {
            Teacher::Flag => {
                self.teacher.clone().ok_or_else(|| missing(format!("`{}` needs a teacher", stage.name)))?
            }
            Teacher::Named(name) => self
                .named_teachers
                .get(name)
                .cloned()
                .ok_or_else(|| missing(format!("the teacher `{name}` was not loaded")))?,
            Teacher::Itself => start.valid(),
            Teacher::Stage(name) => {
                kept.get(name.as_str()).ok_or_else(|| missing(format!("there is no stage `{name}`")))?.valid()
            }
        }))
    }
}
