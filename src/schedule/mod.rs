//! The intermediate representation between the language and the engine: a recipe as plain data.
//!
//! A [`Schedule`] is all that the engine needs of a recipe. It is written to `schedule.json`, and can be
//! read and run without the recipe's text. The modules:
//!
//! - [`rational`] and [`time`]: exact times, a number of epochs plus a number of steps;
//! - [`ramp`]: interpolation of a sparsity or a learning rate between two values;
//! - [`window`]: equally spaced events, such as those of gradual pruning;
//! - [`ir`]: the schedule itself, stage by stage;
//! - [`memory`]: memory of a Fisher estimate, and the passes over the gradients that it takes;
//! - [`timeline`]: the events of a stage by optimizer step;
//! - [`past`]: whether a run of one schedule can be resumed with another.

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
