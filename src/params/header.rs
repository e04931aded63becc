//! Names, dtypes and shapes from the header of a weight file, without reading the weights.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::diag::{Code, Diagnostic, counted};

pub use super::table::TensorHeader;

/// The largest accepted header in bytes, as in the reference implementation of safetensors.
const LARGEST_HEADER: u64 = 100_000_000;

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// Reads the header of a safetensors file, in the order of the data, or of a pickle, in the order of names.
///
/// # Errors
/// A diagnostic that names the file, if it is missing, truncated or of another format.
pub fn read(path: &Path) -> Result<Vec<TensorHeader>, Diagnostic> {
    if super::pickle::is_pickle(path) {
        return super::pickle::header(path);
    }
    let shown = path.display();
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::ModelNotReadable, format!("cannot read `{shown}`: {why}"))
            .help("is it a whole safetensors file? compare its size with the original")
    };
    let mut file = File::open(path).map_err(|e| {
        Diagnostic::unlocated(Code::ModelNotFound, format!("cannot open `{shown}`: {e}"))
            .help("a model folder holds config.json, model.safetensors and tokenizer.json or vocab.txt")
    })?;
    let total = file.metadata().map_err(|e| unreadable(e.to_string()))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(|_| unreadable(format!("it has only {}", counted(total, "byte", "bytes"))))?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER || length + 8 > total {
        return Err(unreadable(format!(
            "its header claims {length} bytes, the file has {total}; truncated, or not safetensors"
        )));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|e| unreadable(e.to_string()))?;
    let map: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|e| unreadable(format!("its header is not JSON: {e}")))?;
    let data = total - 8 - length;
    let mut tensors = Vec::new();
    for (name, value) in map.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(value)
            .map_err(|e| unreadable(format!("the header entry of `{name}` is malformed: {e}")))?;
        let [start, end] = entry.data_offsets;
        if start > end || end > data {
            return Err(unreadable(format!(
                "`{name}` should end at byte {end} of the data, but there are {data}; the file is truncated"
            )));
        }
        let claimed = bytes_of(&entry.dtype, &entry.shape);
        if claimed.is_some_and(|claimed| claimed != u128::from(end - start)) {
            return Err(unreadable(format!(
                "`{name}` of shape {:?} and type {} does not take the {} bytes that it has",
                entry.shape,
                entry.dtype,
                end - start
            )));
        }
        tensors.push((start, TensorHeader { name, dtype: entry.dtype, shape: entry.shape }));
    }
    tensors.sort_by_key(|(start, _)| *start);
    Ok(tensors.into_iter().map(|(_, tensor)| tensor).collect())
}

/// The bytes of a tensor; `None` for an unknown dtype, which is refused later.
fn bytes_of(dtype: &str, shape: &[usize]) -> Option<u128> {
    let size: u128 = match dtype {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        "I8" | "U8" | "BOOL" => 1,
        _ => return None,
    };
    shape.iter().try_fold(size, |product, dim| product.checked_mul(*dim as u128)).or(Some(u128::MAX))
}
