//! The data of a report: the events of a run's log by stage, and data of the other files of its folder.
//!
//! Its events are those of [`runlog`](crate::runlog), which the engine writes.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::output::sizes::Sizes;
use crate::runlog::{
    Environment, Evaluated, Kept, Pruned, Quantized, RunFailed, RunStarted, StageFinished, Step, Warning,
    sparsity,
};
use crate::schedule::Schedule;
use crate::schedule::ir::{START, Stage};

/// The version of the record as JSON.
pub const FORMAT: u32 = 1;

/// The data of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// The version of this format, [`FORMAT`].
    pub format: u32,
    /// The run's folder, as it was given.
    pub folder: String,
    /// The state of the run.
    pub state: State,
    /// Recipe, seed and data.
    pub started: RunStarted,
    /// Machine and command; `None` in logs of older versions.
    pub environment: Option<Environment>,
    /// How often the run was resumed.
    pub resumed: usize,
    /// Warnings, in the order in which they were reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Stages and branches in the order in which they ran.
    pub stages: Vec<StageRecord>,
    /// Wall-clock time in seconds, if the run is finished.
    pub seconds: Option<f64>,
    /// Peak memory of the process, in bytes.
    pub memory: Option<u64>,
    /// The error, if the run failed.
    #[serde(serialize_with = "without_time")]
    pub failure: Option<RunFailed>,
    /// Bytes of the saved weights, if there is a model in the folder.
    pub model_bytes: Option<u64>,
    /// The sizes of the saved model, and of its exports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// The schedule, if the folder has `schedule.json`.
    pub schedule: Option<Schedule>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The run is finished.
    Finished,
    /// The run stopped with an error.
    Failed,
    /// The run is going on, or was killed.
    #[default]
    Unfinished,
}

/// A stage or a branch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageRecord {
    /// Its name.
    pub name: String,
    /// Whether it is a branch: its model is evaluated, and not used by later stages.
    pub branch: bool,
    /// Number of steps.
    pub steps: u64,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
    /// Training steps.
    #[serde(serialize_with = "without_stage")]
    pub curve: Vec<Step>,
    /// Pruning events.
    #[serde(serialize_with = "without_stage")]
    pub prunes: Vec<Pruned>,
    /// Quantization events.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "without_stage")]
    pub quantizations: Vec<Quantized>,
    /// Evaluations.
    #[serde(serialize_with = "without_stage")]
    pub evaluations: Vec<Evaluated>,
    /// The best checkpoint, if it ends with that.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_stage")]
    pub kept: Option<Kept>,
    /// Its results, if it is finished.
    #[serde(serialize_with = "without_stage")]
    pub end: Option<StageFinished>,
}

/// Serializes events as in the log, without the name of their stage.
fn without_stage<S: Serializer>(events: &impl Serialize, to: S) -> Result<S::Ok, S::Error> {
    without(events, "stage", to)
}

/// Serializes a failure without its time, which is that of the run.
fn without_time<S: Serializer>(failure: &impl Serialize, to: S) -> Result<S::Ok, S::Error> {
    without(failure, "seconds", to)
}

fn without<S: Serializer>(events: &impl Serialize, field: &str, to: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(events).map_err(serde::ser::Error::custom)?;
    let list = match &mut value {
        serde_json::Value::Array(list) => list.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for event in list.iter_mut().filter_map(serde_json::Value::as_object_mut) {
        event.shift_remove(field);
    }
    value.serialize(to)
}

impl Record {
    /// The recipe's name, or the folder's.
    pub fn name(&self) -> &str {
        if self.started.recipe.is_empty() { &self.folder } else { &self.started.recipe }
    }

    /// The stages that lead to the final model.
    pub fn carried(&self) -> impl Iterator<Item = &StageRecord> {
        self.stages.iter().filter(|s| !s.branch)
    }

    /// Each stage with its first step in the global step count. A branch begins at the end of the stage that it
    /// branches from.
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
        ends.get(self.planned(branch)?.branch_from.as_deref()?).copied()
    }

    /// The metrics of the dense model: the last evaluation before the first event that drops layers, prunes or
    /// quantizes, branches left out; else that of a branch from `start` that changes nothing. `None` if there is
    /// neither.
    pub fn dense(&self) -> Option<&Evaluated> {
        self.before_compression().or_else(|| self.stages.iter().find(|s| self.is_start(s))?.measured())
    }

    fn before_compression(&self) -> Option<&Evaluated> {
        let mut last = None;
        for stage in self.carried() {
            let drops = self.planned(stage).is_some_and(|p| p.layers.is_some());
            let pruned = stage.prunes.iter().map(|p| p.step);
            let quantized = stage.quantizations.iter().map(|q| q.step);
            let first = pruned.chain(quantized).chain(drops.then_some(0)).min();
            last = stage.evaluations.iter().rfind(|e| first.is_none_or(|f| e.step < f)).or(last);
            if first.is_some() {
                return last;
            }
        }
        None
    }

    /// Whether a stage evaluates the model that the run began with: a branch from `start` that neither trains nor
    /// changes anything.
    fn is_start(&self, stage: &StageRecord) -> bool {
        let unchanged = stage.steps == 0 && stage.prunes.is_empty() && stage.quantizations.is_empty();
        let from_start = |p: &Stage| p.branch_from.as_deref() == Some(START) && p.layers.is_none();
        stage.branch && unchanged && self.planned(stage).is_some_and(from_start)
    }

    fn planned(&self, stage: &StageRecord) -> Option<&Stage> {
        self.schedule.as_ref()?.stages.iter().find(|s| s.name == stage.name)
    }

    /// The last evaluation of the final model.
    pub fn compressed(&self) -> Option<&Evaluated> {
        self.carried().filter_map(StageRecord::measured).last()
    }

    /// The results of the last stage that is no branch.
    pub fn end(&self) -> Option<&StageFinished> {
        self.carried().filter_map(|s| s.end.as_ref()).last()
    }

    /// The names of all metrics, in the order of the log.
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

    /// The sparsity of all pruned weights at the end of the last stage that is no branch, `0..=1`.
    pub fn sparsity(&self) -> f64 {
        self.carried().last().map_or(0.0, StageRecord::sparsity)
    }
}

impl StageRecord {
    /// The sparsity of parameters with zeros, at its end or after its last pruning event, `0..=1`.
    pub fn sparsity(&self) -> f64 {
        match &self.end {
            Some(end) if !end.layers.is_empty() => sparsity(end.layers.iter().filter(|l| l.zeros > 0)),
            Some(end) if self.prunes.is_empty() => end.sparsity,
            _ => self.prunes.last().map_or(0.0, |p| p.sparsity),
        }
    }

    /// The evaluation of the weights with which it ends: the last one, or that of the best checkpoint.
    pub fn measured(&self) -> Option<&Evaluated> {
        let kept = self.kept.as_ref().and_then(|k| self.evaluations.iter().rfind(|e| e.step == k.step));
        kept.or(self.evaluations.last())
    }
}
