//! Disentangled attention: products of queries and keys with projected embeddings of distances (DeBERTa, arXiv 2006.03654).
//!
//! The embeddings have a row for each distance, or for a range of far distances. Both products are computed for the rows
//! that occur between a block of queries and the keys in hand only: `Q K'ᵀ` once for a block, `K Q'ᵀ` for the few keys
//! whose scores are computed together. Then each pair of a query and a key takes the two elements of its row.

use std::ops::Range;

use super::positional::{Block, Positional};
use super::workspace::{Head, Operands, Workspace};
use crate::infer::kernel::product::{Dense, Float32, Panel, dense};
use crate::infer::kernel::quantize::{QParams, Quantizer};
use crate::infer::simd::{Floats, LANES, Simd};

/// The row of the embeddings of each distance `query − key`.
#[derive(Debug, Default)]
pub struct Rows {
    /// The row of the distance d at index `d + zero`; padded for the lanes of the last group.
    of: Vec<u32>,
    /// Whether the sixteen distances from this one on have consecutive rows.
    consecutive: Vec<bool>,
    zero: usize,
}

impl Rows {
    /// The rows of the distances `−(n − 1)..=n − 1`.
    pub fn new(of: &[u32]) -> Rows {
        let last = of.last().copied().unwrap_or_default();
        let padded: Vec<u32> = of.iter().copied().chain([last; LANES]).collect();
        let is_run = |rows: &[u32]| rows.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        Rows { consecutive: padded.windows(LANES).map(is_run).collect(), of: padded, zero: of.len() / 2 }
    }

    /// The index of the distance between the first query of a group and a key; sixteen indices follow it.
    #[inline(always)]
    fn at(&self, group: usize, key: usize) -> usize {
        self.zero + group * LANES - key
    }

    /// The range of the rows of the distances between the queries of `count` groups from `first` on and some keys.
    #[inline(always)]
    fn between(&self, first: usize, count: usize, keys: &Range<usize>) -> Range<usize> {
        let from = self.at(first, keys.end - 1);
        let to = self.at(first + count, keys.start).min(self.of.len());
        let (least, most) = self.of[from..to]
            .iter()
            .fold((u32::MAX, 0), |(least, most), row| (least.min(*row), most.max(*row)));
        least as usize..most as usize + 1
    }
}

/// The projected embeddings of distances for one head, `[features][groups]` with the rows in the lanes.
#[derive(Clone, Copy, Debug)]
pub struct Distances<'a> {
    /// K', which is multiplied with the queries; empty without this term.
    pub keys: &'a [Floats],
    /// Q', which is multiplied with the keys; empty without this term.
    pub queries: &'a [Floats],
    /// The number of groups of rows.
    pub groups: usize,
    /// The row of each distance.
    pub rows: &'a Rows,
}

impl Positional for Distances<'_> {
    const HAS_PRODUCTS: bool = true;

    #[inline(always)]
    fn count(self) -> usize {
        1 + usize::from(!self.keys.is_empty()) + usize::from(!self.queries.is_empty())
    }

    /// Replaces queries and keys by what their integers represent: products with embeddings of distances are in float32, of
    /// the operands of `QKᵀ`.
    #[inline(always)]
    fn prepare<S: Simd>(self, simd: S, head: &Head, space: &mut Workspace) {
        if let Operands::Static { left, right } = head.scores {
            let count = head.features * head.groups;
            requantize(simd, left, &mut space.queries[..count]);
            requantize(simd, right, &mut space.keys[..count]);
        }
    }

    #[inline(always)]
    fn add<S: Simd>(self, _: S, score: S::F, _: usize, _: usize) -> S::F {
        score
    }

    #[inline(always)]
    fn keys(self, _: usize, _: usize, tokens: usize) -> Range<usize> {
        0..tokens
    }

    #[inline(always)]
    fn begin<S: Simd>(self, simd: S, head: &Head, space: &mut Workspace, block: &Block) {
        if self.keys.is_empty() {
            return;
        }
        let Block { first, count, ref keys } = *block;
        let rows = self.rows.between(first, count, keys);
        let matrix = Dense {
            weights: Floats::lanes(self.keys),
            row: 1,
            step: self.groups * LANES,
            steps: head.features,
        };
        let panel = Panel { steps: &space.queries, width: head.groups, groups: first..first + count };
        space.first_row = rows.start;
        dense::<S, Float32>(simd, matrix, rows, &panel, &mut space.of_queries);
    }

    #[inline(always)]
    fn products<S: Simd>(
        self,
        simd: S,
        head: &Head,
        space: &mut Workspace,
        block: &Block,
        keys: Range<usize>,
    ) {
        let Block { first, count, .. } = *block;
        let rows = self.rows.between(first, count, &keys);
        let groups = rows.start / LANES..rows.end.div_ceil(LANES);
        if !self.queries.is_empty() {
            let matrix = Dense {
                weights: Floats::lanes(&space.keys),
                row: 1,
                step: head.groups * LANES,
                steps: head.features,
            };
            let panel = Panel { steps: self.queries, width: self.groups, groups: groups.clone() };
            dense::<S, Float32>(simd, matrix, keys.clone(), &panel, &mut space.of_keys);
        }
        let of_queries = Floats::lanes(&space.of_queries);
        for (i, key) in keys.enumerate() {
            let of_key = match self.queries.is_empty() {
                true => &[][..],
                false => Floats::lanes(&space.of_keys[i * groups.len()..(i + 1) * groups.len()]),
            };
            for g in 0..count {
                let at = self.rows.at(first + g, key);
                let rows = &self.rows.of[at..at + LANES];
                let is_run = self.rows.consecutive[at];
                let mut sum = simd.splat(0.0);
                if !self.queries.is_empty() {
                    let lanes = gather(rows, is_run, of_key, groups.start * LANES);
                    sum = simd.load(&lanes);
                }
                if !self.keys.is_empty() {
                    let from = &of_queries[g * LANES..];
                    let lanes = diagonal(rows, is_run, from, count * LANES, space.first_row);
                    sum = simd.add(sum, simd.load(&lanes));
                }
                simd.store(sum, &mut space.pairs[i * count + g]);
            }
        }
    }
}

/// The elements of a key in these rows; `first` is the row of the first of `values`.
#[inline(always)]
fn gather(rows: &[u32], is_run: bool, values: &[f32], first: usize) -> Floats {
    let mut lanes = Floats::default();
    if is_run {
        let at = rows[0] as usize - first;
        lanes.0.copy_from_slice(&values[at..at + LANES]);
    } else {
        for (lane, row) in lanes.0.iter_mut().zip(rows) {
            *lane = values[*row as usize - first];
        }
    }
    lanes
}

/// The elements of sixteen queries, each in its own row of `values`; a row has `width` elements, and `first` is the first row.
#[inline(always)]
fn diagonal(rows: &[u32], is_run: bool, values: &[f32], width: usize, first: usize) -> Floats {
    let mut lanes = Floats::default();
    if is_run {
        let values = &values[(rows[0] as usize - first) * width..];
        for (lane, value) in lanes.0.iter_mut().zip(values.iter().step_by(width + 1)) {
            *lane = *value;
        }
    } else {
        for (i, (lane, row)) in lanes.0.iter_mut().zip(rows).enumerate() {
            *lane = values[(*row as usize - first) * width + i];
        }
    }
    lanes
}

/// Replaces values by those that their quantized integers represent.
#[inline(always)]
fn requantize<S: Simd>(simd: S, by: QParams, values: &mut [Floats]) {
    let quantizer = Quantizer::new(simd, by);
    for value in values {
        let whole = simd.to_float(quantizer.quantize(simd, simd.load(value)));
        let represented = simd.mul(simd.sub(whole, simd.splat(by.zero as f32)), simd.splat(by.scale));
        simd.store(represented, value);
    }
}
