//! Runs a schedule.

pub mod masks;
pub mod optimizer;
