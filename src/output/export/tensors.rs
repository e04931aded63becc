//! Reading and writing safetensors files.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::source::not_readable;
use crate::diag::{Code, Diagnostic};
use crate::files;

/// A tensor as bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, little-endian.
    pub bytes: Vec<u8>,
}

impl Raw {
    /// A float32 tensor.
    pub fn floats(shape: &[usize], values: &[f32]) -> Raw {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Raw { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// An INT8 tensor.
    pub fn signed(shape: &[usize], values: &[i8]) -> Raw {
        Raw { dtype: Dtype::I8, shape: shape.to_vec(), bytes: values.iter().map(|v| *v as u8).collect() }
    }

    /// The values, if they are float32.
    pub fn as_floats(&self) -> Option<Vec<f32>> {
        let values = self.bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        (self.dtype == Dtype::F32).then(|| values.collect())
    }

    /// The values, if they are INT8.
    pub fn as_signed(&self) -> Option<Vec<i8>> {
        (self.dtype == Dtype::I8).then(|| self.bytes.iter().map(|b| *b as i8).collect())
    }
}

/// Writes a safetensors file atomically.
///
/// # Errors
/// A file that cannot be written.
pub fn write(path: &Path, tensors: &BTreeMap<String, Raw>) -> Result<(), Diagnostic> {
    let failed = |why: String| {
        Diagnostic::unlocated(Code::WriteFailed, format!("cannot write `{}`: {why}", path.display()))
            .help("is there space, and may you write there?")
    };
    let mut views = Vec::with_capacity(tensors.len());
    for (name, raw) in tensors {
        let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes);
        views.push((name.as_str(), view.map_err(|e| failed(format!("`{name}`: {e}")))?));
    }
    // transformers writes this key, and requires it.
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(about)).map_err(|e| failed(e.to_string()))?;
    files::write_whole(path, &bytes)
}

/// Reads all tensors of a safetensors file.
///
/// # Errors
/// A file that is missing, truncated or not a safetensors file.
pub fn read(path: &Path) -> Result<BTreeMap<String, Raw>, Diagnostic> {
    let bytes = std::fs::read(path).map_err(|e| not_readable(path, &e.to_string()))?;
    let all = SafeTensors::deserialize(&bytes).map_err(|e| not_readable(path, &e.to_string()))?;
    let raw = |view: &TensorView| Raw {
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    };
    Ok(all.iter().map(|(name, view)| (name.to_owned(), raw(&view))).collect())
}
