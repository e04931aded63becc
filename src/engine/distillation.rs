//! Knowledge distillation: the losses against a teacher's outputs and hidden states.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::method::distill::{evenly_spaced, hidden_state_error};
use crate::params::{Matcher, Selector};
use crate::schedule::ir::{self, Distill, Stage};
use crate::task::{HiddenState, HiddenStates, Output, Task};

use super::EngineError;

/// A teacher, and the outputs and hidden states that the student matches.
pub struct Distillation<'a, M> {
    stage: &'a str,
    distill: &'a Distill,
    teacher: M,
    hidden: Option<Hidden<'a>>,
}

/// The modules whose hidden states are matched.
struct Hidden<'a> {
    states: &'a ir::HiddenStates,
    of_student: Matcher,
    of_teacher: Matcher,
}

/// The distillation losses of a batch.
pub struct DistillationLosses {
    /// The mean divergence over the matched outputs, `[1]`.
    pub divergence: Tensor<1>,
    /// The gain times the sum of the mean squared errors of all matched hidden states, `[1]`; normalized errors with
    /// `normalize`.
    pub hidden: Option<Tensor<1>>,
}

/// The outputs and hidden states of a model for a batch.
struct ForwardPass {
    outputs: Vec<Output>,
    states: Vec<HiddenState>,
}

impl<'a, M: Module> Distillation<'a, M> {
    /// The distillation of a stage from a teacher without autodiff; `None` if the stage does not distill.
    ///
    /// # Errors
    /// A selector of modules that cannot be read.
    pub fn new(stage: &'a Stage, teacher: Option<M>) -> Result<Option<Self>, EngineError> {
        let (Some(distill), Some(teacher)) = (&stage.distill, teacher) else { return Ok(None) };
        let matcher = |pattern: &str| {
            let selector = Selector::Glob(pattern.to_owned());
            selector.matcher().map_err(|e| EngineError::selector(&stage.name, e))
        };
        let hidden = match &distill.hidden {
            None => None,
            Some(states) => Some(Hidden {
                states,
                of_student: matcher(&states.modules)?,
                of_teacher: matcher(states.teacher.as_ref().unwrap_or(&states.modules))?,
            }),
        };
        Ok(Some(Distillation { stage: &stage.name, distill, teacher, hidden }))
    }

    /// The `distill` statement: its window, hardness and temperature.
    pub fn statement(&self) -> &'a Distill {
        self.distill
    }

    /// Whether the student's hidden state of a module is matched.
    pub fn matches(&self, module: &str) -> bool {
        self.hidden.as_ref().is_some_and(|h| h.of_student.matches(module))
    }

    /// The losses between the outputs and hidden states of student and teacher for a batch; `device` is the teacher's.
    pub fn losses<T: Task<Model = M>>(
        &self,
        task: &T,
        examples: &[usize],
        device: &Device,
        outputs: &[Output],
        states: &[HiddenState],
    ) -> DistillationLosses {
        let targets = self.teacher_targets(task, examples, device);
        let hidden = self.hidden.as_ref().map(|hidden| {
            let epsilon = hidden.states.normalize.then_some(hidden.states.epsilon);
            let partners = evenly_spaced(states.len(), targets.states.len()).unwrap_or_default();
            let errors = states.iter().zip(partners).map(|(student, partner)| {
                let teacher = targets.states[partner].values.clone().autodiff();
                hidden_state_error(student.values.clone(), teacher, epsilon)
            });
            // invariant: the check before the first step found a hidden state for each.
            errors.reduce(|a, b| a + b).expect("matched states") * hidden.states.gain
        });
        DistillationLosses { divergence: self.divergence(task, outputs, targets.outputs), hidden }
    }

    /// The teacher's forward pass over a batch.
    fn teacher_targets<T: Task<Model = M>>(
        &self,
        task: &T,
        examples: &[usize],
        device: &Device,
    ) -> ForwardPass {
        let wanted = |module: &str| self.hidden.as_ref().is_some_and(|h| h.of_teacher.matches(module));
        computed(task, &self.teacher, examples, device, &wanted)
    }

    /// The mean divergence over the matched outputs.
    fn divergence<T: Task>(&self, task: &T, outputs: &[Output], targets: Vec<Output>) -> Tensor<1> {
        let matched =
            |name: &str| self.distill.outputs.is_empty() || self.distill.outputs.iter().any(|o| o == name);
        let mut list = Vec::new();
        for student in outputs.iter().filter(|o| matched(o.name)) {
            let Some(teacher) = targets.iter().find(|t| t.name == student.name) else { continue };
            let constant = Tensor::from_data(teacher.logits.to_data(), &student.logits.device());
            let divergence = task.divergence(student.name);
            list.push(divergence.of(student.logits.clone(), constant, self.distill.temperature));
        }
        let count = list.len().max(1) as f64;
        // invariant: the check before the first step found a common output.
        list.into_iter().reduce(|a, b| a + b).expect("matched outputs") / count
    }

    /// Checks, with one example, that outputs and hidden states of student and teacher can be matched.
    ///
    /// # Errors
    /// Outputs or hidden states that cannot be matched.
    pub fn check<T: Task<Model = M>>(
        &self,
        task: &T,
        student: &M,
        device: &Device,
    ) -> Result<(), EngineError> {
        if task.examples() == 0 {
            return Ok(());
        }
        let student = computed(task, &student.valid(), &[0], device, &|module| self.matches(module));
        let teacher = self.teacher_targets(task, &[0], device);
        self.check_outputs(&student.outputs, &teacher.outputs)?;
        match &self.hidden {
            None => Ok(()),
            Some(hidden) => self.check_states(task, hidden, &student.states, &teacher.states, device),
        }
    }

    fn check_outputs(&self, of_student: &[Output], of_teacher: &[Output]) -> Result<(), EngineError> {
        let wished = &self.distill.outputs;
        let names = |list: &[Output]| list.iter().map(|o| o.name).collect::<Vec<_>>().join(", ");
        if let Some(lost) = wished.iter().find(|n| !of_student.iter().any(|o| o.name == **n)) {
            return Err(self.differ(format!("`{lost}` is no output; there are {}", names(of_student))));
        }
        let matched = of_student.iter().filter(|o| wished.is_empty() || wished.iter().any(|n| n == o.name));
        for Output { name, logits } in matched {
            let shape = logits.dims();
            match of_teacher.iter().find(|o| o.name == *name).map(|o| o.logits.dims()) {
                Some(other) if other == shape => {}
                Some(other) => {
                    return Err(self.differ(format!(
                        "`{name}` is {shape:?} of the student and {other:?} of the teacher"
                    )));
                }
                None => {
                    return Err(
                        self.differ(format!("the teacher has no `{name}`; it has {}", names(of_teacher)))
                    );
                }
            }
        }
        Ok(())
    }

    fn check_states<T: Task<Model = M>>(
        &self,
        task: &T,
        hidden: &Hidden,
        of_student: &[HiddenState],
        of_teacher: &[HiddenState],
        device: &Device,
    ) -> Result<(), EngineError> {
        let modules = &hidden.states.modules;
        let others = hidden.states.teacher.as_ref().unwrap_or(modules);
        for (list, pattern) in [(of_student, modules), (of_teacher, others)] {
            if list.is_empty() {
                let all = computed(task, &self.teacher, &[0], device, &|_| true).states;
                let known: Vec<&str> = all.iter().map(|s| s.module.as_str()).collect();
                return Err(self.differ(match known.as_slice() {
                    [] => "this task's model returns no hidden states".to_owned(),
                    _ => format!("`{pattern}` names no module that returns hidden states; {}", shown(&known)),
                }));
            }
        }
        let Some(partners) = evenly_spaced(of_student.len(), of_teacher.len()) else {
            return Err(self.differ(format!(
                "`{modules}` are {} modules of the student, `{others}` only {} of the teacher",
                of_student.len(),
                of_teacher.len()
            )));
        };
        for (student, partner) in of_student.iter().zip(partners) {
            let teacher = &of_teacher[partner];
            let (own, other) = (student.values.dims(), teacher.values.dims());
            if own != other {
                return Err(self.differ(format!(
                    "the states of `{}` are {} wide, those of the teacher's `{}` {}",
                    student.module, own[1], teacher.module, other[1]
                )));
            }
        }
        Ok(())
    }

    fn differ(&self, why: String) -> EngineError {
        EngineError::Teacher { stage: self.stage.to_owned(), why }
    }
}

fn computed<T: Task>(
    task: &T,
    model: &T::Model,
    examples: &[usize],
    device: &Device,
    wanted: &dyn Fn(&str) -> bool,
) -> ForwardPass {
    let batch = task.batch(examples, device);
    let mut states = HiddenStates::of(wanted);
    let outputs = task.outputs_with_hidden_states(model, &batch, None, &mut states);
    ForwardPass { outputs, states: states.into_list() }
}

/// A few names, and how many more there are.
fn shown(names: &[&str]) -> String {
    const MOST: usize = 3;
    match names.len() {
        0..=MOST => format!("there are {}", names.join(", ")),
        more => format!("there are {} and {} more", names[..MOST].join(", "), more - MOST),
    }
}
