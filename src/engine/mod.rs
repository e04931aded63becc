//! Runs a schedule: the interpreter between what was planned and what is computed.
//!
//! - [`interpreter`]: stage after stage, branches beside them;
//! - [`stage`]: the steps of a stage, with what happens before each;
//! - [`pruner`]: one pruning event, by any criterion;
//! - [`surgery`]: one round of the surgeon, on [`gradients`] in as many passes as memory asks for
//!   ([`estimation`]: on the host or on the device), and [`calibration`] of how far the other weights
//!   move;
//! - [`oneshot`]: one model pruned at once in many ways, by [`sharing`] gradients;
//! - [`movement`]: scores that accumulate while a stage trains;
//! - [`teaching`]: what is learned from a teacher; [`best`]: the weights of the best measurement;
//! - [`quantizing`]: weights and activations that are rounded;
//! - [`optimizer`] and [`masks`]: weights move, pruned ones do not;
//! - [`results`]: what came of each stage;
//! - [`position`] and [`snapshot`]: where a run stands and what it holds there; [`keeping`] writes a stage
//!   in progress into one and takes it up again;
//! - [`events`]: what is told to whoever watches;
//! - [`machine`]: what it runs on, and how much of that it takes;
//! - [`device`]: where it is computed.
//!
//! The engine knows a [`Task`](crate::task::Task) and a schedule, no recipe and no file.

pub mod best;
mod calibration;
pub mod device;
mod error;
mod estimation;
pub mod events;
mod gradients;
pub mod interpreter;
mod keeping;
pub mod machine;
pub mod masks;
mod movement;
pub mod oneshot;
pub mod optimizer;
pub mod position;
mod pruner;
mod quantizing;
pub mod results;
pub mod sharing;
pub mod snapshot;
mod stage;
mod surgery;
mod teaching;

pub use error::EngineError;
pub use estimation::Estimates;
pub use interpreter::Interpreter;
pub use results::StageResult;
