//! The inputs and the result of an evaluation.

use std::path::PathBuf;

use crate::params::Settings;
use crate::task::data::splits::Split;
use crate::task::metric::Metrics;

/// The inputs of [`eval`](crate::eval). Every field is a flag of `obertc eval`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalConfig {
    /// The model: its folder, or its name on the hub.
    pub model: PathBuf,
    /// The folder of data files, or a file; `None` for a model that was trained on generated data.
    pub data: Option<PathBuf>,
    /// The split of the folder that is evaluated.
    pub split: Split,
    /// Whether rows that cannot be used are left out and counted; otherwise they are refused.
    pub skip_bad: bool,
    /// Task, lengths and columns, in place of those that are saved with the model.
    pub settings: Settings,
    /// Maximum number of examples.
    pub limit_examples: Option<usize>,
    /// Whether a model that lacks the task's head is evaluated with a new one, whose weights are random; otherwise it
    /// is refused.
    pub new_head: bool,
    /// Whether tokenized texts are read from the cache and saved in it.
    pub cache: bool,
    /// Whether the network is not used.
    pub offline: bool,
    /// The device: `cpu`, `wgpu` or `cuda`; the last two need a build with that feature.
    pub device: String,
}

impl EvalConfig {
    /// The evaluation of a model on the dev files of a folder, with the settings that are saved with the model.
    pub fn new(model: impl Into<PathBuf>, data: Option<PathBuf>) -> Self {
        EvalConfig {
            model: model.into(),
            data,
            split: Split::Dev,
            skip_bad: false,
            settings: Settings::default(),
            limit_examples: None,
            new_head: false,
            cache: true,
            offline: false,
            device: "cpu".to_owned(),
        }
    }
}

/// The result of [`eval`](crate::eval).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalReport {
    /// Metrics by name: `em` (exact match), `f1` and `accuracy` in percent, `loss` in nats.
    pub metrics: Metrics,
    /// The number of examples.
    pub examples: usize,
    /// The unit of that number: `questions`, `examples` or `sequences`.
    pub unit: &'static str,
    /// Whether the model lacked the task's head and got one with random weights.
    pub new_head: bool,
}
