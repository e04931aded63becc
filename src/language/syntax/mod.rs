//! Parsing of a recipe's text to a syntax tree, and formatting.
//!
//! [`brackets`] scans the text for invalid characters, unbalanced brackets, deep nesting, and comments.
//! [`parse`] applies the grammar and builds the [`ast`], reporting every malformed statement: in
//! [`malformed`], with help for notations of other languages in [`foreign_syntax`]. [`format`] prints a
//! tree in canonical form.

pub mod ast;
mod brackets;
mod foreign_syntax;
pub mod format;
mod malformed;
mod number;
mod parse;
mod values;
mod yaml_text;

pub use brackets::Comment;
pub use number::Number;
pub use parse::{Parsed, parse_file, parse_phrase};
