//! A folder of a random model, as after training with pruning and quantization: for figures of sizes, which depend on
//! a model's shape and zeros alone.

use std::path::Path;

use super::{compressed, tensors};
use crate::diag::Diagnostic;
use crate::files;
use crate::infer::pack::random::Random;
use crate::params::quantization;

/// Writes the folder: its weights as they were drawn, and the scales that round them.
///
/// # Errors
/// A file that cannot be written.
pub fn folder(random: &Random, to: &Path) -> Result<(), Diagnostic> {
    let table = random.table();
    let all = table.iter().map(|p| (p.name.clone(), tensors::Raw::floats(&p.shape, &random.tensor(&p.name))));
    tensors::write(&to.join(compressed::FILE), &all.collect())?;
    let text = |value: &serde_json::Value| format!("{value}\n").into_bytes();
    let config = serde_json::to_value(random.config()).unwrap_or_default();
    files::write_whole(&to.join("config.json"), &text(&config))?;
    let scales = serde_json::to_value(random.quantization()).unwrap_or_default();
    files::write_whole(&to.join(quantization::FILE), &text(&scales))
}
