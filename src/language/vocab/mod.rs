//! The vocabulary of the language: verbs, settings, choices, types and defaults, with their documentation.
//!
//! A verb is declared once, together with the struct that its statements are read into. The checker, the
//! reference, completion and `obertc explain` all use the tables generated from these declarations.
//!
//! - [`verbs`]: the verbs with their settings;
//! - [`choices`]: values that are words; those that the schedule has too are in [`crate::schedule::ir`];
//! - [`operands`]: Rust types of other values;
//! - [`parameter_types`]: the types that `param` may declare;
//! - [`words`]: keywords, shapes of ramps and units.

pub mod choices;
pub mod operands;
pub mod parameter_types;
mod verb;
pub mod verbs;
pub mod words;

pub use crate::settings::{Choice, Setting, Type};
pub use operands::{Placed, Targets, TimeRange};
pub use verb::{Body, Clause, Place, Statement, Verb};
pub use verbs::{VERBS, verb};
pub use words::{KEYWORDS, Keyword, MODIFIERS, SHAPES, UNITS};
