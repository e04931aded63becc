//! First-order and zeroth-order pruning criteria: magnitude, and movement.

pub mod magnitude;
pub mod movement;
