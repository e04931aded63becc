//! Every verb, setting, choice, type and default of the language, with a line of documentation
//! each: one table.
//!
//! The checker reads recipes against it, defaults are written in it as a user would write them,
//! and the reference, completion and `explain` are printed from it. Verbs are described in
//! [`verbs`], the types of their values in [`types`]; [`declared`] names those that `param` may
//! have, and [`words`] are keywords, shapes and units.

pub mod declared;
pub mod types;
pub mod verbs;
pub mod words;

pub use types::{Choice, Setting, Type};
pub use verbs::{Body, Clause, Place, VERBS, Verb, verb};
pub use words::{KEYWORDS, Keyword, MODIFIERS, SHAPES, UNITS};
