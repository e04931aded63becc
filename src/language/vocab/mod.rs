//! Every verb, setting, choice, type and default of the language, with a line of documentation each.
//!
//! A verb is declared once, with the struct that its statements are read into. The checker reads recipes
//! against the tables of these declarations, defaults are written in them as a user would write them, and
//! the reference, completion and `explain` are printed from them. Verbs are declared in [`verbs`], values
//! that are words in [`choices`], or in [`crate::schedule::ir`] where the schedule has them too;
//! [`operands`] are other types of values, [`declared`] names those that `param` may have, and [`words`]
//! are keywords, shapes and units.

pub mod choices;
pub mod declared;
pub mod operands;
mod verb;
pub mod verbs;
pub mod words;

pub use crate::settings::{Choice, Setting, Type};
pub use operands::{Instants, Placed, Targets};
pub use verb::{Body, Clause, Place, Statement, Verb};
pub use verbs::{VERBS, verb};
pub use words::{KEYWORDS, Keyword, MODIFIERS, SHAPES, UNITS};
