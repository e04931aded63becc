//! How many bytes a model takes: dense, counted, and in the files it was written as.
//!
//! Dense are all parameters as 32-bit floats. Counted is what has to be kept at least without coding it further: of a
//! matrix with zeros one bit for each weight and the weights that are not zero, in as many bits as they were rounded
//! to; scales; everything else as floats. The encoder is its layers alone, without embeddings and head, which no
//! recipe of the paper prunes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::params::quantization::Quantization;

/// Its name in a folder.
pub const FILE: &str = "sizes.json";

const FORMAT: &str = "obert.sizes";
const VERSION: u32 = 1;

/// Bytes of a model in several forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    format: String,
    version: u32,
    /// As 32-bit floats.
    pub dense: Size,
    /// As counted.
    pub counted: Size,
    /// As files, the last one of each format.
    #[serde(default)]
    pub files: Vec<Packed>,
}

/// Bytes, all and of the encoder's layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Bytes.
    pub bytes: u64,
    /// Bytes of the encoder's layers.
    pub encoder_bytes: u64,
    /// Bytes, compressed with zstd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zstd: Option<u64>,
    /// Bytes of the encoder's layers, compressed with zstd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_zstd: Option<u64>,
}

/// A file that a model was written as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// The name after `--as`.
    #[serde(rename = "as")]
    pub format: String,
    /// Its file or folder.
    pub name: String,
    /// Its bytes: weights and what says how they are meant, without the tokenizer.
    #[serde(flatten)]
    pub size: Size,
}

impl Size {
    /// How many times as small as another.
    pub fn ratio(&self, dense: &Size) -> f64 {
        dense.bytes as f64 / self.bytes.max(1) as f64
    }
}

impl Sizes {
    /// Sizes without files.
    pub fn new(dense: Size, counted: Size) -> Sizes {
        Sizes { format: FORMAT.to_owned(), version: VERSION, dense, counted, files: Vec::new() }
    }

    /// Adds a file in place of one of the same format.
    pub fn add(&mut self, packed: Packed) {
        self.files.retain(|f| f.format != packed.format);
        self.files.push(packed);
    }

    /// Writes them.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Diagnostic> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        files::write_whole(path, format!("{text}\n").as_bytes())
    }
}

/// What the folder of a model says, and else what can be counted of its weights; `None` if it has none.
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
    let (dense, counted) = count(&path, scales.as_ref()).map_err(|e| unreadable(&path, e.to_string()))?;
    Ok(Some(Sizes::new(dense, counted)))
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Dense and counted bytes of a safetensors file, read piece by piece.
fn count(path: &Path, scales: Option<&Quantization>) -> std::io::Result<(Size, Size)> {
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
    let (mut dense, mut counted) = (Size::default(), Size::default());
    for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let entry: Entry = serde_json::from_value(value)?;
        let [start, end] = entry.data_offsets;
        let width = match entry.dtype.as_str() {
            "F32" => 4,
            "F16" | "BF16" => 2,
            // Numbers of positions, which old files hold, are no parameters.
            _ => continue,
        };
        if start > end || end > total - 8 - length {
            return Err(wrong("it is truncated"));
        }
        file.seek(SeekFrom::Start(8 + length + start))?;
        let values = (end - start) / width;
        let zeros = zeros(&mut (&mut file).take(end - start), width as usize)?;
        let known = scales.and_then(|s| s.weights.get(&name)).filter(|_| entry.shape.len() == 2);
        let bytes = of_tensor(values, zeros, known.map(|k| (k.bits, k.scales.len())), entry.shape.len() == 2);
        dense.bytes += 4 * values;
        counted.bytes += bytes;
        if name.contains(".layer.") {
            dense.encoder_bytes += 4 * values;
            counted.encoder_bytes += bytes;
        }
    }
    Ok((dense, counted))
}

/// The counted bytes of a tensor; with bits and how many scales, if it is rounded.
pub fn of_tensor(values: u64, zeros: u64, rounded: Option<(u32, usize)>, is_matrix: bool) -> u64 {
    let (bits, scales) = rounded.map_or((32, 0), |(bits, scales)| (u64::from(bits), 4 * scales as u64));
    let whole = (bits * values).div_ceil(8);
    let masked = values.div_ceil(8) + (bits * (values - zeros)).div_ceil(8);
    scales + if is_matrix { whole.min(masked) } else { whole }
}

/// How many floats of so many bytes are zero: all bits but that of the sign.
fn zeros(from: &mut impl Read, width: usize) -> std::io::Result<u64> {
    let mut block = vec![0; 1 << 16];
    let (mut zeros, mut filled) = (0, 0);
    loop {
        let read = from.read(&mut block[filled..])?;
        filled += read;
        let whole = filled / width * width;
        let zero = |v: &[u8]| v[width - 1] & 0x7f == 0 && v[..width - 1].iter().all(|b| *b == 0);
        zeros += block[..whole].chunks_exact(width).filter(|v| zero(v)).count() as u64;
        block.copy_within(whole..filled, 0);
        filled -= whole;
        if read == 0 {
            return Ok(zeros);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_counted_with_either_sign_across_blocks() {
        let mut values = vec![0.0f32, -0.0, 1.0, f32::MIN_POSITIVE];
        values.extend(std::iter::repeat_n(0.0, 40_000));
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(zeros(&mut &bytes[..], 4).unwrap(), 40_002);
        assert_eq!(zeros(&mut &[0u8, 0x80, 0, 0x3f, 0, 0][..], 2).unwrap(), 2);
    }

    #[test]
    fn a_rounded_and_pruned_matrix_takes_a_bit_for_each_weight_and_its_bytes() {
        // 800 weights, 720 of them zero: 100 bytes of bits, 80 of weights, 40 of scales.
        assert_eq!(of_tensor(800, 720, Some((8, 10)), true), 220);
        assert_eq!(of_tensor(800, 720, None, true), 100 + 320);
        // Without zeros no bits are worth it.
        assert_eq!(of_tensor(800, 0, Some((4, 1)), true), 404);
        assert_eq!(of_tensor(10, 10, None, false), 40);
    }
}
