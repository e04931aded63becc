//! Reads the modifiers of a SparseML recipe, in any of its dialects, from the YAML tree.
//!
//! - [`collect`]: all groups and stages as one list of [`Modifier`]s; [`role`] classifies the entries, and
//!   [`misplaced`] reports modifiers outside a group;
//! - [`block`]: re-indents blocks of YAML, for fixes;
//! - [`registry`]: all modifiers by name, with their fields ([`field_tables`]) or what to use instead;
//! - [`datum`]: the types of values, with what PyYAML reads instead; [`numbers`]: numbers among them;
//! - [`variables`]: variables and [`expression`]s in `eval(…)`;
//! - [`fields`]: the fields of one modifier, checked by [`field_names`] and read by [`typed`].
//!
//! The translation to an `.obert` recipe is in `import`.

mod block;
mod collect;
pub(crate) mod datum;
mod expression;
mod field_names;
pub(crate) mod field_tables;
pub(crate) mod fields;
mod misplaced;
mod modifier;
pub(crate) mod numbers;
pub(crate) mod registry;
mod role;
mod typed;
mod variables;

pub(crate) use collect::{Collected, collect};
pub(crate) use datum::{Datum, Located, Number};
pub(crate) use fields::{Fields, quoted};
pub(crate) use modifier::Modifier;
pub(crate) use variables::names_in;
