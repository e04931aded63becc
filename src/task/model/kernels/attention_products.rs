//! Attention of given queries, keys and values, with position terms and fake-quantized attention weights.
//!
//! It is used where [`super::self_attention()`] is not sufficient: with a position bias, windows or rotated queries,
//! and for quantization-aware training. Queries, keys and values are fake-quantized by the caller. Only the attention
//! weights before dropout are saved for the backward pass; with a window, only those near the diagonal are computed.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::method::qat::fake_quant::Affine;
use crate::method::qat::{Channels, Phase, Quantizer};

use super::attention::{
    Attention, HeadSequence, Sequences, drop_weights, plain_products, softmax, softmax_backward, split,
};
use super::dropout::Dropout;
use super::fake_quant::{fake_quantize, quantize_in_place, range, ranges, straight_through, union};
use super::gemm::{Threads, View, ViewMut, multiply};
use super::op::{CpuOp, run};
use super::position_terms::{Buckets, PositionTerms, Tile, tiles};

/// `quantize(dropout(softmax(Q Kᵀ / √d + B))) V` of queries, keys and values `[tokens, hidden]`, without the output
/// projection, with the bias B and the window of `terms`. Attention weights are quantized after dropout, as by
/// SparseML's `QATMatMul`.
pub fn attention_products(
    projected: [Tensor<2>; 3],
    heads: usize,
    sequences: &Sequences,
    dropout: Dropout,
    terms: &PositionTerms,
    quantizer: Option<(Arc<Quantizer>, Phase)>,
) -> Tensor<2> {
    match sequences {
        Sequences::Padded { lengths, length } => {
            plain_products(projected, heads, lengths, *length, dropout, terms, |weights| {
                let qparams =
                    quantizer.and_then(|(q, phase)| q.pass(phase, || ranges(&weights, Channels::All)));
                match qparams {
                    Some(qparams) => fake_quantize(weights, &qparams, Channels::All),
                    None => weights,
                }
            })
        }
        Sequences::Packed(starts) => {
            let [tokens, hidden] = projected[0].dims();
            let attention = Attention { tokens, hidden, heads, starts: starts.clone(), dropout };
            let (buckets, table) = match &terms.bias {
                Some(bias) => (Some(bias.buckets.clone()), bias.table.clone()),
                None => (None, Tensor::zeros([1, heads], &projected[0].device())),
            };
            let none = || Tensor::zeros([0, 1], &projected[0].device());
            let pairs = terms.pairs.clone().unwrap_or_else(none);
            let [query, key, value] = projected;
            let op = Products { attention, buckets, window: terms.window, quantizer };
            run(op, [query.into(), key.into(), value.into(), table.into(), pairs.into()])
        }
    }
}

/// The fused operation on packed sequences.
#[derive(Clone, Debug)]
struct Products {
    attention: Attention,
    buckets: Option<Buckets>,
    window: Option<usize>,
    quantizer: Option<(Arc<Quantizer>, Phase)>,
}

/// The attention weights before dropout, and the scale and zero point with which they were quantized after it.
#[derive(Clone, Debug)]
struct Saved {
    weights: Arc<Vec<f32>>,
    affine: Option<Affine>,
}

/// A head and a sequence, with its tiles and the number of their attention weights.
type Unit = (HeadSequence, Vec<Tile>, usize);

/// The gradients of a unit's queries, keys and values, `[length, d]` each, and of the terms of its pairs.
type Outputs<'a> = (((&'a mut [f32], &'a mut [f32]), &'a mut [f32]), &'a mut [f32]);

impl Products {
    /// The pairs of a head and a sequence with their tiles and the number of their attention weights, ordered by head.
    fn units(&self) -> Vec<Unit> {
        let mut first = 0;
        let of_unit = |unit: HeadSequence| {
            let tiles = tiles(unit.length, self.window);
            let size = tiles.iter().map(Tile::size).sum();
            let unit = HeadSequence { weights: first, ..unit };
            first += size;
            (unit, tiles, size)
        };
        self.attention.units().into_iter().map(of_unit).collect()
    }

    /// The rows of a head and a sequence that a tile has, `[rows, d]`.
    fn part<'a>(&self, data: &'a [f32], unit: HeadSequence, rows: &std::ops::Range<usize>) -> View<'a> {
        self.attention.part(data, unit, rows.clone())
    }

    /// Computes the attention weights of a tile, `softmax(Q Kᵀ / √d + B)`; those outside the window are zero.
    fn weigh(&self, out: &mut [f32], tile: &Tile, unit: HeadSequence, inputs: [&[f32]; 4]) {
        let [query, key, table, pairs] = inputs;
        let width = tile.keys.len();
        let (q, k) = (self.part(query, unit, &tile.queries), self.part(key, unit, &tile.keys));
        let scores = ViewMut::new(out, tile.queries.len(), width);
        multiply(scores, q, k.t(), self.attention.scale(), false, Threads::One);
        if let Some(buckets) = &self.buckets {
            for (query, row) in tile.queries.clone().zip(out.chunks_exact_mut(width)) {
                for (score, bucket) in row.iter_mut().zip(buckets.row(query, tile.keys.clone())) {
                    *score += table[*bucket as usize * self.attention.heads + unit.head];
                }
            }
        }
        if !pairs.is_empty() {
            let first = unit.weights + tile.weights;
            out.iter_mut().zip(&pairs[first..]).for_each(|(score, term)| *score += term);
        }
        self.fill_outside(out, tile, f32::MIN);
        softmax(out, width);
        self.fill_outside(out, tile, 0.0);
    }

    /// Sets the elements of a tile that are outside the window.
    fn fill_outside(&self, values: &mut [f32], tile: &Tile, fill: f32) {
        let Some(window) = self.window else { return };
        let (first, width) = (tile.keys.start, tile.keys.len());
        for (query, row) in tile.queries.clone().zip(values.chunks_exact_mut(width)) {
            row[..query.saturating_sub(window).saturating_sub(first)].fill(fill);
            let end = (query + window + 1).saturating_sub(first).min(width);
            row[end..].fill(fill);
        }
    }

    /// The attention weights of a tile after dropout.
    fn dropped(&self, weights: &[f32], unit: HeadSequence, tile: &Tile) -> Vec<f32> {
        let mut dropped = weights[unit.weights + tile.weights..][..tile.size()].to_vec();
        self.drop(&mut dropped, unit, tile);
        dropped
    }

    /// Applies the factors of dropout to a tile.
    fn drop(&self, values: &mut [f32], unit: HeadSequence, tile: &Tile) {
        if self.attention.dropout.is_active() {
            drop_weights(values, self.attention.dropout, (unit.weights + tile.weights) as u32);
        }
    }

    /// Observes the range of the attention weights if the quantizer observes in this phase (training or calibration).
    /// Returns their scale and zero point; `None` without fake quantization.
    fn affine(&self, weights: &[f32], units: &[Unit]) -> Option<Affine> {
        let (quantizer, phase) = self.quantizer.as_ref()?;
        let observed = || {
            let of_unit = |(unit, tiles, _): &Unit| {
                union(tiles.iter().map(|tile| range(&self.dropped(weights, *unit, tile))).collect())
            };
            vec![union(units.par_iter().map(of_unit).collect())]
        };
        quantizer.pass(*phase, observed).map(|qparams| qparams.affine(0))
    }
}

impl CpuOp<5> for Products {
    type Saved = Saved;

    fn forward(&self, [query, key, value, table, pairs]: [&[f32]; 5]) -> (Vec<f32>, Saved) {
        let at = &self.attention;
        let units = self.units();
        let sizes = units.iter().map(|(_, _, size)| *size);
        let mut weights = vec![0.0; sizes.clone().sum()];
        let areas = split(&mut weights, sizes);
        units.par_iter().zip(areas).for_each(|((unit, tiles, _), weights)| {
            for tile in tiles {
                let area = &mut weights[tile.weights..tile.weights + tile.size()];
                self.weigh(area, tile, *unit, [query, key, table, pairs]);
            }
        });
        let affine = self.affine(&weights, &units);
        let size = at.size();
        let mut context = vec![0.0; at.tokens * at.hidden];
        let outputs = split(&mut context, units.iter().map(|(unit, ..)| unit.length * size));
        units.par_iter().zip(outputs).for_each(|((unit, tiles, _), output)| {
            for tile in tiles {
                let mut quantized = self.dropped(&weights, *unit, tile);
                if let Some(affine) = affine {
                    quantize_in_place(&mut quantized, affine);
                }
                let (rows, keys) = (tile.queries.len(), tile.keys.len());
                let values = self.part(value, *unit, &tile.keys);
                let out = &mut output[tile.queries.start * size..tile.queries.end * size];
                let out = ViewMut::new(out, rows, size);
                multiply(out, View::new(&quantized, rows, keys), values, 1.0, false, Threads::One);
            }
        });
        (at.interleave(&context), Saved { weights: weights.into(), affine })
    }

    fn shape(&self) -> [usize; 2] {
        [self.attention.tokens, self.attention.hidden]
    }

    /// With the attention weights P, the factors of dropout D, `R = quantize(P∘D)`, the straight-through
    /// estimator I (1 inside the range, 0 where values are clipped) and the gradient of the output G: `dV = Rᵀ G`,
    /// `dP = (G Vᵀ)∘I∘D`; dS, dQ and dK as without quantization; the gradient of a bias is the sum of dS over its pairs.
    fn backward(
        &self,
        [query, key, value, table, pairs]: [&[f32]; 5],
        saved: &Saved,
        gradient: &[f32],
        wanted: [bool; 5],
    ) -> [Option<Vec<f32>>; 5] {
        let at = &self.attention;
        let units = self.units();
        let size = at.size();
        let buffer = || vec![0.0; at.tokens * at.hidden];
        let (mut dq, mut dk, mut dv) = (buffer(), buffer(), buffer());
        let mut of_pairs = vec![0.0; pairs.len()];
        let lengths = units.iter().map(|(unit, ..)| unit.length * size);
        let outputs: Vec<_> = split(&mut dq, lengths.clone())
            .into_iter()
            .zip(split(&mut dk, lengths.clone()))
            .zip(split(&mut dv, lengths))
            .zip(split(
                &mut of_pairs,
                units.iter().map(|(_, _, size)| if pairs.is_empty() { 0 } else { *size }),
            ))
            .collect();
        let of_unit = |((unit, tiles, _), (((dq, dk), dv), of_pairs)): (&Unit, Outputs)| {
            let mut sums = vec![0.0; if self.buckets.is_some() { table.len() / at.heads } else { 0 }];
            for tile in tiles {
                let (rows, keys) = (tile.queries.len(), tile.keys.len());
                let weights = &saved.weights[unit.weights + tile.weights..][..tile.size()];
                let g = self.part(gradient, *unit, &tile.queries);
                let mut ds = vec![0.0; tile.size()];
                let values = self.part(value, *unit, &tile.keys);
                multiply(ViewMut::new(&mut ds, rows, keys), g, values.t(), 1.0, false, Threads::One);
                let mut quantized = self.dropped(&saved.weights, *unit, tile);
                if let Some(affine) = saved.affine {
                    straight_through(&mut ds, &quantized, affine);
                    quantize_in_place(&mut quantized, affine);
                }
                let of_keys = tile.keys.start * size..tile.keys.end * size;
                let dv = ViewMut::new(&mut dv[of_keys.clone()], keys, size);
                multiply(dv, View::new(&quantized, rows, keys).t(), g, 1.0, true, Threads::One);
                self.drop(&mut ds, *unit, tile);
                softmax_backward(&mut ds, weights, keys);
                if !of_pairs.is_empty() {
                    of_pairs[tile.weights..tile.weights + tile.size()].copy_from_slice(&ds);
                }
                if let Some(buckets) = &self.buckets {
                    for (query, row) in tile.queries.clone().zip(ds.chunks_exact(keys)) {
                        for (d, bucket) in row.iter().zip(buckets.row(query, tile.keys.clone())) {
                            sums[*bucket as usize] += d;
                        }
                    }
                }
                let (q, k) = (self.part(query, *unit, &tile.queries), self.part(key, *unit, &tile.keys));
                let ds = View::new(&ds, rows, keys);
                let dq = &mut dq[tile.queries.start * size..tile.queries.end * size];
                multiply(ViewMut::new(dq, rows, size), ds, k, at.scale(), false, Threads::One);
                let dk = ViewMut::new(&mut dk[of_keys], keys, size);
                multiply(dk, ds.t(), q, at.scale(), true, Threads::One);
            }
            sums
        };
        let sums: Vec<Vec<f32>> = units.par_iter().zip(outputs).map(of_unit).collect();
        let of_table = || {
            let mut gradient = vec![0.0; table.len()];
            for ((unit, ..), sums) in units.iter().zip(&sums) {
                for (bucket, sum) in sums.iter().enumerate() {
                    gradient[bucket * at.heads + unit.head] += sum;
                }
            }
            gradient
        };
        let table = wanted[3].then(of_table);
        let [dq, dk, dv] =
            [(0, dq), (1, dk), (2, dv)].map(|(i, d): (usize, Vec<f32>)| wanted[i].then(|| at.interleave(&d)));
        [dq, dk, dv, table, wanted[4].then_some(of_pairs)]
    }
}
