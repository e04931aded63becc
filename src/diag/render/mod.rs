//! Diagnostics as text: one file for each form.
//!
//! - [`full`]: with source lines, for people;
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
