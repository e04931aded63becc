//! Text to tree.
//!
//! [`balance`] first looks at the raw text: bytes that cannot stand in a recipe, brackets that do
//! not close, nesting that is too deep, and where the comments are. [`parse`] then applies the
//! grammar and builds the [`ast`], reporting every malformed statement of the file. [`format`]
//! prints a tree in its canonical form.

pub mod ast;
mod balance;
pub mod format;
mod malformed;
mod number;
mod parse;
mod slips;
mod values;
mod yaml_text;

pub use balance::Comment;
pub use number::Number;
pub use parse::{Parsed, parse_file, parse_phrase};
