//! The library's entry points: what `obertc` does, as functions.
//!
//! Each takes a struct with the arguments and flags of the command, and returns a report or an [`Error`]. Nothing here
//! prints: an [`Observer`](crate::Observer) receives events, progress and notes.
//!
//! - [`check`] and [`plan`]: a recipe without running it;
//! - [`run`]: a recipe, from its text to the folder of its model;
//! - [`oneshot`] and [`sweep`]: a model pruned without training, by several criteria or settings;
//! - [`eval`]: a saved model on data; [`predict`]: its answers; [`Pipeline`]: the same for several threads.

pub(crate) mod check;
#[cfg(feature = "engine")]
pub(crate) mod custom;
mod error;
#[cfg(feature = "engine")]
mod eval;
#[cfg(feature = "engine")]
mod eval_config;
#[cfg(feature = "engine")]
mod eval_packed;
#[cfg(feature = "engine")]
mod eval_settings;
#[cfg(feature = "engine")]
mod execute;
pub(crate) mod files;
#[cfg(feature = "engine")]
pub(crate) mod flags;
#[cfg(feature = "engine")]
mod inference_speed;
#[cfg(feature = "engine")]
mod memory_check;
pub(crate) mod models;
#[cfg(feature = "engine")]
mod oneshot;
#[cfg(feature = "infer")]
mod pipeline;
mod plan;
#[cfg(feature = "infer")]
mod predict;
#[cfg(feature = "engine")]
pub(crate) mod quality_gate;
#[cfg(feature = "engine")]
pub(crate) mod ranks;
pub(crate) mod recipe;
#[cfg(feature = "engine")]
mod recorder;
#[cfg(feature = "engine")]
mod resolve;
#[cfg(feature = "engine")]
mod resume;
#[cfg(feature = "engine")]
mod run;
#[cfg(feature = "engine")]
mod run_config;
#[cfg(feature = "engine")]
mod run_report;
#[cfg(feature = "infer")]
pub(crate) mod settings;
#[cfg(feature = "engine")]
mod sweep;
#[cfg(feature = "engine")]
mod trial_config;
#[cfg(feature = "engine")]
mod trials;

pub use check::{CheckReport, check};
pub use error::{Error, RunError};
#[cfg(feature = "engine")]
pub use eval::eval;
#[cfg(feature = "engine")]
pub use eval_config::{EvalConfig, EvalReport};
#[cfg(feature = "engine")]
pub use oneshot::oneshot;
#[cfg(feature = "engine")]
pub(crate) use oneshot::oneshot_on;
#[cfg(feature = "infer")]
pub use pipeline::{Answers, Pipeline, Prediction};
pub use plan::{Plan, plan};
pub(crate) use plan::{known_steps, plan_with};
#[cfg(feature = "infer")]
pub use predict::{PredictConfig, predict};
pub use recipe::{Recipe, RecipeOptions};
#[cfg(feature = "engine")]
pub use run::run;
#[cfg(feature = "engine")]
pub(crate) use run::run_on;
#[cfg(feature = "engine")]
pub use run_config::{CheckpointConfig, Resume, RunConfig};
#[cfg(feature = "engine")]
pub use run_report::RunReport;
#[cfg(feature = "engine")]
pub(crate) use sweep::sweep_on;
#[cfg(feature = "engine")]
pub use sweep::{SweepConfig, SweepReport, sweep};
#[cfg(feature = "engine")]
pub use trial_config::TrialConfig;

#[cfg(feature = "engine")]
pub use crate::output::trials::{TrialReport, TrialSeries};
