//! Diagnostics as text: one file for each form.

pub mod full;
pub mod json;
