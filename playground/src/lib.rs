//! obert's language for a web page: functions from texts to JSON, compiled to WebAssembly.
//!
//! Every position is an offset in UTF-16 code units, as JavaScript counts them. There are no files: `use "…"` of a file
//! is reported as one that cannot be read.

mod findings;
mod recipes;
#[cfg(target_arch = "wasm32")]
mod web;

pub use findings::{Change, Finding, Place};
pub use recipes::{Checked, Formatted, Imported, Planned, check, explain, format, import_yaml, plan};
