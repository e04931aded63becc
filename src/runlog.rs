//! The events of a run: one type that is written into `run.jsonl` and read from it.
//!
//! Every [`Event`] is a line; docs/run-log.md describes them. All that depends on the clock is under
//! `seconds`, on the process's memory under `memory`, and on the machine and the command in
//! [`Event::Environment`]; everything else is the same whenever a run is repeated with one seed on one kind
//! of machine.
//!
//! Plain data: neither the engine nor Burn is needed to read it. Logs of older and newer versions are read as
//! far as they go: a field that is missing has its default, a field that is not known is passed over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the log. Fields and events are added without a new one.
pub const FORMAT: u32 = 1;

/// A number that may be not finite: `null` in the log and `None` here.
pub type Number = Option<f64>;

/// A number for the log.
pub fn number(value: f64) -> Number {
    value.is_finite().then_some(value)
}

/// A line of `run.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The first line: by which command and on what machine; again where a run is resumed.
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
    /// Quantization ranges stay as they are from a step on.
    RangesFixed(RangesFixed),
    /// The model was evaluated.
    Evaluated(Evaluated),
    /// Something that goes wrong although the run goes on.
    Warning(Warning),
    /// A stage ends with its best weights.
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
    /// Operating system, its version, architecture.
    pub system: String,
    /// The processor, if the system says.
    pub processor: Option<String>,
    /// Threads that the machine offers.
    pub threads: usize,
    /// Memory of the machine in bytes, if the system says.
    pub machine_memory: Option<u64>,
    /// Versions of obert and Burn, by name.
    pub versions: BTreeMap<String, String>,
    /// When it began, in seconds since 1970.
    pub unix_time: u64,
}

/// `run_started`: what is run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunStarted {
    /// The version of the log's format, [`FORMAT`].
    pub format: Option<u32>,
    /// The recipe's name.
    pub recipe: String,
    /// The version of obert.
    pub version: String,
    /// The seed of everything random.
    pub seed: u64,
    /// The device.
    pub device: String,
    /// Training examples.
    pub examples: usize,
    /// Weights of the model's linear layers.
    pub weights: usize,
}

/// `stage_started`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageStarted {
    /// Its name.
    pub stage: String,
    /// Whether it is a branch, which is evaluated and not carried on.
    pub branch: bool,
    /// Its optimizer steps.
    pub steps: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
}

/// `step`: one optimizer step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// The stage.
    pub stage: String,
    /// From 0.
    pub step: u64,
    /// Its place in epochs.
    pub epoch: f64,
    /// The loss that was minimised.
    pub loss: Number,
    /// The loss against the labels.
    pub task_loss: Number,
    /// The distillation loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill_loss: Number,
    /// The loss against the teacher's hidden states, with its gain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_loss: Number,
    /// The learning rate.
    pub lr: Number,
    /// The gradients' global norm before clipping.
    pub gradient_norm: Number,
    /// Time spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// `pruned`: weights were pruned before a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pruned {
    /// The stage.
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// Its nominal time.
    pub at: String,
    /// Parameters that took part.
    pub parameters: usize,
    /// The sparsity that was planned, `0..=1`.
    pub target: Option<f64>,
    /// The sparsity that was reached.
    pub sparsity: f64,
    /// The damp that it took, if the recipe's had to be raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_damp: Option<f64>,
    /// The step size of the exact update for each estimate of the Fisher matrix, `0..=1`; empty for other
    /// updates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<f64>,
    /// Each of its parameters afterwards.
    pub layers: Vec<LayerSparsity>,
    /// Outputs (rows) of these parameters without a remaining weight.
    pub empty_outputs: usize,
    /// Time spent, gradients included.
    pub seconds: f64,
    /// The peak memory of the process so far, in bytes, if the system says.
    pub memory: Option<u64>,
}

/// `quantized`: weights and activations are quantized from a step on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantized {
    /// The stage.
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// Its nominal time.
    pub at: String,
    /// Weights that are quantized: matrices and tables.
    pub weights: usize,
    /// Bits of each of their values.
    pub weight_bits: u8,
    /// Activations that are quantized.
    pub activations: usize,
    /// Bits of each of their values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_bits: Option<u8>,
    /// Batches that were observed before.
    pub calibrated: usize,
    /// Time spent.
    pub seconds: f64,
    /// The peak memory of the process so far, in bytes, if the system says.
    pub memory: Option<u64>,
}

/// `ranges_fixed`: quantization ranges stay as they are from a step on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RangesFixed {
    /// The stage.
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// Weights and activations.
    pub tensors: usize,
}

/// `evaluated`: the model was evaluated on the dev set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluated {
    /// The stage.
    pub stage: String,
    /// Before this step; the stage's number of steps for its end.
    pub step: u64,
    /// The metrics by name.
    pub metrics: BTreeMap<String, Number>,
    /// Time spent.
    pub seconds: f64,
}

impl Evaluated {
    /// A metric by its name, if it was evaluated and is finite.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied().flatten()
    }
}

/// `warning`: something that goes wrong although the run goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// The stage.
    pub stage: String,
    /// Before this step.
    pub step: u64,
    /// What goes wrong.
    pub kind: WarningKind,
    /// One sentence.
    pub message: String,
    /// What to change in the recipe, with the words to type.
    pub help: String,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningKind {
    /// A parameter, or a layer of the encoder, is pruned to 99% or more.
    AlmostEmpty,
    /// All weights of an attention head, or of an output of a matrix, are pruned.
    Emptied,
    /// A metric lost more than half of its value between the evaluations before and after a pruning event.
    MetricHalved,
    /// The Fisher matrix is estimated from no more gradients than a block has weights.
    FewGradients,
    /// A kind of a newer version.
    #[serde(other)]
    Unknown,
}

/// `kept`: a stage ends with its best weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The stage.
    pub stage: String,
    /// They are those before this step; the stage's number of steps for its end.
    pub step: u64,
    /// The metric that decided.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// `stage_finished`: what came of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageFinished {
    /// The stage.
    pub stage: String,
    /// The sparsity of all prunable weights, `0..=1`.
    pub sparsity: f64,
    /// Every prunable parameter.
    pub layers: Vec<LayerSparsity>,
    /// Values of all parameters.
    pub values: Option<usize>,
    /// Those that are not zero.
    pub nonzero: Option<usize>,
    /// Bytes of the encoder's layers: nonzero weights at their bits, scales, and all else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_bytes: Option<usize>,
    /// Time spent.
    pub seconds: f64,
    /// The peak memory of the process so far, in bytes, if the system says.
    pub memory: Option<u64>,
}

/// `run_finished`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFinished {
    /// Time spent.
    pub seconds: f64,
    /// The peak memory of the process, in bytes, if the system says.
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
    /// Time spent.
    pub seconds: f64,
}

/// The sparsity of one parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerSparsity {
    /// Its name in the Hugging Face model.
    pub name: String,
    /// Its weights.
    pub count: usize,
    /// Those that are zero.
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
