//! obert compresses transformers from a recipe: second-order pruning, distillation, quantization-aware training.
//!
//! ```text
//!  .obert text ─▶ language ─▶ Schedule ─┬─▶ plan       events by step
//!                                       └─▶ engine     task × method ─▶ output
//! ```
//!
//! A recipe is a short text. [`check()`] finds every mistake in it, [`plan()`] computes which event happens at which
//! step, `run` executes it and writes a Hugging Face folder, `eval` and `predict` use that folder, and `oneshot` and
//! `sweep` compare pruning criteria and settings without training. The command `obertc` calls these functions, so that
//! a program can do what the command does. Nothing here prints: an `Observer` receives events and progress, an
//! [`Error`] holds located [diagnostics].
//!
//! # Check a recipe
//!
//! This part builds without the engine (`default-features = false`) in seconds.
//!
//! ```
//! use obert::{Recipe, RecipeOptions, check};
//!
//! let text = "edition 2026
//! use std.bert.{encoder_linears}
//! recipe small for 2 epochs {
//!   model: bert(layers: 1, hidden: 32, heads: 2)
//!   data: builtin_reading(train: 64, dev: 16)
//!   lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
//!   prune encoder_linears over 0.5..1.5 epochs every 0.5 epochs {
//!     by: obs(gradients: 128)
//!     spars: 50% -> 80% cubic
//!   }
//! }
//! ";
//! let report = check(&Recipe::text("small.obert", text), &RecipeOptions::default())?;
//! assert!(report.has_errors());
//! assert_eq!(report.diagnostics[0].help.as_deref(), Some("did you mean `sparsity`?"));
//!
//! let mended = Recipe::text("small.obert", text.replace("spars:", "sparsity:"));
//! let plan = obert::plan(&mended, &RecipeOptions::default(), None)?;
//! assert_eq!(plan.steps_per_epoch, Some(4), "64 examples in batches of 16");
//! # Ok::<(), obert::Error>(())
//! ```
#![cfg_attr(feature = "engine", doc = include_str!("front_page.md"))]
//!
//! # What is stable
//!
//! The items on this page and in its modules. The hidden module `internals` exposes all modules to the project's own
//! command, tests and benchmarks, and changes without notice.

// Modules are private; links to their items resolve with `--document-private-items`.
#![allow(rustdoc::private_intra_doc_links)]

// The code that pest derives uses it.
extern crate alloc;

mod api;
mod cli;
mod diag;
mod explain;
mod files;
mod language;
mod lsp;
mod output;
mod params;
mod plan;
pub mod runlog;
mod schedule;
mod settings;
mod yaml;

#[cfg(feature = "serve")]
mod serve;

#[cfg(feature = "infer")]
mod infer;
#[cfg(feature = "infer")]
mod text;

#[cfg(feature = "engine")]
mod engine;
#[cfg(feature = "engine")]
mod method;
#[cfg(feature = "engine")]
mod ranks;
#[cfg(feature = "engine")]
mod task;

#[doc(hidden)]
pub mod internals;

pub use api::{CheckReport, Error, Plan, Recipe, RecipeOptions, RunError, check, plan};
#[cfg(feature = "engine")]
pub use api::{
    CheckpointConfig, EvalConfig, EvalReport, Resume, RunConfig, RunReport, SweepConfig, SweepReport,
    TrialConfig, TrialReport, TrialSeries, eval, oneshot, run, sweep,
};
#[cfg(feature = "infer")]
pub use api::{PredictConfig, predict};
#[cfg(feature = "engine")]
pub use engine::events::{Observer, Unwatched, Work};
#[cfg(feature = "engine")]
pub use engine::{StageResult, results::Times, trial_outcome::TrialOutcome};
pub use params::settings::{Settings, TaskName};
pub use runlog::Event;
pub use schedule::Schedule;
#[cfg(feature = "engine")]
pub use task::data::splits::Split;

/// Diagnostics of recipes and files, each with a stable code, a place in a text and a help line.
pub mod diagnostics {
    pub use crate::diag::{
        Code, Diagnostic, FileId, Fix, Label, LineColumn, Severity, SourceFile, Sources, Span,
    };
}

/// The CPU runtime: packed models, sessions, and predictions from texts.
#[cfg(feature = "infer")]
pub mod runtime {
    pub use crate::api::{Answers, Pipeline, Prediction};
    pub use crate::infer::file::layout::Head;
    pub use crate::infer::model::Model;
    pub use crate::infer::model::session::{Limits, Logits, Refusal, Sequence, Session};
    pub use crate::infer::predictor::{Answer, Answering, Entity, NotReady, Predictor, Request, Response};
    pub use crate::infer::{Precision, open};
}

/// Custom models and data: a [`Task`](custom::Task) defines batches, loss and metrics; a recipe defines training and
/// pruning.
///
/// `docs/your-own-model.md` in the repository is the guide.
#[cfg(feature = "engine")]
pub mod custom {
    pub use crate::api::custom::{Teachers, load, run, save};
    pub use crate::task::autocast;
    pub use crate::task::metric::Metrics;
    pub use crate::task::quantizers::{ActivationMatMul, Quantizers};
    pub use crate::task::{Divergence, HiddenState, HiddenStates, Output, Task};
}
