//! The actions before each step of a stage and at its end. Each takes the state and returns it
//! ([`StepAction`](super::context::StepAction)).

pub mod checkpoint;
pub mod evaluate;
pub mod freeze;
pub mod hold;
pub mod movement;
pub mod prune;
pub mod quantize;
