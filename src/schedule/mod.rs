//! The waist of the house: what is done to a model, when, as plain data.
//!
//! A [`Schedule`] is what a recipe means and all that the engine needs to know of it. It can be
//! written, read and run without any recipe text. Its parts:
//!
//! - [`rational`] and [`time`]: exact instants, a number of epochs plus a number of steps;
//! - [`ramp`]: how a value moves between two ends (sparsity, learning rate);
//! - [`window`]: the instants of something that happens again and again;
//! - [`ir`]: the schedule itself, stage by stage;
//! - [`memory`]: what an estimate of the Fisher matrix takes, and its passes over the gradients;
//! - [`timeline`]: a stage laid out over real steps: what happens before which step;
//! - [`past`]: whether two schedules agree on what a run has done so far.

pub mod ir;
pub mod memory;
pub mod past;
pub mod ramp;
pub mod rational;
pub mod time;
pub mod timeline;
pub mod window;

pub use ir::Schedule;
pub use ramp::{Ramp, Shape};
pub use rational::Rational;
pub use time::Time;
pub use timeline::{PruneEvent, Timeline};
pub use window::Window;
