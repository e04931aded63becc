//! What a recipe's surgeon is tried with, and how what was best is written back.
//!
//! - [`grid`]: axes of settings, levels of sparsity and criteria as they are given on a command line, read
//!   by the language's own types;
//! - [`sense`]: points of a grid that could never stand in a recipe;
//! - [`write`](mod@write): other settings put into a recipe's text.

pub mod grid;
pub mod sense;
pub mod write;
