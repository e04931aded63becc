//! Parses YAML into a tree whose nodes have spans.
//!
//! [`events`] builds the [`tree`] from the parser's events, and keeps the comments. [`front_matter`] finds
//! the YAML of a Markdown file. [`scalar`] resolves plain scalars as PyYAML does, by YAML 1.1. This module
//! is independent of SparseML.
//!
//! Hostile input is bounded: too deep nesting, too large an expansion of aliases and a repeated key are
//! located errors, and an anchor that is used many times is shared, not copied.

mod events;
mod front_matter;
pub(crate) mod scalar;
pub(crate) mod tree;

pub(crate) use events::read;
pub(crate) use front_matter::front_matter;
pub(crate) use tree::{Comment, Document, Entry, Handling, Mark, Node, Value};
