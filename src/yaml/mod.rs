//! Imports SparseML recipes and exports schedules as SparseML recipes.
//!
//! ```text
//! YAML, Markdown ── reader ──▶ tree ── recipe ──▶ modifiers ── import ──▶ .obert text and its places ──▶ language
//!                                                     Schedule ── export ──▶ YAML that SparseML loads
//! ```
//!
//! The import writes the text of an `.obert` recipe, which is then formatted and compiled like any other.
//! A map from that text to the YAML lets the compiler's diagnostics point into the user's file. Behaviour
//! of SparseML that differs is reported; what the language cannot express is an error at its place.
//! `docs/migrating-from-sparseml.md` lists the differences.

mod export;
mod import;
mod reader;
mod recipe;

pub use export::export;
pub use import::{Imported, NodeOutcome, Options, Outcome, compile, import, is_yaml};
