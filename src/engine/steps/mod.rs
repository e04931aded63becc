//! What happens before each step of a stage, and once more at its end: each takes the state and gives it
//! back ([`StepAction`](super::context::StepAction)).

pub mod checkpoint;
pub mod evaluate;
pub mod freeze;
pub mod hold;
pub mod movement;
pub mod prune;
pub mod quantize;
