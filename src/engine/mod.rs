//! Runs a schedule: the interpreter between what was planned and what is computed.
//!
//! - [`interpreter`]: stage after stage, branches beside them;
//! - [`stage`]: the steps of a stage, with what happens before each;
//! - [`pruner`]: one pruning event, by any criterion;
//! - [`gradients`]: what the surgeon's estimates are made of;
//! - [`optimizer`] and [`masks`]: weights move, pruned ones do not;
//! - [`results`]: what came of each stage;
//! - [`events`]: what is told to whoever watches;
//! - [`support`]: what it cannot do yet;
//! - [`device`]: where it is computed.
//!
//! The engine knows a [`Task`](crate::task::Task) and a schedule, no recipe and no file.

pub mod device;
mod error;
pub mod events;
mod gradients;
pub mod interpreter;
pub mod masks;
pub mod optimizer;
mod pruner;
pub mod results;
mod stage;
mod support;

pub use error::EngineError;
pub use interpreter::Interpreter;
pub use results::StageResult;
pub use support::missing;
