//! What is known of a run: the lines of its log, gathered by stage, and the files beside it.
//!
//! These types follow `docs/run-log.md`, not the engine. Every field may be missing: older and newer logs
//! are read as far as they go. A figure that was not finite is `null` in the log and `None` here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::output::sizes::Sizes;
use crate::schedule::Schedule;
use crate::schedule::ir::START;

/// The version of the record as JSON.
pub const FORMAT: u32 = 1;

/// A run, as far as its folder tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The run's folder, as it was given.
    pub folder: String,
    /// How it ended.
    pub state: State,
    /// What was run, and with what.
    pub started: Started,
    /// Where and by which command; `None` in logs of older versions.
    pub environment: Option<Environment>,
    /// How often it was taken up again.
    pub resumed: usize,
    /// Stages and branches in the order in which they ran.
    pub stages: Vec<StageRecord>,
    /// Time spent, if it came to an end.
    pub seconds: Option<f64>,
    /// The most memory that the process held, in bytes.
    pub memory: Option<u64>,
    /// Why it failed.
    pub failure: Option<Failed>,
    /// Bytes of the saved weights, if there is a model in the folder.
    pub model_bytes: Option<u64>,
    /// What the saved model takes in bytes, counted and in the files it was packed into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// What was planned, if the folder says so.
    pub schedule: Option<Schedule>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It came to its end.
    Finished,
    /// It stopped with an error.
    Failed,
    /// It is running, or was killed.
    #[default]
    Unfinished,
}

/// `run_started`: what is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Started {
    /// The version of the log's format.
    pub format: Option<u32>,
    /// The recipe's name.
    pub recipe: String,
    /// The version of obert.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// Where it is computed.
    pub device: String,
    /// Training examples.
    pub examples: usize,
}

/// `environment`: by which command, on what machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The recipe's file, as it was given.
    pub recipe_file: String,
    /// The recipe, word for word.
    pub recipe_text: String,
    /// Operating system and architecture.
    pub system: String,
    /// The processor, if it has a name.
    pub processor: Option<String>,
    /// Threads that the machine offers.
    pub threads: usize,
    /// Memory of the machine, in bytes.
    pub machine_memory: Option<u64>,
    /// Versions of what computes, by name.
    pub versions: BTreeMap<String, String>,
    /// When it began, in seconds since 1970.
    pub unix_time: u64,
}

/// A stage or a branch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageRecord {
    /// Its name.
    pub name: String,
    /// Whether it is measured only.
    pub branch: bool,
    /// Its steps.
    pub steps: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Training, step by step.
    pub curve: Vec<Step>,
    /// Pruning events.
    pub prunes: Vec<Pruned>,
    /// What began to be rounded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roundings: Vec<Quantized>,
    /// Measurements.
    pub evaluations: Vec<Evaluated>,
    /// Which weights it ends with, where the best are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// What it came to, if it did.
    pub end: Option<StageFinished>,
}

/// `stage_started`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StageStarted {
    /// Its name.
    pub stage: String,
    /// Whether it is measured only.
    pub branch: bool,
    /// Its steps.
    pub steps: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
}

/// `step`: one step of training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// The stage.
    #[serde(skip_serializing)]
    pub stage: String,
    /// From 0.
    pub step: u64,
    /// Its place in epochs.
    pub epoch: f64,
    /// The loss that was minimised.
    pub loss: Option<f64>,
    /// The loss against the labels.
    pub task_loss: Option<f64>,
    /// The loss against the teacher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill_loss: Option<f64>,
    /// The loss against the teacher's hidden states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_loss: Option<f64>,
    /// The learning rate.
    pub lr: Option<f64>,
    /// The gradients' global norm before clipping.
    pub gradient_norm: Option<f64>,
    /// Time spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// `pruned`: weights were removed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pruned {
    /// The stage.
    #[serde(skip_serializing)]
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// Its nominal time.
    pub at: String,
    /// Parameters that took part.
    pub parameters: usize,
    /// The share that was to be zero.
    pub target: Option<f64>,
    /// The share that is.
    pub sparsity: f64,
    /// The damp that it took, if the recipe's had to be raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_damp: Option<f64>,
    /// Lengths of the exact update.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<f64>,
    /// Each of its parameters afterwards.
    pub layers: Vec<Layer>,
    /// Time spent.
    pub seconds: f64,
    /// The most memory that the process had held so far, in bytes.
    pub memory: Option<u64>,
}

/// `quantized`: weights and activations are rounded from a step on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantized {
    /// The stage.
    #[serde(skip_serializing)]
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// Its nominal time.
    pub at: String,
    /// Weights that are rounded.
    pub weights: usize,
    /// Bits of each of their values.
    pub weight_bits: u32,
    /// Activations that are rounded.
    pub activations: usize,
    /// Bits of each of their values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_bits: Option<u32>,
    /// Batches that were observed before.
    pub calibrated: usize,
    /// Time spent.
    pub seconds: f64,
    /// The most memory that the process had held so far, in bytes.
    pub memory: Option<u64>,
}

/// `evaluated`: the model was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluated {
    /// The stage.
    #[serde(skip_serializing)]
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// The figures.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Time spent.
    pub seconds: f64,
}

/// `kept`: a stage ends with its best weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The stage.
    #[serde(skip_serializing)]
    pub stage: String,
    /// They are those before this step.
    pub step: u64,
    /// The metric that decided.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// `stage_finished`: what a stage came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageFinished {
    /// The stage.
    #[serde(skip_serializing)]
    pub stage: String,
    /// The share of all prunable weights that is zero.
    pub sparsity: f64,
    /// Every prunable parameter.
    pub layers: Vec<Layer>,
    /// Values of all parameters.
    pub values: Option<usize>,
    /// Those that are not zero.
    pub nonzero: Option<usize>,
    /// Bytes of the encoder's layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_bytes: Option<usize>,
    /// Time spent.
    pub seconds: f64,
    /// The most memory that the process had held so far, in bytes.
    pub memory: Option<u64>,
}

/// A parameter and its zeros.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its weights.
    pub count: usize,
    /// Those that are zero.
    pub zeros: usize,
}

/// `run_finished`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Finished {
    /// Time spent.
    pub seconds: f64,
    /// The most memory that the process held, in bytes.
    pub memory: Option<u64>,
}

/// `run_failed`: the error that ended the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failed {
    /// Its code.
    pub code: String,
    /// What it says.
    pub message: String,
    /// Time spent.
    #[serde(skip_serializing)]
    pub seconds: f64,
}

impl Record {
    /// The stages that lead to the final model.
    pub fn carried(&self) -> impl Iterator<Item = &StageRecord> {
        self.stages.iter().filter(|s| !s.branch)
    }

    /// Each stage with the place of its first step on one axis of steps through all carried stages. A
    /// branch begins where the stage ends that it leaves.
    pub fn laid_out(&self) -> Vec<(u64, &StageRecord)> {
        let mut ends: BTreeMap<&str, u64> = BTreeMap::from([(START, 0)]);
        let mut end = 0;
        let mut list = Vec::new();
        for stage in &self.stages {
            let begin = if stage.branch { self.leaves(stage, &ends).unwrap_or(end) } else { end };
            list.push((begin, stage));
            ends.insert(&stage.name, begin + stage.steps);
            if !stage.branch {
                end += stage.steps;
            }
        }
        list
    }

    fn leaves(&self, branch: &StageRecord, ends: &BTreeMap<&str, u64>) -> Option<u64> {
        let planned = self.schedule.as_ref()?.stages.iter().find(|s| s.name == branch.name)?;
        ends.get(planned.branch_from.as_deref()?).copied()
    }

    /// What the model could before anything was pruned: the last measurement of a carried stage before
    /// the first pruning event. `None` if nothing was pruned, or nothing measured before.
    pub fn dense(&self) -> Option<&Evaluated> {
        let mut last = None;
        for stage in self.carried() {
            let first = stage.prunes.iter().map(|p| p.step).min();
            last = stage.evaluations.iter().rfind(|e| first.is_none_or(|f| e.step < f)).or(last);
            if first.is_some() {
                return last;
            }
        }
        None
    }

    /// The last measurement of the final model.
    pub fn compressed(&self) -> Option<&Evaluated> {
        self.carried().filter_map(StageRecord::measured).last()
    }

    /// What the last carried stage came to.
    pub fn end(&self) -> Option<&StageFinished> {
        self.carried().filter_map(|s| s.end.as_ref()).last()
    }

    /// The names of all metrics, as they appear.
    pub fn metric_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let all = self.stages.iter().flat_map(|s| &s.evaluations).flat_map(|e| e.metrics.keys());
        for name in all {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The share of zeros among the weights that were pruned, at the end of the last carried stage.
    pub fn sparsity(&self) -> f64 {
        self.carried().last().map_or(0.0, StageRecord::sparsity)
    }
}

impl StageRecord {
    /// The share of zeros, at its end or after its last pruning event, among parameters that have any.
    pub fn sparsity(&self) -> f64 {
        match &self.end {
            Some(end) if !end.layers.is_empty() => share(end.layers.iter().filter(|l| l.zeros > 0)),
            Some(end) if self.prunes.is_empty() => end.sparsity,
            _ => self.prunes.last().map_or(0.0, |p| p.sparsity),
        }
    }

    /// The measurement of the weights it ends with: the last one, unless the best are kept.
    pub fn measured(&self) -> Option<&Evaluated> {
        let kept = self.kept.as_ref().and_then(|k| self.evaluations.iter().rfind(|e| e.step == k.step));
        kept.or(self.evaluations.last())
    }
}

impl Evaluated {
    /// A figure by its name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied().flatten()
    }
}

impl Layer {
    /// The share that is zero.
    pub fn share(&self) -> f64 {
        self.zeros as f64 / self.count.max(1) as f64
    }
}

/// The share of zeros over several parameters.
pub fn share<'a>(layers: impl Iterator<Item = &'a Layer>) -> f64 {
    let (zeros, count) = layers.fold((0, 0), |(z, n), l| (z + l.zeros, n + l.count));
    zeros as f64 / usize::max(count, 1) as f64
}
