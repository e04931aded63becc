//! A linear layer with float32, int8 or block-sparse int8 weights.

// Counted loops over registers: an iterator that is not inlined costs tenfold.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::epilogue::Epilogue;
use crate::infer::file::Stored;
use crate::infer::kernel::product::{Blocks, Dense, Float32, Int8, Panel, Strips, dense, sparse};
use crate::infer::kernel::quantize::{InputQuantization, TokenScale};
use crate::infer::simd::{Floats, Ints, Quads, Simd, Work};

/// A linear layer, `y = xWᵀ + b` (`torch.nn.Linear`).
#[derive(Clone, Debug)]
pub struct Linear {
    /// The number of outputs.
    pub rows: usize,
    /// The number of inputs.
    pub columns: usize,
    /// W, `[rows, columns]`.
    pub weights: Weights,
    /// b, `[rows]`.
    pub bias: Stored<f32>,
    /// The quantization of x; `None` for float32 weights.
    pub input: Option<InputQuantization>,
    /// The dequantization of outputs, for static quantization of x.
    pub folded: Option<Folded>,
}

/// Scales, zero point and bias folded into two constants for each row: `y = factor · sum + offset`, with
/// `factor = s_w s_x` and `offset = b − factor · z_x Σw`.
#[derive(Clone, Debug)]
pub struct Folded {
    factors: Vec<f32>,
    offsets: Vec<f32>,
}

impl Folded {
    /// The constants of a layer; `None` unless its input is quantized statically.
    pub fn of(weights: &Weights, bias: &[f32], input: Option<InputQuantization>) -> Option<Folded> {
        let (Weights::Dense(_, scales) | Weights::Blocks(_, scales)) = weights else { return None };
        let Some(InputQuantization::Static(qparams)) = input else { return None };
        let factor = |scale: &f32| f64::from(*scale) * f64::from(qparams.scale);
        let factors: Vec<f64> = scales.scales.iter().map(factor).collect();
        let rows = factors.iter().zip(scales.sums.iter()).zip(bias);
        let offsets = rows.map(|((factor, sum), bias)| {
            let shift = f64::from(qparams.zero) * f64::from(*sum);
            (f64::from(*bias) - factor * shift) as f32
        });
        Some(Folded { offsets: offsets.collect(), factors: factors.iter().map(|f| *f as f32).collect() })
    }
}

/// The weights of a layer.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Float32, `[rows, columns]`.
    Float32(Stored<f32>),
    /// Int8, `[rows, columns / 4]` with four weights in each entry.
    Dense(Stored<[i8; 4]>, Scales),
    /// Int8, as the nonzero blocks of four consecutive inputs.
    Blocks(BlockRows, Scales),
}

/// A validated block-sparse matrix, as in [`Blocks`].
#[derive(Clone, Debug)]
pub struct BlockRows {
    /// Row r has the blocks `pointers[r]..pointers[r + 1]`, `[rows + 1]`.
    pointers: Stored<u32>,
    /// The column index of each block.
    indices: Stored<u16>,
    /// The four weights of each block.
    words: Stored<[i8; 4]>,
    /// The number of blocks in a dense row.
    steps: usize,
    strips: Strips,
}

impl BlockRows {
    /// A matrix of which a dense row has `steps` blocks.
    ///
    /// # Errors
    /// A message of one sentence if a pointer or an index is out of range.
    pub fn new(
        pointers: Stored<u32>,
        indices: Stored<u16>,
        words: Stored<[i8; 4]>,
        steps: usize,
    ) -> Result<Self, String> {
        let strips = Strips::of(&Blocks::new(&pointers, &indices, &words, steps)?);
        Ok(BlockRows { pointers, indices, words, steps, strips })
    }

    #[inline(always)]
    fn blocks(&self) -> Blocks<'_> {
        // SAFETY: `new` validated these arrays, nothing else makes this type, and `Stored` memory does not
        // change: it is owned, or mapped by a caller who promised so (`Opened::map`).
        unsafe { Blocks::new_unchecked(&self.pointers, &self.indices, &self.words, self.steps) }
    }
}

/// Quantization parameters of int8 weights.
#[derive(Clone, Debug)]
pub struct Scales {
    /// The scale of each row.
    pub scales: Stored<f32>,
    /// The sum of each row's integers, by which the input's zero point is multiplied.
    pub sums: Stored<i32>,
}

/// A tile of inputs.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// Float32 inputs, `[columns][width]`; unused by int8 layers.
    pub floats: &'a [Floats],
    /// Quantized inputs, `[columns / 4][width]`; unused by float32 layers.
    pub bytes: &'a [Quads],
    /// The scales of quantized inputs, `[width]`.
    pub scales: &'a [TokenScale],
    /// The number of groups.
    pub width: usize,
}

/// The buffer for sums of a few rows, which are dequantized while they are in L1.
#[derive(Debug)]
pub struct Sums {
    ints: Vec<Ints>,
    floats: Vec<Floats>,
}

/// The number of rows that are computed together: a multiple of the four outputs of an epilogue and of the six rows of
/// a tile.
const CHUNK: usize = 12;
/// The number of rows that are computed together if the matrix has several [`Strips`].
const STRIP_CHUNK: usize = 192;

impl Default for Sums {
    fn default() -> Self {
        let widest = super::tiling::MAX_WIDTH;
        Sums {
            ints: vec![Ints::default(); STRIP_CHUNK * widest],
            floats: vec![Floats::default(); CHUNK * widest],
        }
    }
}

/// The arguments of [`Linear::apply`], compiled once for each epilogue.
struct Apply<'a, F> {
    linear: &'a Linear,
    rows: Range<usize>,
    tile: Tile<'a>,
    groups: Range<usize>,
    sums: &'a mut Sums,
    epilogue: &'a mut F,
}

impl<F: Epilogue> Work for Apply<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.linear.all(simd, self.rows, self.tile, self.groups, self.sums, self.epilogue);
    }
}

impl Linear {
    /// W in float32, `[rows, columns]`, dequantized.
    pub fn dequantized(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.columns];
        let mut put = |row: usize, step: usize, word: [i8; 4], scale: f32| {
            let to = &mut values[row * self.columns..(row + 1) * self.columns];
            for (value, byte) in to[4 * step..].iter_mut().zip(word) {
                *value = scale * f32::from(byte);
            }
        };
        let steps = self.columns.div_ceil(4);
        match &self.weights {
            Weights::Float32(weights) => return weights.to_vec(),
            Weights::Dense(words, scales) => {
                for (i, word) in words.iter().enumerate() {
                    put(i / steps, i % steps, *word, scales.scales[i / steps]);
                }
            }
            Weights::Blocks(blocks, scales) => {
                for row in 0..self.rows {
                    for i in blocks.pointers[row] as usize..blocks.pointers[row + 1] as usize {
                        put(row, blocks.indices[i] as usize, blocks.words[i], scales.scales[row]);
                    }
                }
            }
        }
        values
    }

    /// Computes the outputs `rows` for the groups `groups` of a tile, and passes them to `epilogue`.
    #[inline(always)]
    pub fn apply<S: Simd>(
        &self,
        simd: S,
        rows: Range<usize>,
        tile: Tile<'_>,
        groups: Range<usize>,
        sums: &mut Sums,
        epilogue: &mut impl Epilogue,
    ) {
        simd.outline(Apply { linear: self, rows, tile, groups, sums, epilogue });
    }

    #[inline(always)]
    fn all<S: Simd>(
        &self,
        simd: S,
        rows: Range<usize>,
        tile: Tile<'_>,
        groups: Range<usize>,
        sums: &mut Sums,
        epilogue: &mut impl Epilogue,
    ) {
        let width = groups.len();
        let together = match &self.weights {
            Weights::Blocks(blocks, _) if blocks.strips.count() > 1 => STRIP_CHUNK,
            _ => CHUNK,
        };
        for start in rows.clone().step_by(together) {
            let chunk = start..(start + together).min(rows.end);
            let scales = match &self.weights {
                Weights::Float32(weights) => {
                    let matrix = Dense { weights, row: self.columns, step: 1, steps: self.columns };
                    let panel = Panel { steps: tile.floats, width: tile.width, groups: groups.clone() };
                    dense::<S, Float32>(simd, matrix, chunk.clone(), &panel, &mut sums.floats);
                    None
                }
                Weights::Dense(weights, scales) => {
                    let steps = self.columns.div_ceil(4);
                    let matrix = Dense { weights, row: steps, step: 1, steps };
                    let panel = Panel { steps: tile.bytes, width: tile.width, groups: groups.clone() };
                    dense::<S, Int8>(simd, matrix, chunk.clone(), &panel, &mut sums.ints);
                    Some(scales)
                }
                Weights::Blocks(blocks, scales) => {
                    let panel = Panel { steps: tile.bytes, width: tile.width, groups: groups.clone() };
                    sparse(simd, blocks.blocks(), &blocks.strips, chunk.clone(), &panel, &mut sums.ints);
                    Some(scales)
                }
            };
            for first in (0..chunk.len()).step_by(4) {
                let count = (chunk.len() - first).min(4);
                // With constant bounds the loops over rows are unrolled, and values stay in registers: rows beyond the last
                // repeat it.
                let rows_of_four: [usize; 4] = std::array::from_fn(|i| (first + i).min(chunk.len() - 1));
                let mut factors = [simd.splat(1.0); 4];
                let mut offsets = [simd.splat(0.0); 4];
                let mut totals = [simd.splat(0.0); 4];
                for i in 0..4 {
                    let row = chunk.start + rows_of_four[i];
                    (factors[i], offsets[i]) = match (scales, &self.folded) {
                        (None, _) => (factors[i], simd.splat(self.bias[row])),
                        (_, Some(folded)) => {
                            (simd.splat(folded.factors[row]), simd.splat(folded.offsets[row]))
                        }
                        (Some(scales), None) => {
                            totals[i] = simd.splat(-(scales.sums[row] as f32));
                            (simd.splat(scales.scales[row]), simd.splat(self.bias[row]))
                        }
                    };
                }
                for group in 0..width {
                    let mut values = [simd.splat(0.0); 4];
                    for i in 0..4 {
                        let at = rows_of_four[i] * width + group;
                        values[i] = match (scales, &self.folded) {
                            (None, _) => simd.add(simd.load(&sums.floats[at]), offsets[i]),
                            (_, Some(_)) => {
                                let sum = simd.to_float(simd.load_int(&sums.ints[at]));
                                simd.fma(sum, factors[i], offsets[i])
                            }
                            (Some(_), None) => {
                                let token = &tile.scales[groups.start + group];
                                let sum = simd.to_float(simd.load_int(&sums.ints[at]));
                                let sum = simd.mul(sum, simd.load(&token.scale));
                                let sum = simd.fma(simd.load(&token.shift), totals[i], sum);
                                simd.fma(sum, factors[i], offsets[i])
                            }
                        };
                    }
                    epilogue.four(simd, start - rows.start + first, count, group, values);
                }
            }
        }
    }
}
