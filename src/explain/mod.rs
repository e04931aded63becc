//! `obertc explain`: a page for every code, verb, setting and value, and the generated reference.
//!
//! ```text
//! pages/OB0402.md ─ pages ───┐
//! language::vocab ─ entries ─┼─▶ topic ─▶ describe ─▶ text     `obertc explain WORD`
//! std.bert, …     ─ library ─┘
//!                            ├─▶ errors, reference             docs/*.md
//!                            └─▶ view                          completion and hover
//! ```
//!
//! The page of a code is a Markdown file with an explanation, a wrong example and a right one, both tested.
//! Everything else is generated from the tables that declare the recipe language.

mod concepts;
mod describe;
mod entries;
pub mod errors;
mod examples;
mod library;
mod pages;
pub mod reference;
mod text;
mod topic;
pub mod view;

pub(crate) use describe::{signature, special_lines};
pub(crate) use entries::{block_of, values_of};
pub use pages::{Page, page};
pub use topic::{Unknown, explain, topics};
