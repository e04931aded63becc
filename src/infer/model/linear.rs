//! One linear layer in any form, with what is done to its outputs fused in.

// Counted loops over registers: an iterator that is not inlined costs tenfold.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::infer::file::Stored;
use crate::infer::kernel::affine::{Affine, Rounder, Rounding, TokenScale};
use crate::infer::kernel::curves::{gelu, gelu_for_bytes};
use crate::infer::kernel::product::{Blocks, Dense, OfBytes, OfFloats, Panel, Strips, dense, sparse};
use crate::infer::simd::{Floats, Ints, Quads, Simd, Work};

/// A linear layer.
#[derive(Clone, Debug)]
pub struct Linear {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Its weights.
    pub weights: Weights,
    /// One for each output.
    pub bias: Stored<f32>,
    /// How its input becomes bytes; `None` for weights that are floats.
    pub input: Option<Rounding>,
    /// For an input of fixed scale: an output is `factor · sum + offset`.
    pub folded: Option<Folded>,
}

/// The scales of weights and input, the zero point and the bias of each row, in two numbers.
#[derive(Clone, Debug)]
pub struct Folded {
    factors: Vec<f32>,
    offsets: Vec<f32>,
}

impl Folded {
    /// `None` unless the input's scale is fixed.
    pub fn of(weights: &Weights, bias: &[f32], input: Option<Rounding>) -> Option<Folded> {
        let (Weights::Dense(_, scales) | Weights::Blocks(_, scales)) = weights else { return None };
        let Some(Rounding::Fixed(affine)) = input else { return None };
        let factor = |scale: &f32| f64::from(*scale) * f64::from(affine.scale);
        let factors: Vec<f64> = scales.scales.iter().map(factor).collect();
        let rows = factors.iter().zip(scales.sums.iter()).zip(bias);
        let offsets = rows.map(|((factor, sum), bias)| {
            let moved = f64::from(affine.zero) * f64::from(*sum);
            (f64::from(*bias) - factor * moved) as f32
        });
        Some(Folded { offsets: offsets.collect(), factors: factors.iter().map(|f| *f as f32).collect() })
    }
}

/// Weights in one of the forms.
#[derive(Clone, Debug)]
pub enum Weights {
    /// `[rows, columns]`.
    Floats(Stored<f32>),
    /// `[rows, columns / 4]` words of four signed bytes.
    Dense(Stored<[i8; 4]>, Scales),
    /// Words that are not zero.
    Blocks(BlockRows, Scales),
}

/// Rows of which only some blocks of four consecutive inputs are not zero, validated once.
#[derive(Clone, Debug)]
pub struct BlockRows {
    /// Row `r` has the words `pointers[r]..pointers[r + 1]`.
    pointers: Stored<u32>,
    /// Which four inputs each word stands for.
    places: Stored<u16>,
    words: Stored<[i8; 4]>,
    /// Words of a dense row.
    steps: usize,
    strips: Strips,
}

impl BlockRows {
    /// Rows of `steps` words each.
    ///
    /// # Errors
    /// One sentence if pointers or places lead outside.
    pub fn new(
        pointers: Stored<u32>,
        places: Stored<u16>,
        words: Stored<[i8; 4]>,
        steps: usize,
    ) -> Result<Self, String> {
        let strips = Strips::of(&Blocks::new(&pointers, &places, &words, steps)?);
        Ok(BlockRows { pointers, places, words, steps, strips })
    }

    #[inline(always)]
    fn blocks(&self) -> Blocks<'_> {
        // SAFETY: `new` validated these arrays, nothing else makes this type, and `Stored` memory does not
        // change: it is owned, or mapped by a caller who promised so (`Opened::map`).
        unsafe { Blocks::new_unchecked(&self.pointers, &self.places, &self.words, self.steps) }
    }
}

/// What the bytes of each row stand for.
#[derive(Clone, Debug)]
pub struct Scales {
    /// One step of the row's weights.
    pub scales: Stored<f32>,
    /// The sum of the row's bytes.
    pub sums: Stored<i32>,
}

/// A tile of inputs, `[columns][width]`.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// As floats.
    pub floats: &'a [Floats],
    /// As bytes, for a layer that wants them.
    pub bytes: &'a [Quads],
    /// What the bytes stand for, by group.
    pub scales: &'a [TokenScale],
    /// Groups of the tile.
    pub width: usize,
}

/// What is done to four consecutive outputs of a group of tokens.
pub trait Finish {
    /// Takes the outputs `row..row + count` of a group; those from `count` on mean nothing. Rows and groups
    /// count from the first ones asked for.
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]);
}

/// Sums of products that are finished together, while they are in the nearest cache.
#[derive(Debug)]
pub struct Sums {
    ints: Vec<Ints>,
    floats: Vec<Floats>,
}

/// Rows finished together: a multiple of four outputs, and of the six rows of a tile.
const CHUNK: usize = 12;
/// The same where each of them goes through several strips of inputs.
const STRIP_CHUNK: usize = 192;

impl Default for Sums {
    fn default() -> Self {
        let widest = super::arrange::WIDEST;
        Sums {
            ints: vec![Ints::default(); STRIP_CHUNK * widest],
            floats: vec![Floats::default(); CHUNK * widest],
        }
    }
}

/// A layer and what it is applied to, compiled once for each way to finish.
struct Apply<'a, F> {
    linear: &'a Linear,
    rows: Range<usize>,
    tile: Tile<'a>,
    groups: Range<usize>,
    sums: &'a mut Sums,
    finish: &'a mut F,
}

impl<F: Finish> Work for Apply<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.linear.all(simd, self.rows, self.tile, self.groups, self.sums, self.finish);
    }
}

impl Linear {
    /// Some outputs for some groups of a tile, handed to `finish`.
    #[inline(always)]
    pub fn apply<S: Simd>(
        &self,
        simd: S,
        rows: Range<usize>,
        tile: Tile<'_>,
        groups: Range<usize>,
        sums: &mut Sums,
        finish: &mut impl Finish,
    ) {
        simd.apart(Apply { linear: self, rows, tile, groups, sums, finish });
    }

    #[inline(always)]
    fn all<S: Simd>(
        &self,
        simd: S,
        rows: Range<usize>,
        tile: Tile<'_>,
        groups: Range<usize>,
        sums: &mut Sums,
        finish: &mut impl Finish,
    ) {
        let width = groups.len();
        let together = match &self.weights {
            Weights::Blocks(blocks, _) if blocks.strips.count() > 1 => STRIP_CHUNK,
            _ => CHUNK,
        };
        for start in rows.clone().step_by(together) {
            let chunk = start..(start + together).min(rows.end);
            let scales = match &self.weights {
                Weights::Floats(weights) => {
                    let matrix = Dense { weights, row: self.columns, step: 1, steps: self.columns };
                    let panel = Panel { steps: tile.floats, width: tile.width, groups: groups.clone() };
                    dense::<S, OfFloats>(simd, matrix, chunk.clone(), &panel, &mut sums.floats);
                    None
                }
                Weights::Dense(weights, scales) => {
                    let steps = self.columns.div_ceil(4);
                    let matrix = Dense { weights, row: steps, step: 1, steps };
                    let panel = Panel { steps: tile.bytes, width: tile.width, groups: groups.clone() };
                    dense::<S, OfBytes>(simd, matrix, chunk.clone(), &panel, &mut sums.ints);
                    Some(scales)
                }
                Weights::Blocks(blocks, scales) => {
                    let panel = Panel { steps: tile.bytes, width: tile.width, groups: groups.clone() };
                    sparse(simd, blocks.blocks(), &blocks.strips, chunk.clone(), &panel, &mut sums.ints);
                    Some(scales)
                }
            };
            let bias = &self.bias[chunk.clone()];
            for first in (0..chunk.len()).step_by(4) {
                let count = (chunk.len() - first).min(4);
                for group in 0..width {
                    let mut values = [simd.splat(0.0); 4];
                    for i in 0..count {
                        let (value, row) = (&mut values[i], first + i);
                        let bias = simd.splat(bias[row]);
                        *value = match (scales, &self.folded) {
                            (None, _) => simd.add(simd.load(&sums.floats[row * width + group]), bias),
                            (_, Some(folded)) => {
                                let sum = simd.to_float(simd.load_int(&sums.ints[row * width + group]));
                                let offset = simd.splat(folded.offsets[chunk.start + row]);
                                simd.fma(sum, simd.splat(folded.factors[chunk.start + row]), offset)
                            }
                            (Some(scales), None) => {
                                let token = &tile.scales[groups.start + group];
                                let sum = simd.load_int(&sums.ints[row * width + group]);
                                let sum = simd.mul(simd.to_float(sum), simd.load(&token.scale));
                                let total = simd.splat(-(scales.sums[chunk.start + row] as f32));
                                let sum = simd.fma(simd.load(&token.moved), total, sum);
                                simd.fma(sum, simd.splat(scales.scales[chunk.start + row]), bias)
                            }
                        };
                    }
                    finish.four(simd, start - rows.start + first, count, group, values);
                }
            }
        }
    }
}

/// Keeps outputs: `out[row][offset + group]`.
#[derive(Debug)]
pub struct Keep<'a> {
    /// Where to.
    pub out: &'a mut [Floats],
    /// Groups in a row of it.
    pub width: usize,
    /// The first group's place.
    pub offset: usize,
}

impl Finish for Keep<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..count {
            simd.store(values[i], &mut self.out[(row + i) * self.width + self.offset + group]);
        }
    }
}

/// Adds what went around the layer.
#[derive(Debug)]
pub struct AddTo<'a> {
    /// `[rows][width]`.
    pub residual: &'a [Floats],
    /// Where the sum goes, `[rows][width]`.
    pub out: &'a mut [Floats],
    /// Groups in a row.
    pub width: usize,
}

impl Finish for AddTo<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..count {
            let at = (row + i) * self.width + group;
            simd.store(simd.add(values[i], simd.load(&self.residual[at])), &mut self.out[at]);
        }
    }
}

/// GELU, kept as floats.
#[derive(Debug)]
pub struct Gelu<'a> {
    /// `[rows][width]`.
    pub out: &'a mut [Floats],
    /// Groups in a row.
    pub width: usize,
    /// Whether it becomes bytes next.
    pub for_bytes: bool,
}

impl Finish for Gelu<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        for i in 0..count {
            let value = if self.for_bytes { gelu_for_bytes(simd, values[i]) } else { gelu(simd, values[i]) };
            simd.store(value, &mut self.out[(row + i) * self.width + group]);
        }
    }
}

/// GELU, rounded to bytes by a fixed scale and packed for the next product.
#[derive(Debug)]
pub struct GeluToBytes<'a> {
    /// The scale.
    pub affine: Affine,
    /// `[rows / 4][width]`.
    pub out: &'a mut [Quads],
    /// Groups in a row.
    pub width: usize,
}

impl Finish for GeluToBytes<'_> {
    #[inline(always)]
    fn four<S: Simd>(&mut self, simd: S, row: usize, count: usize, group: usize, values: [S::F; 4]) {
        let rounder = Rounder::fixed(simd, self.affine);
        let mut bytes = [simd.splat_int(0); 4];
        for i in 0..count {
            bytes[i] = rounder.round(simd, gelu_for_bytes(simd, values[i]));
        }
        simd.store_quads(bytes, &mut self.out[row / 4 * self.width + group]);
    }
}
