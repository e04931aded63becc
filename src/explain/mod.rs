//! What words mean: a page behind every code, verb, setting and value.
//!
//! ```text
//! pages/OB0402.md ─ pages ───┐
//! language::vocab ─ entries ─┼─▶ topic ─▶ describe ─▶ text     `obertc explain WORD`
//! std.bert, …     ─ library ─┘
//!                            ├─▶ errors, reference             docs/*.md
//!                            └─▶ view                          completion and hover
//! ```
//!
//! A code's page is a file: why it matters, a wrong example and the right one, both tested. All else
//! is printed from the vocabulary's tables, so that it cannot be out of date.

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

pub use pages::{Page, page};
pub use topic::{Unknown, explain, topics};
