//! A folder with a pruned and quantized model of random weights, for its sizes, which depend on shape and zeros alone.

use std::path::Path;

use super::source::QuantizedWeight;
use super::{compressed, tensors};
use crate::diag::Diagnostic;
use crate::files;
use crate::infer::pack::random::Random;
use crate::params::{Parameter, quantization};

/// Writes the folder: dequantized weights, and their scales.
///
/// # Errors
/// A file that cannot be written.
pub fn folder(random: &Random, to: &Path) -> Result<(), Diagnostic> {
    let quantization = random.quantization();
    let table = random.table();
    let quantized = |p: &Parameter| match quantization.weights.get(&p.name) {
        Some(scales) => QuantizedWeight::of(&random.tensor(&p.name), p.inputs(), scales).floats(),
        None => random.tensor(&p.name),
    };
    let all = table.iter().map(|p| (p.name.clone(), tensors::Raw::floats(&p.shape, &quantized(p))));
    tensors::write(&to.join(compressed::FILE), &all.collect())?;
    let text = |value: &serde_json::Value| format!("{value}\n").into_bytes();
    let config = serde_json::to_value(random.config()).unwrap_or_default();
    files::write_whole(&to.join("config.json"), &text(&config))?;
    let scales = serde_json::to_value(&quantization).unwrap_or_default();
    files::write_whole(&to.join(quantization::FILE), &text(&scales))
}
