//! The schedule: what a recipe means, as plain data that can be written to `schedule.json` and run again.
//!
//! A [`Schedule`] names a [`Model`] and its [`Data`] and has a list of [`Stage`]s. A stage trains as
//! [`Train`] and its learning rate say, while its statements [`Prune`] weights (by [`Obs`] or another
//! [`Criterion`]), [`Hold`] zeros, [`Quantize`] layers and [`Distill`] from a teacher. Defaults, parameters
//! and templates of the recipe are already filled in; only selectors are still patterns, because the
//! parameters that they match depend on the model.
//!
//! The settings of `obs`, and choices that are the same word in a recipe and here, are declared with the
//! macros of [`settings`](crate::settings): a declaration also holds the documentation that users read.

mod data;
mod distill;
mod obs;
mod prune;
mod quantize;
mod stage;
mod targets;
mod train;

use serde::{Deserialize, Serialize};

pub use data::{
    Columns, Data, EmbeddingLoss, EmbeddingSettings, Model, MultiLabelColumns, Pooling, ScoreColumns,
    TaggedColumns,
};
pub use distill::{Distill, HiddenStates, Teacher};
pub use obs::{Obs, ObsEach, Update};
pub use prune::{Criterion, Pattern, Prune, Rank, SparsityException};
pub use quantize::{Quantize, Scheme};
pub use stage::{Layers, Stage};
pub use targets::{Hold, Targets};
pub use train::{Batches, LrFactor, LrPiece, Precision, Train};

/// The name by which a branch refers to the model that the run starts from.
pub const START: &str = "start";

/// The version of this format, written into every schedule.
pub const FORMAT: u32 = 1;

/// A recipe with everything resolved: the model, its data and the stages in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// The recipe's name.
    pub name: String,
    /// The recipe's doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The seed of every random choice: order of examples, dropout, new weights, generated data.
    pub seed: u64,
    /// The model that the first stage starts from.
    pub model: Model,
    /// The data that the model is trained and evaluated on.
    pub data: Data,
    /// The stages and branches in order.
    pub stages: Vec<Stage>,
    /// Ranges that the metrics of the final model must reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// The recipe's parameters with their values in this run, for the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterValue>,
}

impl Schedule {
    /// The stages without the branches: each starts from the result of the one before.
    pub fn without_branches(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|s| s.branch_from.is_none())
    }
}

/// A parameter of the recipe and its value, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterValue {
    /// The parameter's name.
    pub name: String,
    /// The value as written.
    pub value: String,
    /// Whether the value was given by `--set`.
    pub set: bool,
}

/// A metric and the range that it must reach at the end of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// The metric's name, such as `f1`.
    pub metric: String,
    /// The lowest accepted value.
    pub least: f64,
    /// The highest accepted value.
    pub most: f64,
}

/// Whether a value is its type's default, which is not written to `schedule.json`.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
