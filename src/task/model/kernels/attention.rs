//! Multi-head self-attention with its projections, as one operation.
//!
//! On the CPU the sequences of a batch are packed without padding. Tokens attend within their sequence, and every
//! pair of a head and a sequence is one unit of parallel work.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bool, Tensor, TensorData, activation};
use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::autocast;
use super::dropout::Dropout;
use super::gemm::{Threads, View, ViewMut, multiply, product};
use super::linear::{affine, column_sums, linear, weight_gradient};
use super::math::{dot, exp, max, sum};
use super::op::{CpuOp, run};
use super::position_terms::{PositionTerms, outside, plain_bias};

/// Which rows of `[tokens, hidden]` belong to which sequence of a batch.
#[derive(Clone, Debug)]
pub enum Sequences {
    /// Without padding: sequence i has the rows `starts[i]..starts[i + 1]`.
    Packed(Arc<[usize]>),
    /// Every sequence has `length` rows; those after the first `lengths[i]` are padding.
    Padded {
        /// The number of tokens of each sequence, without padding.
        lengths: Arc<[usize]>,
        /// The number of rows of every sequence.
        length: usize,
    },
}

/// The weights `[in, out]` and biases `[out]` of the projections, `in = out = hidden`.
#[derive(Clone, Debug)]
pub struct Projections {
    /// Queries.
    pub query: (Tensor<2>, Tensor<1>),
    /// Keys.
    pub key: (Tensor<2>, Tensor<1>),
    /// Values.
    pub value: (Tensor<2>, Tensor<1>),
}

/// Multi-head self-attention `softmax(Q Kᵀ / √d) V` of `x`, `[tokens, hidden]`, without the output projection.
pub fn self_attention(
    x: Tensor<2>,
    projections: Projections,
    heads: usize,
    sequences: &Sequences,
    dropout: Dropout,
) -> Tensor<2> {
    match sequences {
        Sequences::Padded { lengths, length } => {
            plain_self_attention(x, projections, heads, lengths, *length, dropout)
        }
        Sequences::Packed(starts) => {
            let [tokens, hidden] = x.dims();
            let op = Attention { tokens, hidden, heads, starts: starts.clone(), dropout };
            let Projections { query, key, value } = projections;
            let inputs = [
                x.into(),
                query.0.into(),
                query.1.into(),
                key.0.into(),
                key.1.into(),
                value.0.into(),
                value.1.into(),
            ];
            run(op, inputs)
        }
    }
}

/// [`self_attention`] in Burn's operations: for other devices, and to test the fused form.
fn plain_self_attention(
    x: Tensor<2>,
    projections: Projections,
    heads: usize,
    lengths: &[usize],
    length: usize,
    dropout: Dropout,
) -> Tensor<2> {
    let project = |(w, b)| linear(x.clone(), w, b);
    let Projections { query, key, value } = projections;
    let projected = [query, key, value].map(project);
    plain_products(projected, heads, lengths, length, dropout, &PositionTerms::default(), |weights| weights)
}

/// `f(softmax(Q Kᵀ / √d + B)) V` of queries, keys and values `[batch * length, hidden]`, in Burn's operations. `f` gets
/// the attention weights, `[batch * heads * length, length]`, after dropout. For sequences of full length the
/// dropout mask equals that of the packed form.
pub(super) fn plain_products(
    projected: [Tensor<2>; 3],
    heads: usize,
    lengths: &[usize],
    length: usize,
    dropout: Dropout,
    terms: &PositionTerms,
    f: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let [_, hidden] = projected[0].dims();
    let batch = lengths.len();
    let size = hidden / heads;
    let device = projected[0].device();
    let split = |t: Tensor<2>| t.reshape([batch, length, heads, size]).swap_dims(1, 2);
    let [query, key, value] = projected.map(split);
    let scores = autocast::matmul(query, key.swap_dims(2, 3)) / (size as f64).sqrt();
    let scores = match &terms.bias {
        Some(bias) => scores + plain_bias(bias, length),
        None => scores,
    };
    let square = [batch, heads, length, length];
    let scores = match &terms.pairs {
        Some(pairs) => scores + pairs.clone().reshape(square),
        None => scores,
    };
    let scores = match terms.window {
        Some(window) => scores.mask_fill(outside(window, length, &device).expand(square), -1e9),
        None => scores,
    };
    let padding: Vec<bool> = lengths.iter().flat_map(|n| (0..length).map(move |i| i >= *n)).collect();
    let padding = Tensor::<4, Bool>::from_data(TensorData::new(padding, [batch, 1, 1, length]), &device);
    let scores = scores.mask_fill(padding.expand(square), -1e9);
    let mut weights = activation::softmax(scores, 3);
    if dropout.is_active() {
        let square = length * length;
        let factor = |head: usize, sequence: usize, i: usize| {
            dropout.factor(((head * batch + sequence) * square + i) as u32)
        };
        let factors: Vec<f32> = (0..batch)
            .flat_map(|s| (0..heads).flat_map(move |h| (0..square).map(move |i| (h, s, i))))
            .map(|(h, s, i)| factor(h, s, i))
            .collect();
        let shape = [batch, heads, length, length];
        weights = weights * Tensor::from_data(TensorData::new(factors, shape), &device);
    }
    let weights = f(weights.reshape([batch * heads * length, length]));
    let weights = weights.reshape([batch, heads, length, length]);
    autocast::matmul(weights, value).swap_dims(1, 2).reshape([batch * length, hidden])
}

/// The fused operation on packed sequences.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    pub(super) tokens: usize,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) starts: Arc<[usize]>,
    pub(super) dropout: Dropout,
}

/// Queries, keys and values `[tokens, hidden]`, and the attention weights before dropout: by head, then by
/// sequence, `[length, length]` each.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    query: Arc<Vec<f32>>,
    key: Arc<Vec<f32>>,
    value: Arc<Vec<f32>>,
    weights: Arc<Vec<f32>>,
}

/// One head of one sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadSequence {
    pub(super) head: usize,
    pub(super) start: usize,
    pub(super) length: usize,
    /// The index of the first of its attention weights.
    pub(super) weights: usize,
}

impl Attention {
    /// The size of a head, d.
    pub(super) fn size(&self) -> usize {
        self.hidden / self.heads
    }

    /// 1 / √d.
    pub(super) fn scale(&self) -> f32 {
        1.0 / (self.size() as f32).sqrt()
    }

    /// All pairs of a head and a sequence, ordered by head.
    pub(super) fn units(&self) -> Vec<HeadSequence> {
        let mut weights = 0;
        let mut units = Vec::with_capacity(self.heads * self.starts.len());
        for head in 0..self.heads {
            for bounds in self.starts.windows(2) {
                let length = bounds[1] - bounds[0];
                units.push(HeadSequence { head, start: bounds[0], length, weights });
                weights += length * length;
            }
        }
        units
    }

    /// The part of `[tokens, hidden]` that belongs to a head and a sequence, `[length, d]`.
    fn rows<'a>(&self, data: &'a [f32], unit: HeadSequence) -> View<'a> {
        self.part(data, unit, 0..unit.length)
    }

    /// The same for a range of the sequence's tokens.
    pub(super) fn part<'a>(&self, data: &'a [f32], unit: HeadSequence, rows: Range<usize>) -> View<'a> {
        let size = self.size();
        let first = (unit.start + rows.start) * self.hidden + unit.head * size;
        View::strided(data, first, [rows.len(), size], [self.hidden, 1])
    }

    /// Transposes `[heads, tokens, d]` to `[tokens, heads, d]`.
    pub(super) fn interleave(&self, head_major: &[f32]) -> Vec<f32> {
        let size = self.size();
        let mut rows = vec![0.0; self.tokens * self.hidden];
        rows.par_chunks_mut(self.hidden).enumerate().for_each(|(token, row)| {
            for (head, part) in row.chunks_exact_mut(size).enumerate() {
                let at = (head * self.tokens + token) * size;
                part.copy_from_slice(&head_major[at..at + size]);
            }
        });
        rows
    }
}

impl CpuOp<7> for Attention {
    type Saved = Saved;

    fn forward(&self, [x, wq, bq, wk, bk, wv, bv]: [&[f32]; 7]) -> (Vec<f32>, Saved) {
        let project = |w, b| affine(x, w, b, self.tokens, self.hidden, self.hidden);
        let (query, key, value) = (project(wq, bq), project(wk, bk), project(wv, bv));
        let units = self.units();
        let squares = units.iter().map(|t| t.length * t.length);
        let mut weights = vec![0.0; squares.clone().sum()];
        let mut context = vec![0.0; self.tokens * self.hidden];
        let size = self.size();
        let areas = split(&mut weights, squares);
        let outputs = split(&mut context, units.iter().map(|t| t.length * size));
        units.par_iter().zip(areas).zip(outputs).for_each(|((unit, weights), output)| {
            let n = unit.length;
            let (q, k, v) = (self.rows(&query, *unit), self.rows(&key, *unit), self.rows(&value, *unit));
            multiply(ViewMut::new(weights, n, n), q, k.t(), self.scale(), false, Threads::One);
            softmax(weights, n);
            let output = ViewMut::new(output, n, size);
            if self.dropout.is_active() {
                let mut dropped = weights.to_vec();
                drop_weights(&mut dropped, self.dropout, unit.weights as u32);
                multiply(output, View::new(&dropped, n, n), v, 1.0, false, Threads::One);
            } else {
                multiply(output, View::new(weights, n, n), v, 1.0, false, Threads::One);
            }
        });
        let output = self.interleave(&context);
        let saved =
            Saved { query: query.into(), key: key.into(), value: value.into(), weights: weights.into() };
        (output, saved)
    }

    fn shape(&self) -> [usize; 2] {
        [self.tokens, self.hidden]
    }

    fn backward(
        &self,
        [x, wq, _, wk, _, wv, _]: [&[f32]; 7],
        saved: &Saved,
        gradient: &[f32],
        wanted: [bool; 7],
    ) -> [Option<Vec<f32>>; 7] {
        let units = self.units();
        let size = self.size();
        let buffer = || vec![0.0; self.tokens * self.hidden];
        let (mut dq, mut dk, mut dv) = (buffer(), buffer(), buffer());
        let lengths = units.iter().map(|t| t.length * size);
        let outputs: Vec<_> = split(&mut dq, lengths.clone())
            .into_iter()
            .zip(split(&mut dk, lengths.clone()))
            .zip(split(&mut dv, lengths))
            .collect();
        units.par_iter().zip(outputs).for_each(|(unit, ((dq, dk), dv))| {
            self.unit_backward(*unit, saved, gradient, dq, dk, dv);
        });
        let (dq, dk, dv) = (self.interleave(&dq), self.interleave(&dk), self.interleave(&dv));
        let (rows, hidden) = (self.tokens, self.hidden);
        let dx = wanted[0].then(|| {
            let back = |g, w| (View::new(g, rows, hidden), View::new(w, hidden, hidden).t());
            let (g, w) = back(&dq, wq);
            let mut dx = product(g, w, Threads::All);
            for (g, w) in [back(&dk, wk), back(&dv, wv)] {
                multiply(ViewMut::new(&mut dx, rows, hidden), g, w, 1.0, true, Threads::All);
            }
            dx
        });
        let weight = |at: usize, g: &[f32]| wanted[at].then(|| weight_gradient(x, g, rows, hidden, hidden));
        let bias = |at: usize, g: &[f32]| wanted[at].then(|| column_sums(g, hidden));
        [dx, weight(1, &dq), bias(2, &dq), weight(3, &dk), bias(4, &dk), weight(5, &dv), bias(6, &dv)]
    }
}

impl Attention {
    /// With the attention weights P, the factors of dropout D and the gradient of the output G:
    /// `dV = (P∘D)ᵀ G`, `dP = (G Vᵀ)∘D`, `dS = P∘(dP - rowsum(dP∘P))`, `dQ = dS K / √d`, `dK = dSᵀ Q / √d`.
    fn unit_backward(
        &self,
        unit: HeadSequence,
        saved: &Saved,
        gradient: &[f32],
        dq: &mut [f32],
        dk: &mut [f32],
        dv: &mut [f32],
    ) {
        let n = unit.length;
        let size = self.size();
        let weights = &saved.weights[unit.weights..unit.weights + n * n];
        let g = self.rows(gradient, unit);
        let mut ds = vec![0.0; n * n];
        multiply(ViewMut::new(&mut ds, n, n), g, self.rows(&saved.value, unit).t(), 1.0, false, Threads::One);
        if self.dropout.is_active() {
            let mut dropped = weights.to_vec();
            drop_weights(&mut dropped, self.dropout, unit.weights as u32);
            multiply(ViewMut::new(dv, n, size), View::new(&dropped, n, n).t(), g, 1.0, false, Threads::One);
            drop_weights(&mut ds, self.dropout, unit.weights as u32);
        } else {
            multiply(ViewMut::new(dv, n, size), View::new(weights, n, n).t(), g, 1.0, false, Threads::One);
        }
        softmax_backward(&mut ds, weights, n);
        let (q, k) = (self.rows(&saved.query, unit), self.rows(&saved.key, unit));
        let ds = View::new(&ds, n, n);
        multiply(ViewMut::new(dq, n, size), ds, k, self.scale(), false, Threads::One);
        multiply(ViewMut::new(dk, n, size), ds.t(), q, self.scale(), false, Threads::One);
    }
}

/// Splits a slice into consecutive parts of the given sizes.
pub(super) fn split(mut data: &mut [f32], sizes: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    let mut parts = Vec::new();
    for size in sizes {
        let (part, rest) = data.split_at_mut(size);
        parts.push(part);
        data = rest;
    }
    parts
}

#[inline(always)]
#[pulp::with_simd(softmax = Arch::new())]
pub(super) fn softmax_simd<'a, S: Simd>(_simd: S, rows: &'a mut [f32], width: usize) {
    for row in rows.chunks_exact_mut(width) {
        let greatest = max(row);
        for v in row.iter_mut() {
            *v = exp(*v - greatest);
        }
        let inverse = 1.0 / sum(row);
        for v in row.iter_mut() {
            *v *= inverse;
        }
    }
}

#[inline(always)]
#[pulp::with_simd(softmax_backward = Arch::new())]
pub(super) fn softmax_backward_simd<'a, S: Simd>(
    _simd: S,
    gradient: &'a mut [f32],
    weights: &'a [f32],
    width: usize,
) {
    for (g, p) in gradient.chunks_exact_mut(width).zip(weights.chunks_exact(width)) {
        let along = dot(g, p);
        for (g, p) in g.iter_mut().zip(p) {
            *g = p * (*g - along);
        }
    }
}

#[inline(always)]
#[pulp::with_simd(drop_weights = Arch::new())]
pub(super) fn drop_weights_simd<'a, S: Simd>(_simd: S, values: &'a mut [f32], dropout: Dropout, first: u32) {
    for (i, v) in values.iter_mut().enumerate() {
        *v *= dropout.factor(first.wrapping_add(i as u32));
    }
}
