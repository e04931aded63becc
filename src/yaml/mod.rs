//! SparseML recipes in and out.
//!
//! ```text
//! YAML, Markdown ── reader ──▶ tree ── recipe ──▶ modifiers ── import ──▶ .obert text and its places ──▶ language
//!                                                     Schedule ── export ──▶ YAML that SparseML loads
//! ```
//!
//! An imported recipe goes through the same door as one written by hand: its text is formatted and
//! compiled. A map from that text to the YAML makes every finding of the checker point into the
//! user's own file. What SparseML would do without a word is said; what the language cannot say is
//! refused at its place. `docs/migrating-from-sparseml.md` lists the differences.

mod export;
mod import;
mod reader;
mod recipe;

pub use export::export;
pub use import::{Imported, NodeOutcome, Options, Outcome, compile, import, is_yaml};
