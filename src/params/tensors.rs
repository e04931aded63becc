//! The values of a weight file as float32, from safetensors or a pickle.

use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::SafeTensors;

use crate::diag::{Code, Diagnostic};

use super::pickle;

/// Reads the tensors of a file for whose names `wanted` is true, and calls `take` with the name and the values of each.
///
/// # Errors
/// A file that cannot be read or is truncated; a wanted tensor that is not F32, F16 or BF16, or has an infinite or NaN
/// element.
pub fn read(
    file: &Path,
    wanted: impl Fn(&str) -> bool,
    mut take: impl FnMut(&str, Vec<f32>),
) -> Result<(), Diagnostic> {
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::ModelNotReadable, format!("cannot read `{}`: {why}", file.display()))
            .help("is it a whole file of weights? compare its size with the original")
    };
    let mut add = |name: &str, dtype: &str, data: &[u8]| {
        let values = floats(dtype, data).ok_or_else(|| {
            Diagnostic::unlocated(
                Code::TensorType,
                format!("`{name}` in `{}` has the type {dtype}", file.display()),
            )
            .help("weights must be F32, F16 or BF16")
        })?;
        if let Some(bad) = values.iter().position(|v| !v.is_finite()) {
            return Err(unreadable(format!("`{name}` holds {} at position {bad}", values[bad])));
        }
        take(name, values);
        Ok(())
    };
    if pickle::is_pickle(file) {
        for tensor in pickle::open(file)?.iter().filter(|tensor| wanted(&tensor.name)) {
            let data = tensor.read().map_err(|e| unreadable(e.to_string()))?;
            add(&tensor.name, &format!("{:?}", tensor.dtype()), &data)?;
        }
        return Ok(());
    }
    let bytes = std::fs::read(file).map_err(|e| unreadable(e.to_string()))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| unreadable(e.to_string()))?;
    for (name, view) in tensors.iter().filter(|(name, _)| wanted(name)) {
        add(name, &format!("{:?}", view.dtype()), view.data())?;
    }
    Ok(())
}

/// Converts little-endian elements to float32; `None` for another dtype.
fn floats(dtype: &str, data: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        "F32" => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        "F16" => data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        "BF16" => data.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        _ => return None,
    })
}
