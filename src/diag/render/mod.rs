//! Output formats of diagnostics.
//!
//! - [`full`]: with source lines, for a terminal;
//! - [`concise`]: one line each, for editors;
//! - [`json`]: for programs;
//! - [`github`]: annotations of a pull request;
//! - [`sarif`]: for code scanning.

pub mod concise;
pub mod full;
pub mod github;
pub mod json;
pub mod sarif;
mod snippet;
