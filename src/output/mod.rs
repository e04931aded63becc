//! What a run leaves behind, and what leaves the house.
//!
//! - [`folder`]: the model's folder; while a run goes it keeps [`checkpoints`] and a [`lock`] there;
//! - [`log`]: `run.jsonl`, the events as they happen, and [`tensorboard`], the same for TensorBoard;
//! - [`summary`]: the end of a run for the terminal, in [`figures`];
//! - [`trials`]: a table of models pruned at once, and its [`picture`];
//! - [`report`]: the record of a run as a page for any browser, and the model card;
//! - [`export`]: a model in the formats of other programs, and [`sizes`]: what it takes in bytes.
//!
//! Those who write while a run goes belong to the engine and are built with it. The [`report`] is made from
//! the files of a folder alone, by what `docs/run-log.md` says of them: it knows no engine, and is built and
//! tested without Burn, so that the record of a run can be read on a machine that could not have run it.

pub mod figures;
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
pub mod picture;
#[cfg(feature = "engine")]
pub mod summary;
#[cfg(feature = "engine")]
pub mod tensorboard;
#[cfg(feature = "engine")]
pub mod trials;
