//! Support of `obertc oneshot` and `obertc sweep`: settings of OBS to try, and writing back the best ones.
//!
//! - [`grid`]: parses axes of settings, levels of sparsity and criteria of the command line;
//! - [`points`]: rejects invalid combinations of settings;
//! - [`rewrite`]: changes settings of `obs` in a recipe's text.

pub mod grid;
pub mod points;
pub mod rewrite;
