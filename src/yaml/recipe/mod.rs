//! What a SparseML recipe holds, in whichever dialect it is written.
//!
//! - [`collect`]: groups and stages to one list of [`Modifier`]s;
//! - [`block`]: blocks of YAML that move, for proposed replacements;
//! - [`registry`]: every modifier by name, with its fields, or what to use instead;
//! - [`datum`]: values as PyYAML reads them and as they are meant;
//! - [`expression`]: `eval(…)` over the recipe's variables;
//! - [`numbers`]: what is meant by a number, and what PyYAML makes of it;
//! - [`fields`]: one modifier's fields, read by type, with ranges checked.
//!
//! Nothing here knows what a recipe becomes.

mod block;
mod collect;
pub(crate) mod datum;
mod expression;
pub(crate) mod fields;
pub(crate) mod numbers;
pub(crate) mod registry;
mod variables;

pub(crate) use collect::{Collected, Modifier, collect};
pub(crate) use datum::{Datum, Located, Number};
pub(crate) use fields::{Fields, quoted};
pub(crate) use variables::names_in;
