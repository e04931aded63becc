//! obert compresses transformers from a recipe.
//!
//! ```text
//!  .obert text ─▶ language ─▶ Schedule ─┬─▶ plan       for eyes
//!                                       └─▶ engine     does it: task × method ─▶ output
//! ```
//!
//! Data walks one way. The [`schedule`] is the waist: the language side ends in it, everything
//! that does something starts from it, and neither side knows the other.

// The derived parser names it.
extern crate alloc;

mod api;
mod cli;
mod diag;
mod explain;
mod files;
mod language;
mod output;
mod params;
mod plan;
pub mod runlog;
mod schedule;
mod settings;
mod yaml;

#[cfg(feature = "infer")]
mod infer;
#[cfg(feature = "infer")]
mod text;

#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "engine")]
mod method;
#[cfg(feature = "engine")]
mod task;

#[doc(hidden)]
pub mod internals;

pub use api::{CheckReport, Error, Plan, Recipe, RecipeOptions, RunError, check, plan};
#[cfg(feature = "engine")]
pub use api::{CheckpointConfig, EvalConfig, EvalReport, Resume, RunConfig, RunReport, eval, run};
#[cfg(feature = "infer")]
pub use api::{PredictConfig, predict};
