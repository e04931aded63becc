//! YAML text to a located tree.
//!
//! The events of the parser become [`tree`] nodes that know their bytes; comments are kept beside
//! it. [`front_matter`] finds the YAML of a Markdown file. [`scalar`] says what PyYAML, which
//! follows YAML 1.1, takes a plain word for, and what is meant by it. Nothing here knows SparseML.
//!
//! The reader is safe: what nests too deep, expands too far or holds a key twice is a located
//! error, and an anchor used many times is shared, not copied.

mod events;
mod front_matter;
pub(crate) mod scalar;
pub(crate) mod tree;

pub(crate) use events::read;
pub(crate) use front_matter::front_matter;
pub(crate) use tree::{Comment, Document, Entry, Handling, Mark, Node, Value};
