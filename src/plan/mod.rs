//! The schedule for people and for programs.
//!
//! - [`events`]: what happens when, in words;
//! - [`cost`]: what pruning asks of the machine;
//! - [`memory`]: how much memory a stage takes;
//! - [`table`]: both as text, stage by stage;
//! - [`curves`]: sparsity and learning rate as numbers, drawn by [`chart`] in the terminal and by [`picture`] as
//!   SVG; [`svg`]: the elements and scales of all pictures;
//! - [`document`]: everything as JSON;
//! - [`diff`]: what differs between two plans.

pub mod chart;
pub mod cost;
mod curves;
pub mod diff;
pub mod document;
pub mod events;
pub mod memory;
pub mod picture;
pub mod svg;
pub mod table;
