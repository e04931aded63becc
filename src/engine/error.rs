//! What can go wrong while a schedule runs.

use crate::diag::{Code, Diagnostic};
use crate::method::obs::ObsError;
use crate::params::SelectorError;

/// Why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The loss is not a finite number.
    #[error("the loss is {loss} at step {step} of `{stage}`")]
    LossNotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// What it is.
        loss: f64,
    },
    /// The gradients are not finite numbers, although the loss is.
    #[error("the gradients' norm is {norm} at step {step} of `{stage}`")]
    GradientNotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// What it is.
        norm: f64,
    },
    /// A checkpoint that is whole and does not fit.
    #[error("the checkpoint does not fit: {0}")]
    Checkpoint(String),
    /// The surgeon gave up on a parameter.
    #[error("`{parameter}` cannot be pruned at step {step} of `{stage}`: {source}")]
    Surgeon {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The parameter.
        parameter: String,
        /// Why.
        source: ObsError,
    },
    /// The estimate of one parameter alone does not fit into the allowed memory.
    #[error("an estimate of the Fisher matrix in `{stage}` needs {needed} bytes, and {allowed} are allowed")]
    Memory {
        /// The stage.
        stage: String,
        /// What the largest parameter needs.
        needed: u64,
        /// What the recipe allows.
        allowed: u64,
    },
    /// A selector cannot be read, or selects nothing of this model.
    #[error("a selector of `{stage}` cannot be used: {why}")]
    Selector {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// A stage or a teacher that the schedule names and that does not exist.
    #[error("{0}")]
    Missing(String),
    /// Layers that cannot be chosen.
    #[error("layers of `{stage}` cannot be chosen: {why}")]
    Layers {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// A teacher whose outputs are not the student's.
    #[error("`{stage}` cannot learn from its teacher: {why}")]
    Teacher {
        /// The stage.
        stage: String,
        /// Why.
        why: String,
    },
    /// The metric by which the best weights are kept is not measured.
    #[error("`{stage}` keeps the best by `{metric}`, which is not measured; there are {known}")]
    MetricMissing {
        /// The stage.
        stage: String,
        /// The metric.
        metric: String,
        /// Those that are measured.
        known: String,
    },
    /// A stage softens its labels, and the task cannot.
    #[error("`{stage}` has `label_smoothing`, and this task's labels cannot be softened")]
    NoSmoothing {
        /// The stage.
        stage: String,
    },
    /// A stage multiplies in bfloat16, and the task's model does not.
    #[error("`{stage}` has `precision: bf16`, and this task's model multiplies in 32 bits")]
    NoAutocast {
        /// The stage.
        stage: String,
    },
    /// A stage rounds, and the task's model cannot be rounded.
    #[error("`{stage}` has `quantize`, and this task's model cannot be rounded")]
    NotRoundable {
        /// The stage.
        stage: String,
    },
    /// A tensor that is to be rounded holds values that are not finite, or too large for a scale.
    #[error("`{tensor}` has no finite range before step {step} of `{stage}`")]
    RangeNotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The weight or the activation.
        tensor: String,
    },
    /// Ranges are to be fixed of a tensor that nothing was seen of.
    #[error("the range of `{tensor}` is fixed before step {step} of `{stage}`, and nothing was seen of it")]
    NeverObserved {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The activation.
        tensor: String,
    },
    /// Whoever watches the run could not keep up its records.
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

impl From<EngineError> for Diagnostic {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::LossNotFinite { .. } => Diagnostic::unlocated(Code::LossNotFinite, message)
                .help("lower the learning rate, or clip gradients: `train { clip: 1.0 }`"),
            EngineError::GradientNotFinite { .. } => Diagnostic::unlocated(Code::GradientNotFinite, message)
                .help("clipping cannot mend it; lower the learning rate, or warm it up from zero"),
            EngineError::Checkpoint(_) => Diagnostic::unlocated(Code::CheckpointNotUsable, message)
                .help("was it written by another version? begin again in another folder"),
            EngineError::Surgeon { source: ObsError::NotFactored { .. }, .. } => {
                Diagnostic::unlocated(Code::BlockNotFactored, message)
                    .help("raise `damp` in `obs(…)`, for example tenfold, or take more gradients")
            }
            EngineError::Surgeon { source: ObsError::NoGradient, .. } => {
                Diagnostic::unlocated(Code::BlockNotFactored, message)
                    .help("does the loss depend on it? leave it out with `except`, or prune by magnitude")
            }
            EngineError::Memory { .. } => Diagnostic::unlocated(Code::FisherTooLarge, message)
                .help("allow more with `memory`, or use smaller blocks"),
            EngineError::Surgeon { .. } => Diagnostic::unlocated(Code::LossNotFinite, message)
                .help("is the model sound? evaluate it with `obertc eval`"),
            EngineError::Selector { .. } => Diagnostic::unlocated(Code::MatchesNothing, message)
                .help("list the names with `obertc params --model DIR '**'`"),
            EngineError::Missing(_) => {
                Diagnostic::unlocated(Code::FlagMissing, message).help("give it with `--teacher DIR`")
            }
            EngineError::Layers { .. } => Diagnostic::unlocated(Code::NoSuchLayer, message)
                .help("layers are counted from 0, in the model as the stage before left it"),
            EngineError::Teacher { .. } => Diagnostic::unlocated(Code::TeacherDiffers, message)
                .help("a teacher needs the same outputs as its student"),
            EngineError::MetricMissing { .. } => Diagnostic::unlocated(Code::MetricMissing, message)
                .help("keep the best by one of those: `evaluate every 1 epoch { keep: best(f1) }`"),
            EngineError::NoSmoothing { .. } => Diagnostic::unlocated(Code::NotOfThisTask, message)
                .help("remove it, or give the task a `smoothed_loss`"),
            EngineError::NoAutocast { .. } => Diagnostic::unlocated(Code::NotOfThisTask, message)
                .help("remove it, or let the model multiply by `task::autocast::matmul`"),
            EngineError::NotRoundable { .. } => Diagnostic::unlocated(Code::NotRoundable, message)
                .help("remove it, or let the task's model round: `Task::set_rounding`"),
            EngineError::RangeNotFinite { .. } => Diagnostic::unlocated(Code::RangeNotFinite, message)
                .help("is the model sound? lower the learning rate, or round nothing there: `except`"),
            EngineError::NeverObserved { .. } => Diagnostic::unlocated(Code::NeverObserved, message)
                .help("fix ranges later, or observe some batches first: `calibrate: 16`"),
            EngineError::Observer(diagnostic) => diagnostic,
            EngineError::Stopped { .. } => {
                Diagnostic::unlocated(Code::Stopped, message).help("what was reached so far is in run.jsonl")
            }
        }
    }
}
