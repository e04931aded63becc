//! The files that a run writes, and models exported for other programs.
//!
//! - [`folder`]: the folder of a run, with its [`checkpoints`] and its [`lock`] while it runs;
//! - [`log`]: `run.jsonl`, the events as they happen, and [`tensorboard`], the same for TensorBoard;
//! - [`summary`]: a run's results for the terminal; [`numbers`]: formatting of numbers and names;
//! - [`trials`]: tables of one-shot pruning, and their charts in [`trial_charts`];
//! - [`report`]: a run as one HTML page, and the model card;
//! - [`export`]: a model in the formats of other programs, and [`sizes`]: its bytes.
//!
//! The [`report`] is made from a folder's files (`docs/run-log.md`), and builds without Burn. The modules that write
//! the files of a run need the feature `engine`.

pub mod numbers;
pub mod report;
pub mod sizes;

#[cfg(feature = "infer")]
pub mod export;

#[cfg(feature = "engine")]
pub mod checkpoints;
#[cfg(feature = "engine")]
pub mod folder;
#[cfg(feature = "engine")]
pub mod lock;
#[cfg(feature = "engine")]
pub mod log;
#[cfg(feature = "engine")]
pub mod summary;
#[cfg(feature = "engine")]
pub mod tensorboard;
#[cfg(feature = "engine")]
pub mod trial_charts;
#[cfg(feature = "engine")]
pub mod trials;
