//! The size of a model's parameters in bytes, dense and as sparse matrices with a bit mask.
//!
//! The terminal's summary, the report, the model card and `pack` all use these definitions:
//!
//! - Dense: 4 bytes for each value (float32).
//! - Sparse: a matrix takes one bit for each weight (the mask) and its nonzero weights, or all its weights if that is
//!   less. A weight takes 32 bits, or those it is quantized to; a scale takes 4 bytes. Every other parameter takes 4
//!   bytes for each value. A quantized weight is zero if its integer is.
//! - Encoder: only the encoder layers, without embeddings and head.

use serde::{Deserialize, Serialize};

use super::quantization::quantize;
use super::table::layer_of;

/// A size in bytes, of the whole model and of its encoder layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Bytes of the whole model.
    pub bytes: u64,
    /// Bytes of the encoder layers.
    pub encoder_bytes: u64,
    /// Bytes of the whole model, compressed with zstd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zstd: Option<u64>,
    /// Bytes of the encoder layers, compressed with zstd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_zstd: Option<u64>,
}

impl Size {
    /// The compression ratio against the dense size.
    pub fn ratio(&self, dense: &Size) -> f64 {
        dense.bytes as f64 / self.bytes.max(1) as f64
    }
}

/// The dense and the sparse size of a model, accumulated parameter by parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// The size in dense float32.
    pub dense: Size,
    /// The size as sparse matrices with a bit mask.
    pub counted: Size,
}

/// The quantization of a matrix, as far as its size depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantized {
    /// Bits of each weight.
    pub bits: u32,
    /// The number of scales: one, or one for each row.
    pub scales: usize,
}

impl Storage {
    /// Adds a parameter of `values` values, of which `zeros` are zero.
    pub fn add(
        &mut self,
        name: &str,
        values: usize,
        zeros: usize,
        is_matrix: bool,
        quantized: Option<Quantized>,
    ) {
        let counted = counted(values as u64, zeros as u64, is_matrix, quantized);
        self.dense.bytes += 4 * values as u64;
        self.counted.bytes += counted;
        if is_encoder_layer(name) {
            self.dense.encoder_bytes += 4 * values as u64;
            self.counted.encoder_bytes += counted;
        }
    }
}

/// Whether a parameter belongs to an encoder layer, and not to embeddings or head.
pub fn is_encoder_layer(name: &str) -> bool {
    layer_of(name).is_some()
}

/// The number of zeros in a matrix `[rows, columns]`. With scales, one or one for each row, values with
/// `q = 0` are zero.
pub fn zeros(values: &[f32], columns: usize, scales: Option<&[f32]>) -> usize {
    let Some(scales) = scales else { return values.iter().filter(|v| **v == 0.0).count() };
    let rows = values.chunks(columns.max(1)).enumerate();
    let of_row = |(row, values): (usize, &[f32])| {
        let scale = scales.get(if scales.len() == 1 { 0 } else { row }).copied().unwrap_or(1.0);
        quantize(values, scale, 127.0).filter(|q| *q == 0).count()
    };
    rows.map(of_row).sum()
}

/// The bytes of a parameter as a sparse matrix.
fn counted(values: u64, zeros: u64, is_matrix: bool, quantized: Option<Quantized>) -> u64 {
    if !is_matrix {
        return 4 * values;
    }
    let (bits, scales) = quantized.map_or((32, 0), |q| (u64::from(q.bits), 4 * q.scales as u64));
    let whole = (bits * values).div_ceil(8);
    let masked = values.div_ceil(8) + (bits * (values - zeros)).div_ceil(8);
    scales + whole.min(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantized_and_pruned_matrix_takes_a_bit_for_each_weight_and_its_bytes() {
        // 800 weights, 720 of them zero: 100 bytes of bits, 80 of weights, 40 of scales.
        assert_eq!(counted(800, 720, true, Some(Quantized { bits: 8, scales: 10 })), 220);
        assert_eq!(counted(800, 720, true, None), 100 + 320);
        // Without zeros no bits are worth it.
        assert_eq!(counted(800, 0, true, Some(Quantized { bits: 4, scales: 1 })), 404);
        assert_eq!(counted(10, 10, false, None), 40);
    }

    #[test]
    fn the_encoder_is_its_layers_without_embeddings_and_head() {
        let mut storage = Storage::default();
        storage.add("bert.embeddings.word_embeddings.weight", 100, 0, true, None);
        storage.add("bert.encoder.layer.0.output.dense.weight", 80, 72, true, None);
        storage.add("distilbert.transformer.layer.1.ffn.lin1.bias", 8, 8, false, None);
        storage.add("qa_outputs.weight", 2, 0, true, None);
        assert_eq!((storage.dense.bytes, storage.dense.encoder_bytes), (760, 352));
        assert_eq!((storage.counted.bytes, storage.counted.encoder_bytes), (400 + 42 + 32 + 8, 42 + 32));
    }

    #[test]
    fn a_quantized_weight_is_zero_if_its_integer_is() {
        let values = [0.0, -0.0, 0.04, 0.05, 0.06, -0.2];
        assert_eq!(zeros(&values, 3, None), 2);
        // 0.05 is half a step: to the even integer, 0.
        assert_eq!(zeros(&values, 3, Some(&[0.1])), 4);
        assert_eq!(zeros(&values, 3, Some(&[0.01, 0.5])), 2 + 3);
    }
}
