//! Model folders with random weights: for the sizes of exports and for benchmarks, which depend on shapes and zeros
//! alone.

use std::path::Path;

use super::source::QuantizedWeight;
use super::{compressed, tensors};
use crate::diag::Diagnostic;
use crate::files;
use crate::infer::pack::random::Random;
use crate::params::{Parameter, quantization};

/// Writes `config.json` and `model.safetensors` in float32.
///
/// # Errors
/// A file that cannot be written.
pub fn float_folder(random: &Random, to: &Path) -> Result<(), Diagnostic> {
    write(random, to, |p| random.tensor(&p.name))
}

/// Writes the same of a model that was trained with quantization: dequantized weights, and their scales in
/// `quantization.json`.
///
/// # Errors
/// A file that cannot be written.
pub fn quantized_folder(random: &Random, to: &Path) -> Result<(), Diagnostic> {
    let quantization = random.quantization();
    write(random, to, |p| match quantization.weights.get(&p.name) {
        Some(scales) => QuantizedWeight::of(&random.tensor(&p.name), p.inputs(), scales).floats(),
        None => random.tensor(&p.name),
    })?;
    json(&to.join(quantization::FILE), &quantization)
}

fn write(random: &Random, to: &Path, values: impl Fn(&Parameter) -> Vec<f32>) -> Result<(), Diagnostic> {
    let table = random.table();
    let all = table.iter().map(|p| (p.name.clone(), tensors::Raw::floats(&p.shape, &values(p))));
    tensors::write(&to.join(compressed::FILE), &all.collect())?;
    json(&to.join("config.json"), &random.config)
}

fn json(path: &Path, value: &impl serde::Serialize) -> Result<(), Diagnostic> {
    // Plain data of strings and numbers always serializes.
    let value = serde_json::to_value(value).unwrap_or_default();
    files::write_whole(path, format!("{value}\n").as_bytes())
}
