//! The bytes of a model: in dense float32, as nonzero weights with a bitmask, and in the files of its exports.
//!
//! [`crate::params::storage`] defines the first two. They are read from `sizes.json`, which `obertc pack` writes, or
//! else counted from the folder's weights.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::params::quantization::Quantization;
use crate::params::storage::{self, Quantized};

pub use crate::params::storage::{Size, Storage};

/// The file's name in a model's folder.
pub const FILE: &str = "sizes.json";

const FORMAT: &str = "obert.sizes";
const VERSION: u32 = 1;

/// Bytes of a model in several forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    format: String,
    version: u32,
    /// In dense float32.
    pub dense: Size,
    /// As nonzero weights with a bitmask of one bit for each weight.
    pub counted: Size,
    /// The files of its exports, the last of each format.
    #[serde(default)]
    pub files: Vec<Packed>,
}

/// An exported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// The format: the value of `--as`.
    #[serde(rename = "as")]
    pub format: String,
    /// Its file or folder.
    pub name: String,
    /// Its bytes: weights, scales and configuration, without the tokenizer.
    #[serde(flatten)]
    pub size: Size,
}

impl Sizes {
    /// Sizes without files.
    pub fn new(dense: Size, counted: Size) -> Sizes {
        Sizes { format: FORMAT.to_owned(), version: VERSION, dense, counted, files: Vec::new() }
    }

    /// The rows of a table of sizes: a name, the bytes of the dense model and of this one. The size with a bitmask is
    /// left out where it is not less.
    pub fn rows(&self) -> Vec<(String, u64, u64)> {
        let (dense, counted) = (&self.dense, &self.counted);
        let mut rows = Vec::new();
        if counted.bytes < dense.bytes {
            rows.push(("Size with a bitmask".to_owned(), dense.bytes, counted.bytes));
            if dense.encoder_bytes > 0 {
                rows.push(("Encoder with a bitmask".to_owned(), dense.encoder_bytes, counted.encoder_bytes));
            }
        }
        let files = self.files.iter().map(|f| (format!("Size as {}", f.format), dense.bytes, f.size.bytes));
        rows.extend(files);
        rows
    }

    /// Adds a file in place of one of the same format.
    pub fn add(&mut self, packed: Packed) {
        self.files.retain(|f| f.format != packed.format);
        self.files.push(packed);
    }

    /// Writes `sizes.json`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Diagnostic> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        files::write_whole(path, format!("{text}\n").as_bytes())
    }
}

/// The sizes in a model's folder, or else those counted from its weights; `None` if it has none.
///
/// # Errors
/// A file that cannot be read.
pub fn of_folder(folder: &Path) -> Result<Option<Sizes>, Diagnostic> {
    let unreadable = |path: &Path, why: String| {
        let message = format!("cannot read `{}`: {why}", path.display());
        Diagnostic::unlocated(Code::RecordIncomplete, message).help("sizes are left out")
    };
    let path = folder.join(FILE);
    if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, e.to_string()))?;
        let sizes: Sizes = serde_json::from_str(&text).map_err(|e| unreadable(&path, e.to_string()))?;
        if (sizes.format.as_str(), sizes.version) == (FORMAT, VERSION) {
            return Ok(Some(sizes));
        }
        return Err(unreadable(&path, format!("it is `{}` version {}", sizes.format, sizes.version)));
    }
    let path = folder.join("model.safetensors");
    if !path.is_file() {
        return Ok(None);
    }
    let scales = Quantization::read(folder)?;
    let counted = count(&path, scales.as_ref()).map_err(|e| unreadable(&path, e.to_string()))?;
    Ok(Some(Sizes::new(counted.dense, counted.counted)))
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The sizes of the parameters in a safetensors file, read tensor by tensor.
fn count(path: &Path, scales: Option<&Quantization>) -> std::io::Result<Storage> {
    let wrong = |why: &str| std::io::Error::other(why.to_owned());
    let file = File::open(path)?;
    let total = file.metadata()?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > total.saturating_sub(8) || length > 100_000_000 {
        return Err(wrong("its header is longer than the file"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&header)?;
    let mut storage = Storage::default();
    for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(value)?;
        let [start, end] = entry.data_offsets;
        // Integers are position ids, which old files hold; they are not parameters.
        let Some(decode) = floats(&entry.dtype) else { continue };
        if start > end || end > total - 8 - length {
            return Err(wrong("it is truncated"));
        }
        file.seek(SeekFrom::Start(8 + length + start))?;
        let mut bytes = vec![0; (end - start) as usize];
        file.read_exact(&mut bytes)?;
        let values = decode(&bytes);
        let columns = entry.shape.last().map_or(1, |c| *c as usize);
        let is_matrix = entry.shape.len() == 2;
        let scales = scales.and_then(|s| s.weights.get(&name)).filter(|_| is_matrix);
        let zeros = storage::zeros(&values, columns, scales.map(|s| s.scales.as_slice()));
        let quantized = scales.map(|s| Quantized { bits: s.bits, scales: s.scales.len() });
        storage.add(&name, values.len(), zeros, is_matrix, quantized);
    }
    Ok(storage)
}

/// Converts the bytes of a tensor to floats.
type Decode = fn(&[u8]) -> Vec<f32>;

/// The conversion of a type's bytes to floats; `None` for integers. Half-precision values become 0 or 1,
/// because only zeros are counted; quantized weights, whose values are needed, are float32.
fn floats(dtype: &str) -> Option<Decode> {
    match dtype {
        "F32" => Some(|bytes| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        "F16" | "BF16" => Some(|bytes| {
            let zero = |b: &[u8; 2]| u16::from_le_bytes(*b) & 0x7fff == 0;
            bytes.as_chunks().0.iter().map(|b| if zero(b) { 0.0 } else { 1.0 }).collect()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_each_type_are_counted_with_either_sign() {
        let values = [0.0f32, -0.0, 1.0, f32::MIN_POSITIVE];
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let zeros = |dtype, bytes: &[u8]| storage::zeros(&floats(dtype).unwrap()(bytes), 2, None);
        assert_eq!(zeros("F32", &bytes), 2);
        assert_eq!(zeros("BF16", &[0u8, 0x80, 0, 0x3f, 0, 0]), 2);
        assert!(floats("I64").is_none());
    }
}
