//! The position of a run in its schedule, and the triggers of checkpoints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::schedule::Timeline;
use crate::task::quantizers::QuantizerRecord;

use super::results::{Baseline, BestEvaluation, StageResult, Times};

/// The position of a run before a step: a checkpoint without its tensors.
///
/// Batches, dropout and calibration depend on the seed, the stage and the step, so that the position is the state of all
/// random generators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The index of the stage in the schedule.
    pub stage: usize,
    /// Its name.
    pub name: String,
    /// The next step; the stage's number of steps after its last one.
    pub step: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Steps of the optimizer in this stage.
    pub optimizer_steps: i32,
    /// Steps accumulated in movement scores.
    pub movement_steps: u64,
    /// The stage's time by kind of work.
    pub times: Times,
    /// Seconds of the stage so far.
    pub stage_seconds: f64,
    /// Seconds of the run so far.
    pub seconds: f64,
    /// The results of earlier stages.
    pub results: Vec<StageResult>,
    /// The best evaluation so far, if the stage ends with its best checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<BestEvaluation>,
    /// The last evaluation, and the first pruning event since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The quantizers by the prefix of the weights' names (`model`, `best`, `end/STAGE`) and by tensor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", alias = "rounding")]
    pub quantizers: BTreeMap<String, BTreeMap<String, QuantizerRecord>>,
}

/// The reason for which a checkpoint before a step can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointTrigger {
    /// A stage begins.
    StageStart,
    /// A pruning event follows.
    BeforePruning,
    /// An epoch has ended.
    EpochEnd,
    /// The run was asked to stop.
    Stopping,
    /// No particular event.
    Step,
}

impl CheckpointTrigger {
    /// The trigger of a checkpoint before a step; `stops` if the run was asked to stop.
    pub fn of(step: u64, timeline: &Timeline, stops: bool) -> Self {
        match step {
            _ if stops => CheckpointTrigger::Stopping,
            0 => CheckpointTrigger::StageStart,
            _ if !timeline.prunes_before(step).is_empty() => CheckpointTrigger::BeforePruning,
            _ if step.is_multiple_of(timeline.steps_per_epoch()) => CheckpointTrigger::EpochEnd,
            _ => CheckpointTrigger::Step,
        }
    }
}
