//! The schedule for eyes.
//!
//! - [`table`]: what happens when, stage by stage;
//! - [`cost`]: what pruning asks of the machine.

pub mod cost;
pub mod table;
