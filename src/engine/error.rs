//! The errors of a run.

use crate::diag::{Code, Diagnostic};
use crate::method::obs::ObsError;
use crate::params::SelectorError;

/// The reason why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The loss is not a finite number.
    #[error("the loss is {loss} at step {step} of `{stage}`")]
    LossNotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The loss, NaN or infinite.
        loss: f64,
    },
    /// The gradients are not finite numbers, although the loss is.
    #[error("the gradients' norm is {norm} at step {step} of `{stage}`")]
    GradientNotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The global norm of the gradients, NaN or infinite.
        norm: f64,
    },
    /// A checkpoint does not fit the model or the schedule.
    #[error("the checkpoint does not fit: {0}")]
    Checkpoint(String),
    /// A parameter cannot be pruned.
    #[error("`{parameter}` cannot be pruned at step {step} of `{stage}`: {source}")]
    NotPrunable {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The parameter.
        parameter: String,
        /// Why.
        source: ObsError,
    },
    /// The Fisher matrix of a single parameter needs more than the allowed memory.
    #[error("an estimate of the Fisher matrix in `{stage}` needs {needed} bytes, and {allowed} are allowed")]
    Memory {
        /// The stage.
        stage: String,
        /// The memory that the largest parameter needs.
        needed: u64,
        /// The memory that the recipe allows.
        allowed: u64,
    },
    /// A selector matches no parameter of this model.
    #[error("`{selector}` in `{stage}` matches no parameter")]
    NothingSelected {
        /// The stage.
        stage: String,
        /// The selector.
        selector: String,
    },
    /// A selector cannot be read.
    #[error("a selector of `{stage}` cannot be read: {why}")]
    Selector {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// A selected weight is no matrix and cannot be quantized.
    #[error("`{parameter}` in `{stage}` is no matrix and cannot be quantized")]
    NoMatrix {
        /// The stage.
        stage: String,
        /// The parameter.
        parameter: String,
    },
    /// Calibration has no training data.
    #[error("`{stage}` has `calibrate`, and there is no training data to observe")]
    NoTrainingData {
        /// The stage.
        stage: String,
    },
    /// A teacher is missing.
    #[error("`{stage}` learns from {teacher}, which was not given")]
    TeacherMissing {
        /// The stage.
        stage: String,
        /// The teacher, in words.
        teacher: String,
    },
    /// A named stage does not exist, or comes later.
    #[error("there is no stage `{stage}` before `{at}`")]
    StageMissing {
        /// The named stage.
        stage: String,
        /// The stage or the recipe that needs it.
        at: String,
    },
    /// The selected layers cannot be kept.
    #[error("layers of `{stage}` cannot be chosen: {why}")]
    Layers {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// The outputs of teacher and student cannot be matched.
    #[error("`{stage}` cannot learn from its teacher: {why}")]
    Teacher {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// The metric of the best checkpoint is not computed.
    #[error("`{stage}` keeps the best by `{metric}`, which this task does not compute; there are {known}")]
    MetricMissing {
        /// The stage.
        stage: String,
        /// The metric.
        metric: String,
        /// The computed metrics.
        known: String,
    },
    /// A stage has label smoothing, which the task does not support.
    #[error("`{stage}` has `label_smoothing`, and this task's labels cannot be softened")]
    NoSmoothing {
        /// The stage.
        stage: String,
    },
    /// A stage trains in bfloat16, which the task's model does not support.
    #[error("`{stage}` has `precision: bf16`, and this task's model multiplies in 32 bits")]
    NoAutocast {
        /// The stage.
        stage: String,
    },
    /// A stage quantizes, which the task's model does not support.
    #[error("`{stage}` has `quantize`, and this task's model cannot be quantized")]
    NotQuantizable {
        /// The stage.
        stage: String,
    },
    /// A pruned parameter whose module's inputs are not recorded in the forward pass.
    #[error(
        "`{parameter}` is pruned with `reconstruct` before step {step} of `{stage}`, and is not the weight of a linear layer whose inputs the model records"
    )]
    NotReconstructable {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The parameter.
        parameter: String,
    },
    /// A tensor to be quantized has values that are not finite, or too large for a scale.
    #[error("`{tensor}` has no finite range before step {step} of `{stage}`")]
    RangeNotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The weight or the activation.
        tensor: String,
    },
    /// The range of a tensor is to be fixed and was never observed.
    #[error("the range of `{tensor}` is fixed before step {step} of `{stage}`, and nothing was seen of it")]
    NeverObserved {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The activation.
        tensor: String,
    },
    /// The observer could not write its records.
    #[error("{}", .0.message)]
    Observer(Diagnostic),
    /// The run was asked to stop.
    #[error("stopped at step {step} of `{stage}`")]
    Stopped {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
    },
}

impl EngineError {
    pub(super) fn selector(stage: &str, error: SelectorError) -> Self {
        EngineError::Selector { stage: stage.to_owned(), why: error.to_string() }
    }
}

impl EngineError {
    /// The code and the help of its diagnostic.
    fn explanation(&self) -> (Code, &'static str) {
        match self {
            EngineError::LossNotFinite { .. } => {
                (Code::LossNotFinite, "lower the learning rate, or clip gradients: `train { clip: 1.0 }`")
            }
            EngineError::GradientNotFinite { .. } => (
                Code::GradientNotFinite,
                "clipping cannot mend it; lower the learning rate, or warm it up from zero",
            ),
            EngineError::Checkpoint(_) => (
                Code::CheckpointNotUsable,
                "was it written by another version? begin again in another folder",
            ),
            EngineError::NotPrunable { source, .. } => match source {
                ObsError::NotFactored { .. } => (
                    Code::BlockNotFactored,
                    "raise `damp` in `obs(…)`, for example tenfold, or take more gradients",
                ),
                ObsError::NoGradient => (
                    Code::NoGradient,
                    "does the loss depend on it? leave it out with `except`, or prune it `by: magnitude`",
                ),
                ObsError::GradientNotFinite => (
                    Code::GradientNotFinite,
                    "evaluate the model with `obertc eval`; lower the learning rate before this event",
                ),
            },
            EngineError::Memory { .. } => (
                Code::FisherTooLarge,
                "allow more with `memory`, or use smaller blocks; `rank: measured` needs all estimates at a time",
            ),
            EngineError::NothingSelected { .. } => {
                (Code::MatchesNothing, "list the names with `obertc params --model DIR '**'`")
            }
            EngineError::Selector { .. } => {
                (Code::BadPattern, "`*` stands for one part of a name, `**` for several")
            }
            EngineError::NoMatrix { .. } => {
                (Code::NotPrunable, "leave it out with `except`, or select matrices: `encoder_linears`")
            }
            EngineError::TeacherMissing { .. } => (Code::FlagMissing, "give it with `--teacher DIR`"),
            EngineError::StageMissing { .. } => {
                (Code::UnknownStage, "name a stage that comes before it in the recipe")
            }
            EngineError::NoTrainingData { .. } => {
                (Code::DataEmpty, "add training files to the folder of `--data`, or remove `calibrate`")
            }
            EngineError::Layers { .. } => {
                (Code::NoSuchLayer, "layers are counted from 0, in the model as the stage before left it")
            }
            EngineError::Teacher { .. } => {
                (Code::TeacherDiffers, "a teacher needs the same outputs as its student")
            }
            EngineError::MetricMissing { .. } => (
                Code::MetricMissing,
                "keep the best by one of those: `evaluate every 1 epoch { keep: best(f1) }`",
            ),
            EngineError::NoSmoothing { .. } => {
                (Code::NotOfThisTask, "remove it, or give the task a `smoothed_loss`")
            }
            EngineError::NoAutocast { .. } => {
                (Code::NotOfThisTask, "remove it, or let the model multiply by `task::autocast::matmul`")
            }
            EngineError::NotQuantizable { .. } => {
                (Code::NotRoundable, "remove it, or let the task's model quantize: `Task::set_quantizers`")
            }
            EngineError::NotReconstructable { .. } => (
                Code::NotReconstructable,
                "prune it in a statement of its own without `reconstruct`, or let the task's model record: `Task::set_quantizers`",
            ),
            EngineError::RangeNotFinite { .. } => (
                Code::RangeNotFinite,
                "lower the learning rate, or leave the tensor's layer out with `except`",
            ),
            EngineError::NeverObserved { .. } => {
                (Code::NeverObserved, "fix ranges later, or observe some batches first: `calibrate: 16`")
            }
            EngineError::Observer(diagnostic) => (diagnostic.code, ""),
            EngineError::Stopped { .. } => (Code::Stopped, "what was reached so far is in run.jsonl"),
        }
    }
}

impl From<EngineError> for Diagnostic {
    fn from(error: EngineError) -> Self {
        let (code, help) = error.explanation();
        match error {
            EngineError::Observer(diagnostic) => diagnostic,
            error => Diagnostic::unlocated(code, error.to_string()).help(help),
        }
    }
}
