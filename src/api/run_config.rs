//! The inputs of a run.

use std::path::PathBuf;
use std::time::Duration;

use super::recipe::{Recipe, RecipeOptions};
use crate::params::Settings;

/// The inputs of [`run`](crate::run). Every field is a flag of `obertc run`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunConfig {
    /// The recipe.
    pub recipe: Recipe,
    /// The model in place of the recipe's, and values of its parameters.
    pub options: RecipeOptions,
    /// The folder of data files, or a file to train on; `None` for a recipe that generates its data.
    pub data: Option<PathBuf>,
    /// The file or folder to evaluate on, in place of the dev files of `data`.
    pub dev: Option<PathBuf>,
    /// Whether rows that cannot be used are left out and counted; otherwise they are refused.
    pub skip_bad: bool,
    /// The folder for the model, the log and the report; if `None`, `runs/NAME`, or the next free `runs/NAME-2`.
    pub out: Option<PathBuf>,
    /// The model of `distill from teacher`: its folder or its name on the hub.
    pub teacher: Option<PathBuf>,
    /// Whether tokenized texts are read from the cache and saved in it.
    pub cache: bool,
    /// Whether the network is not used.
    pub offline: bool,
    /// The device: `cpu`, `wgpu` or `cuda`; the last two need a build with that feature.
    pub device: String,
    /// The seed in place of the recipe's.
    pub seed: Option<u64>,
    /// Maximum number of steps in a stage, but at least one step per epoch: epochs are shortened, and several pruning
    /// events of a statement at one step become one.
    pub limit_steps: Option<u64>,
    /// Maximum number of examples for training, and for evaluation.
    pub limit_examples: Option<usize>,
    /// `max_length` and `doc_stride` in place of the recipe's.
    pub settings: Settings,
    /// Whether event files for TensorBoard are written too.
    pub tensorboard: bool,
    /// Whether inference speed in the CPU runtime is measured at the end.
    pub measure_speed: bool,
    /// When checkpoints are written, and whether a run is resumed.
    pub checkpoints: CheckpointConfig,
}

/// When checkpoints are written, and whether a run is resumed from one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckpointConfig {
    /// Whether an interrupted run is resumed.
    pub resume: Resume,
    /// The time between two checkpoints, besides those at epochs and before pruning events; zero for one before
    /// every step.
    pub every: Duration,
    /// Maximum number of checkpoints in the run's folder; none are written if zero.
    pub max: usize,
    /// Whether a finished run keeps its checkpoints. Otherwise it deletes them.
    pub keep: bool,
}

/// Whether a run is resumed from its newest checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// A new run begins.
    #[default]
    No,
    /// The run is resumed if recipe, data and model are unchanged.
    Same,
    /// The run is resumed even with changes, if they affect only later steps.
    Anyway,
}

impl Default for CheckpointConfig {
    /// Two checkpoints, one every ten minutes at least, deleted when the run is finished.
    fn default() -> Self {
        CheckpointConfig { resume: Resume::No, every: Duration::from_secs(600), max: 2, keep: false }
    }
}

impl RunConfig {
    /// A run of a recipe as `obertc run RECIPE` does it.
    pub fn new(recipe: Recipe) -> Self {
        RunConfig {
            recipe,
            options: RecipeOptions::default(),
            data: None,
            dev: None,
            skip_bad: false,
            out: None,
            teacher: None,
            cache: true,
            offline: false,
            device: "cpu".to_owned(),
            seed: None,
            limit_steps: None,
            limit_examples: None,
            settings: Settings::default(),
            tensorboard: false,
            measure_speed: true,
            checkpoints: CheckpointConfig::default(),
        }
    }
}
