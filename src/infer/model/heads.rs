//! The stages of the heads: outputs for each token, or for each sequence.

use super::buffers::{LayerBuffers, Scratch};
use super::epilogue::{Store, activate};
use super::linear::{Linear, Sums, Tile};
use super::load::{HeadLayers, HeadTransform, Model};
use super::shared::Shared;
use super::stages::normalize;
use super::tiling::{MAX_WIDTH, Span, Tiling};
use crate::infer::file::encoder::Pooling;
use crate::infer::file::layout::Head;
use crate::infer::kernel::quantize::{Layout, TokenScale, pack};
use crate::infer::simd::{Floats, LANES, Quads, Simd, Work};

/// The number of outputs that are computed together.
const TOGETHER: usize = 4;

/// The outputs of a tile of tokens, as for question answering.
pub(super) struct TokenOutputs<'a> {
    pub(super) model: &'a Model,
    pub(super) tiling: &'a Tiling,
    pub(super) tile: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) logits: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for TokenOutputs<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let TokenOutputs { model, tiling, tile, hidden, logits, scratch } = self;
        let HeadLayers { transform, output: Some(output), .. } = &model.head else { return };
        let width = model.encoder.hidden;
        let groups = tiling.tile(tile);
        let count = groups.len();
        // SAFETY: the last stage only reads hidden states.
        let mut x = unsafe { hidden.read(groups.start * width..groups.end * width) };
        let Scratch { sums, layer, pooled, .. } = scratch;
        let LayerBuffers { tile, bytes, scales, .. } = layer;
        if let Some(transform) = transform {
            tile[..x.len()].copy_from_slice(x);
            apply_transform(simd, model, transform, count, tile, pooled, (sums, bytes, scales));
            x = &tile[..x.len()];
        }
        each_output(simd, output, x, count, (sums, bytes, scales), |row, values| {
            let first = row * tiling.groups + groups.start;
            // SAFETY: this tile's task alone has its parts.
            unsafe { logits.part(first..first + count) }.copy_from_slice(values);
        });
    }
}

/// The outputs of up to 64 sequences with one in each lane, as for sequence classification.
pub(super) struct SequenceOutputs<'a> {
    pub(super) model: &'a Model,
    pub(super) tiling: &'a Tiling,
    pub(super) part: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) logits: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for SequenceOutputs<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let SequenceOutputs { model, tiling, part, hidden, logits, scratch } = self;
        let HeadLayers { head, pooling, transform, output } = &model.head;
        let width = model.encoder.hidden;
        let first = part * LANES * MAX_WIDTH;
        let spans = &tiling.spans[first..(first + LANES * MAX_WIDTH).min(tiling.spans.len())];
        let count = spans.len().div_ceil(LANES);
        let Scratch { sums, layer, pooled, .. } = scratch;
        let LayerBuffers { tile, bytes, scales, .. } = layer;
        tile.fill(Floats::default());
        for (i, span) in spans.iter().enumerate() {
            let to = |feature: usize| (feature * count + i / LANES, i % LANES);
            match pooling {
                Pooling::First => one_token(tiling, *span, (0, width), hidden, tile, to),
                Pooling::Last => one_token(tiling, *span, (span.tokens - 1, width), hidden, tile, to),
                Pooling::Mean => {
                    let share = 1.0 / span.tokens as f32;
                    all_tokens(tiling, *span, width, hidden, |feature, states| {
                        let (group, lane) = to(feature);
                        tile[group].0[lane] += share * states.iter().sum::<f32>();
                    });
                }
                Pooling::Max => {
                    (0..width).map(to).for_each(|(group, lane)| tile[group].0[lane] = f32::NEG_INFINITY);
                    all_tokens(tiling, *span, width, hidden, |feature, states| {
                        let (group, lane) = to(feature);
                        let most = &mut tile[group].0[lane];
                        *most = states.iter().fold(*most, |most, x| most.max(*x));
                    });
                }
            }
        }
        if let Some(transform) = transform {
            apply_transform(simd, model, transform, count, tile, pooled, (sums, bytes, scales));
        }
        let total = tiling.spans.len().div_ceil(LANES);
        let keep = |row: usize, values: &[Floats]| {
            let at = row * total + part * MAX_WIDTH;
            // SAFETY: these sequences are this task's.
            unsafe { logits.part(at..at + count) }.copy_from_slice(values);
        };
        if let Head::Embedding { normalize: true, .. } = head {
            divide_by_norm(simd, &mut tile[..width * count], count);
        }
        match output {
            Some(output) => each_output(simd, output, tile, count, (sums, bytes, scales), keep),
            None => (0..width).for_each(|row| keep(row, &tile[row * count..(row + 1) * count])),
        }
    }
}

/// Copies the hidden state of a token of a sequence; `to` is the group and the lane of a feature.
fn one_token(
    tiling: &Tiling,
    span: Span,
    (token, width): (usize, usize),
    hidden: &Shared<'_, Floats>,
    tile: &mut [Floats],
    to: impl Fn(usize) -> (usize, usize),
) {
    let (group, from) = (span.first + token / LANES, token % LANES);
    let groups = tiling.tile(group / tiling.width);
    // SAFETY: the last stage only reads hidden states.
    let x = unsafe { hidden.read(groups.start * width..groups.end * width) };
    for (feature, state) in x.iter().skip(group - groups.start).step_by(groups.len()).enumerate() {
        let (group, lane) = to(feature);
        tile[group].0[lane] = state.0[from];
    }
}

/// Passes the hidden states of the tokens of a sequence to `each`, up to sixteen of a feature at a time.
fn all_tokens(
    tiling: &Tiling,
    span: Span,
    width: usize,
    hidden: &Shared<'_, Floats>,
    mut each: impl FnMut(usize, &[f32]),
) {
    for (index, piece) in tiling.pieces(span) {
        let groups = tiling.tile(index);
        // SAFETY: the last stage only reads hidden states.
        let x = unsafe { hidden.read(groups.start * width..groups.end * width) };
        for group in piece {
            let tokens = (span.tokens - group * LANES).min(LANES);
            let states = x.iter().skip(span.first + group - groups.start).step_by(groups.len());
            states.enumerate().for_each(|(feature, state)| each(feature, &state.0[..tokens]));
        }
    }
}

/// Divides each column of a tile by its Euclidean norm (`torch.nn.functional.normalize`).
#[inline(always)]
fn divide_by_norm<S: Simd>(simd: S, tile: &mut [Floats], count: usize) {
    for group in 0..count {
        let mut squares = simd.splat(0.0);
        for x in tile.iter().skip(group).step_by(count) {
            let x = simd.load(x);
            squares = simd.fma(x, x, squares);
        }
        let norm = simd.max(simd.sqrt(squares), simd.splat(1e-12));
        for x in tile.iter_mut().skip(group).step_by(count) {
            simd.store(simd.div(simd.load(x), norm), x);
        }
    }
}

/// Working memory of a layer: its sums, its quantized inputs and their scales.
type Space<'a> = (&'a mut Sums, &'a mut [Quads], &'a mut [TokenScale]);

/// Applies the layer before the output layer to a tile `[hidden][count]`, in place.
#[inline(always)]
fn apply_transform<S: Simd>(
    simd: S,
    model: &Model,
    transform: &HeadTransform,
    count: usize,
    tile: &mut [Floats],
    pooled: &mut [Floats],
    (sums, bytes, scales): Space<'_>,
) {
    let HeadTransform { dense, activation, norm } = transform;
    let width = dense.rows;
    let (pooled, normal) = pooled.split_at_mut(width);
    if let Some(quantization) = dense.input {
        pack(simd, quantization, width, tile, &Layout::tile(count), bytes, scales);
    }
    for group in 0..count {
        let input = Tile { floats: tile, bytes, scales, width: count };
        let mut keep = Store { out: &mut *pooled, width: 1, offset: 0 };
        dense.apply(simd, 0..width, input, group..group + 1, sums, &mut keep);
        pooled.iter_mut().for_each(|lanes| activate(simd, *activation, lanes));
        let result = match norm {
            None => &*pooled,
            Some(norm) => {
                normalize(simd, model, norm, pooled, 1, normal);
                &*normal
            }
        };
        for (to, lanes) in tile.iter_mut().skip(group).step_by(count).zip(result) {
            *to = *lanes;
        }
    }
}

/// Computes the outputs of a layer for a tile `[inputs][count]`, and passes each to `keep`.
#[inline(always)]
fn each_output<S: Simd>(
    simd: S,
    output: &Linear,
    tile: &[Floats],
    count: usize,
    (sums, bytes, scales): Space<'_>,
    mut keep: impl FnMut(usize, &[Floats]),
) {
    if let Some(quantization) = output.input {
        pack(simd, quantization, output.columns, tile, &Layout::tile(count), bytes, scales);
    }
    for first in (0..output.rows).step_by(TOGETHER) {
        let rows = first..(first + TOGETHER).min(output.rows);
        let mut few = [Floats::default(); TOGETHER * MAX_WIDTH];
        let input = Tile { floats: tile, bytes, scales, width: count };
        let mut store = Store { out: &mut few, width: count, offset: 0 };
        output.apply(simd, rows.clone(), input, 0..count, sums, &mut store);
        for (row, values) in rows.zip(few.chunks(count)) {
            keep(row, values);
        }
    }
}
