//! Runs a schedule: the interpreter between what was planned and what is computed.
//!
//! - [`interpreter`]: stage after stage, branches beside them;
//! - [`stage`]: a loop over the [`state`] of a stage: before each step the actions of [`steps`], then one
//!   optimizer step ([`training`]); all with one [`context`] and [`seeds`];
//! - [`pruner`]: one pruning event of the [`targets`] of a statement, by any criterion; by OBS from
//!   [`gradients`], on the host or on the device ([`estimation`]), with the [`step_size`] of the update;
//! - [`oneshot`]: one model pruned one-shot in many ways, by [`gradient_sharing`];
//! - [`movement`]: scores that accumulate while a stage trains;
//! - [`distillation`]: the losses against a teacher; [`best`]: the weights of the best evaluation;
//! - [`quantizers`]: fake quantization of weights and activations;
//! - [`optimizer`] and [`masks`]: weights move, pruned ones do not;
//! - [`results`]: what came of each stage;
//! - [`checkpoint`]: the state of a stage into a [`snapshot`] and back, with its [`position`] in the run;
//! - [`events`]: what is reported to an observer; [`warnings`]: what goes wrong although the run goes on;
//! - [`machine`]: what it runs on, and how much of that it takes;
//! - [`device`]: where it is computed.
//!
//! The engine knows a [`Task`](crate::task::Task) and a schedule, no recipe and no file.

pub mod best;
mod checkpoint;
mod context;
pub mod device;
mod distillation;
mod error;
mod estimation;
pub mod events;
pub mod gradient_sharing;
mod gradients;
pub mod interpreter;
pub mod machine;
pub mod masks;
mod movement;
pub mod oneshot;
pub mod optimizer;
pub mod position;
mod pruner;
mod quantizers;
pub mod results;
mod seeds;
pub mod snapshot;
mod stage;
mod state;
mod step_size;
mod steps;
mod targets;
mod training;
mod warnings;

pub use error::EngineError;
pub use estimation::Estimates;
pub use interpreter::Interpreter;
pub use results::StageResult;
