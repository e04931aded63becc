//! Other measures of importance than the surgeon's: the weight's absolute value, and its movement in training.

pub mod magnitude;
pub mod movement;
