//! Runs a schedule: the interpreter between what was planned and what is computed.
//!
//! - [`interpreter`]: stage after stage, branches beside them;
//! - [`stage`]: the steps of a stage, with what happens before each;
//! - [`pruner`]: one pruning event, by any criterion;
//! - [`surgery`]: one round of the surgeon, on [`gradients`] in as many passes as memory asks for
//!   ([`estimation`]: on the host or on the device), and [`calibration`] of how far the other weights
//!   move;
//! - [`movement`]: scores that accumulate while a stage trains;
//! - [`optimizer`] and [`masks`]: weights move, pruned ones do not;
//! - [`results`]: what came of each stage;
//! - [`events`]: what is told to whoever watches;
//! - [`support`]: what it cannot do yet;
//! - [`device`]: where it is computed.
//!
//! The engine knows a [`Task`](crate::task::Task) and a schedule, no recipe and no file.

mod calibration;
pub mod device;
mod error;
mod estimation;
pub mod events;
mod gradients;
pub mod interpreter;
pub mod masks;
mod movement;
pub mod optimizer;
mod pruner;
pub mod results;
mod stage;
mod support;
mod surgery;

pub use error::EngineError;
pub use estimation::Estimates;
pub use interpreter::Interpreter;
pub use results::StageResult;
pub use support::missing;
