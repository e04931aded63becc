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

pub mod cli;
pub mod diag;
pub mod explain;
pub mod files;
pub mod language;
pub mod output;
pub mod params;
pub mod plan;
pub mod schedule;
pub mod yaml;

#[cfg(feature = "infer")]
pub mod infer;

#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod method;
#[cfg(feature = "engine")]
pub mod task;
