//! What an evaluation is given, and what comes of it.

use std::path::PathBuf;

use crate::params::Settings;
use crate::task::data::splits::Split;
use crate::task::metric::Metrics;

/// Which model is evaluated, and on what. Every field is a flag of `obertc eval`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalConfig {
    /// The model: its folder, or its name on the hub.
    pub model: PathBuf,
    /// The folder of data files, or a file; none where the model was made with generated data.
    pub data: Option<PathBuf>,
    /// The split of the folder that is evaluated.
    pub split: Split,
    /// Whether rows that cannot be used are left out and counted; otherwise they are refused.
    pub skip_bad: bool,
    /// Task, lengths and columns, in place of those that are saved with the model.
    pub settings: Settings,
    /// The greatest number of examples.
    pub limit_examples: Option<usize>,
    /// Whether a model that lacks the task's head is evaluated with a new one, whose weights are random; otherwise it
    /// is refused.
    pub new_head: bool,
    /// Whether tokenized texts are read from the cache and saved in it.
    pub cache: bool,
    /// Whether the network is forbidden.
    pub offline: bool,
    /// `cpu`, `wgpu` or `cuda`, the latter two in a build with that feature.
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

/// How good a model is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalReport {
    /// Metrics by name: `exact_match` and `f1` in percent, `accuracy` in percent, `loss` in nats.
    pub metrics: Metrics,
    /// The number of examples.
    pub examples: usize,
    /// What they are called: `questions`, `examples`, `sequences`.
    pub unit: &'static str,
    /// Whether the head of the model is new, with random weights.
    pub new_head: bool,
}
