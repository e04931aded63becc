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
use super::estimation::Estimates;
use super::events::{Event, Observer};
use super::masks::Masks;
use super::results::StageResult;
use super::stage::StageRun;

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
    /// Where the surgeon's estimates live.
    pub estimates: Estimates,
}

impl<'a, T: Task> Interpreter<'a, T> {
    /// An interpreter without teachers from elsewhere, over the whole length of every stage.
    pub fn new(task: &'a T, schedule: &'a Schedule, device: Device) -> Self {
        let named_teachers = HashMap::new();
        let estimates = Estimates::default();
        Interpreter { task, schedule, device, teacher: None, named_teachers, limit_steps: None, estimates }
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
        let mut model = self.to_training(model);
        let mut kept: HashMap<&str, T::Model> = HashMap::new();
        if self.is_needed(START, 0) {
            kept.insert(START, model.clone());
        }
        let mut results = Vec::new();
        self.tell(
            observer,
            &Event::RunStarted {
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
            if let Some(teacher) = &teacher {
                self.check_teacher(stage, &start, teacher)?;
            }
            let run = StageRun {
                task: self.task,
                stage,
                index: index as u64,
                seed: self.schedule.seed,
                device: &self.device,
                teacher,
                limit_steps: self.limit_steps,
                estimates: self.estimates,
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
        self.tell(observer, &Event::RunFinished { seconds: begin.elapsed().as_secs_f64() })?;
        Ok((model.valid(), results))
    }

    fn tell(&self, observer: &mut dyn Observer, event: &Event) -> Result<(), EngineError> {
        observer.event(event).map_err(EngineError::Observer)
    }

    /// The model with gradients, on the same device.
    fn to_training(&self, model: T::Model) -> T::Model {
        let device = self.device.clone().autodiff();
        let values = parameters::read(&model, |_| true);
        let moved = model.fork(&device);
        parameters::write(moved, values).train()
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

    /// Compares a teacher's outputs on one example with the student's, before the first step.
    fn check_teacher(
        &self,
        stage: &Stage,
        student: &T::Model,
        teacher: &T::Model,
    ) -> Result<(), EngineError> {
        let Some(distill) = stage.distill.as_ref().filter(|_| self.task.examples() > 0) else {
            return Ok(());
        };
        let outputs = |model: &T::Model| -> Vec<(&'static str, [usize; 2])> {
            let batch = self.task.batch(&[0], &self.device);
            let outputs = self.task.outputs(model, &batch, None);
            outputs.iter().map(|o| (o.name, o.logits.dims())).collect()
        };
        let (of_student, of_teacher) = (outputs(&student.valid()), outputs(teacher));
        let differ = |why: String| EngineError::Teacher { stage: stage.name.clone(), why };
        let names = |list: &[(&'static str, [usize; 2])]| {
            list.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        if let Some(lost) = distill.outputs.iter().find(|n| !of_student.iter().any(|(name, _)| name == n)) {
            return Err(differ(format!("`{lost}` is no output; there are {}", names(&of_student))));
        }
        let matched = of_student
            .iter()
            .filter(|(name, _)| distill.outputs.is_empty() || distill.outputs.iter().any(|n| n == name));
        for (name, shape) in matched {
            match of_teacher.iter().find(|(other, _)| other == name) {
                Some((_, other)) if other == shape => {}
                Some((_, other)) => {
                    return Err(differ(format!(
                        "`{name}` is {shape:?} of the student and {other:?} of the teacher"
                    )));
                }
                None => {
                    return Err(differ(format!(
                        "the teacher has no `{name}`; it has {}",
                        names(&of_teacher)
                    )));
                }
            }
        }
        Ok(())
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
