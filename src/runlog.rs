//! The events of a run, written to `run.jsonl` and read from it.
//!
//! Each line is an [`Event`]; docs/run-log.md describes them. Fields named `seconds` and `memory` and the event
//! [`Event::Environment`] depend on the machine and its load; everything else is the same when a run is repeated with
//! the same seed on the same kind of machine.
//!
//! Logs can be read without the engine. In logs of other versions a missing field has its default and an unknown field
//! is ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the log's format. New fields and events do not change it.
pub const FORMAT: u32 = 1;

/// A number, or `None` (`null` in the log) if it is not finite.
pub type Number = Option<f64>;

/// Converts a float to a number of the log.
pub fn number(value: f64) -> Number {
    value.is_finite().then_some(value)
}

/// A line of `run.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The command and the machine: the first line, and again when a run is resumed.
    Environment(Environment),
    /// The run begins.
    RunStarted(RunStarted),
    /// A stage begins.
    StageStarted(StageStarted),
    /// A training step is done.
    Step(Step),
    /// Weights were pruned before a step.
    Pruned(Pruned),
    /// Weights and activations are quantized from a step on.
    Quantized(Quantized),
    /// Quantization ranges are frozen from a step on.
    RangesFixed(RangesFixed),
    /// The model was evaluated.
    Evaluated(Evaluated),
    /// A problem that does not stop the run.
    Warning(Warning),
    /// A stage ends with its best checkpoint.
    Kept(Kept),
    /// A stage is done.
    StageFinished(StageFinished),
    /// The run is done.
    RunFinished(RunFinished),
    /// An error ended the run.
    RunFailed(RunFailed),
    /// An event of a newer version. Never written.
    #[serde(other)]
    Unknown,
}

/// `environment`: the command and the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The command line, a string for each argument.
    pub command: Vec<String>,
    /// The path of the recipe, as it was given.
    pub recipe_file: String,
    /// The text of the recipe.
    pub recipe_text: String,
    /// Operating system, its version, and architecture.
    pub system: String,
    /// The CPU's name, if the system reports it.
    pub processor: Option<String>,
    /// Hardware threads.
    pub threads: usize,
    /// Memory of the machine in bytes, if the system reports it.
    pub machine_memory: Option<u64>,
    /// Versions of obert and Burn, by name.
    pub versions: BTreeMap<String, String>,
    /// Start time, in seconds since 1970.
    pub unix_time: u64,
}

/// `run_started`: the recipe, its seed and its data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunStarted {
    /// The version of the log's format, [`FORMAT`].
    pub format: Option<u32>,
    /// The recipe's name.
    pub recipe: String,
    /// The version of obert.
    pub version: String,
    /// The random seed.
    pub seed: u64,
    /// The device.
    pub device: String,
    /// Number of training examples.
    pub examples: usize,
    /// Weights of the model's linear layers.
    pub weights: usize,
}

/// `stage_started`: a stage or a branch begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageStarted {
    /// The stage.
    pub stage: String,
    /// Whether it is a branch: its model is evaluated, and not used by later stages.
    pub branch: bool,
    /// Its optimizer steps.
    pub steps: u64,
    /// Steps per epoch.
    pub steps_per_epoch: u64,
}

/// `step`: one optimizer step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// The stage.
    pub stage: String,
    /// The step's number in the stage, from 0.
    pub step: u64,
    /// The step's time in epochs.
    pub epoch: f64,
    /// The total loss, which is minimized.
    pub loss: Number,
    /// The task loss: cross-entropy with the labels.
    pub task_loss: Number,
    /// The distillation loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill_loss: Number,
    /// The hidden-state distillation loss, with its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_loss: Number,
    /// The learning rate.
    pub lr: Number,
    /// The gradients' global norm before clipping.
    pub gradient_norm: Number,
    /// Wall-clock time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// `pruned`: weights were pruned before a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pruned {
    /// The stage.
    pub stage: String,
    /// The event is before this step.
    pub step: u64,
    /// The time that the recipe gives, such as `2.5 epochs`.
    pub at: String,
    /// Number of parameters (matrices) that were pruned.
    pub parameters: usize,
    /// The sparsity that was planned, `0..=1`.
    pub target: Option<f64>,
    /// The sparsity that was reached.
    pub sparsity: f64,
    /// The dampening λ that was used, if the recipe's `damp` had to be raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_damp: Option<f64>,
    /// The step size of the exact OBS update for each estimate of the Fisher matrix, `0..=1`; empty for other updates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(alias = "lengths")]
    pub step_sizes: Vec<f64>,
    /// The mean over the pruned layers of the squared error of their outputs, relative to the outputs' variance, before and
    /// after layer-wise reconstruction; empty without `reconstruct`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_errors: Vec<f64>,
    /// The sparsity of each pruned parameter after the event.
    pub layers: Vec<LayerSparsity>,
    /// Number of outputs (rows) of these parameters without a remaining weight.
    pub empty_outputs: usize,
    /// Wall-clock time in seconds, gradients included.
    pub seconds: f64,
    /// The peak memory of the process so far, in bytes, if the system reports it.
    pub memory: Option<u64>,
}

/// `quantized`: weights and activations are quantized from a step on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantized {
    /// The stage.
    pub stage: String,
    /// The event is before this step.
    pub step: u64,
    /// The time that the recipe gives, such as `2.5 epochs`.
    pub at: String,
    /// Number of quantized weights: linear layers and embedding tables.
    pub weights: usize,
    /// Bits per weight.
    pub weight_bits: u8,
    /// Number of quantized activations.
    pub activations: usize,
    /// Bits per activation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_bits: Option<u8>,
    /// Number of calibration batches before it.
    pub calibrated: usize,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The peak memory of the process so far, in bytes, if the system reports it.
    pub memory: Option<u64>,
}

/// `ranges_fixed`: quantization ranges are frozen from a step on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RangesFixed {
    /// The stage.
    pub stage: String,
    /// The event is before this step.
    pub step: u64,
    /// Number of weights and activations whose ranges are frozen.
    pub tensors: usize,
}

/// `evaluated`: the model was evaluated on the dev set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluated {
    /// The stage.
    pub stage: String,
    /// The event is before this step; at the end of a stage, its number of steps.
    pub step: u64,
    /// The metrics by name.
    pub metrics: BTreeMap<String, Number>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

impl Evaluated {
    /// A metric by its name, if it was evaluated and is finite.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied().flatten()
    }
}

/// `warning`: a problem that does not stop the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// The stage.
    pub stage: String,
    /// The event is before this step.
    pub step: u64,
    /// The kind of problem.
    pub kind: WarningKind,
    /// The problem in one sentence.
    pub message: String,
    /// What to change in the recipe, with the words to type.
    pub help: String,
}

/// The kind of a [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// A parameter, or a layer of the encoder, is pruned to 99% or more.
    AlmostEmpty,
    /// All weights of an attention head, or of an output of a matrix, are pruned.
    Emptied,
    /// A metric lost more than a fifth of its value between the evaluations before and after a pruning event.
    #[serde(alias = "metric_halved")]
    MetricCost,
    /// The Fisher matrix is estimated from fewer gradients than a block has weights, or as many.
    FewGradients,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

/// `kept`: a stage ends with its best checkpoint (`keep best`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The stage.
    pub stage: String,
    /// The checkpoint is from before this step; at the end of the stage, its number of steps.
    pub step: u64,
    /// The metric by which it is best.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// `stage_finished`: sizes and times of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageFinished {
    /// The stage.
    pub stage: String,
    /// The sparsity of all prunable weights, `0..=1`.
    pub sparsity: f64,
    /// The sparsity of every prunable parameter.
    pub layers: Vec<LayerSparsity>,
    /// Number of values of all parameters.
    pub values: Option<usize>,
    /// Number of nonzero values.
    pub nonzero: Option<usize>,
    /// Bytes of the encoder's layers, stored as nonzero weights and a bitmask with one bit for each weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_bytes: Option<usize>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The peak memory of the process so far, in bytes, if the system reports it.
    pub memory: Option<u64>,
}

/// `run_finished`: time and memory of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFinished {
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The peak memory of the process, in bytes, if the system reports it.
    pub memory: Option<u64>,
}

/// `run_failed`: the error that ended the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFailed {
    /// The diagnostic's code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

/// The sparsity of one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerSparsity {
    /// Its name in the Hugging Face model.
    pub name: String,
    /// Number of weights.
    pub count: usize,
    /// Number of zeros.
    pub zeros: usize,
}

impl LayerSparsity {
    /// The share of zeros, `0..=1`.
    pub fn share(&self) -> f64 {
        self.zeros as f64 / self.count.max(1) as f64
    }
}

/// The share of zeros over several parameters, `0..=1`.
pub fn sparsity<'a>(layers: impl IntoIterator<Item = &'a LayerSparsity>) -> f64 {
    let (zeros, count) = layers.into_iter().fold((0, 0), |(z, n), l| (z + l.zeros, n + l.count));
    zeros as f64 / usize::max(count, 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_written_is_read_again_and_numbers_that_are_not_finite_are_null() {
        let step = Step { stage: "s".into(), loss: number(f64::NAN), lr: number(0.5), ..Step::default() };
        let line = serde_json::to_string(&Event::Step(step.clone())).unwrap();
        assert!(
            line.starts_with(r#"{"event":"step","stage":"s","step":0,"epoch":0.0,"loss":null"#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), Event::Step(step));
    }

    #[test]
    fn fields_and_events_of_other_versions_are_passed_over() {
        let read = |line: &str| serde_json::from_str::<Event>(line).unwrap();
        let old = r#"{"event":"run_finished","seconds":2.5,"news":[1]}"#;
        assert_eq!(read(old), Event::RunFinished(RunFinished { seconds: 2.5, memory: None }));
        assert_eq!(read(r#"{"event":"anything","stage":"s"}"#), Event::Unknown);
        let newer = r#"{"event":"warning","stage":"s","step":0,"kind":"later","message":"m","help":"h"}"#;
        let Event::Warning(warning) = read(newer) else { panic!("no warning") };
        assert_eq!(warning.kind, WarningKind::Unknown);
    }
}
