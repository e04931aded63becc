//! The stages of the forward pass. A task of a stage computes one tile of tokens, or one head of one sequence, on one
//! thread; the tasks of a stage write to disjoint ranges of the session's buffers.

use super::buffers::{Scratch, SharedInput};
use super::epilogue::{Activate, ActivateGated, AddResidual, Gelu, GeluQuantize, Store};
use super::linear::Tile;
use super::load::{Layer, Model, Norm};
use super::shared::Shared;
use super::tiling::{Sequence, Span, Tiling};
use crate::infer::kernel::attention::{Head, Rotary, Terms, attend};
use crate::infer::kernel::norm::layer_norm;
use crate::infer::kernel::quantize::{InputQuantization, Layout, TokenScale, pack, static_scale};
use crate::infer::simd::{Floats, LANES, Quads, Simd, Work};
use crate::params::Activation;

/// Word, position and token type embeddings of a tile, their layer normalization, and their projection to the hidden
/// size.
pub(super) struct Embed<'a> {
    pub(super) model: &'a Model,
    pub(super) tiling: &'a Tiling,
    pub(super) sequences: &'a [Sequence<'a>],
    pub(super) tile: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Embed<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Embed { model, tiling, sequences, tile, hidden, inputs, scratch } = self;
        let (width, hidden_size) = (model.encoder.embedding, model.encoder.hidden);
        let groups = tiling.tile(tile);
        let count = groups.len();
        for (g, group) in groups.clone().enumerate() {
            let after = tiling.spans.partition_point(|s| s.first <= group);
            let (index, span) = (after - 1, tiling.spans[after - 1]);
            let first = (group - span.first) * LANES;
            for (lane, row) in scratch.rows.chunks_mut(width).enumerate() {
                row.fill(0.0);
                let place = first + lane;
                if place < span.tokens {
                    let sequence = &sequences[index];
                    model.tables.words.add_row(sequence.ids[place] as usize, row);
                    if let Some(positions) = &model.tables.positions {
                        positions.add_row(model.encoder.first_position + place, row);
                    }
                    if let Some(types) = &model.tables.types {
                        let of_type = if model.encoder.types == 1 { 0 } else { sequence.types[place] };
                        types.add_row(of_type as usize, row);
                    }
                }
            }
            for (feature, to) in scratch.tile.iter_mut().skip(g).step_by(count).take(width).enumerate() {
                for (lane, value) in to.0.iter_mut().enumerate() {
                    *value = scratch.rows[lane * width + feature];
                }
            }
        }
        // SAFETY: this tile's task alone has its part.
        let out = unsafe { hidden.part(groups.start * hidden_size..groups.end * hidden_size) };
        match &model.projection {
            None => normalize(simd, model, &model.embedding_norm, &scratch.tile, count, out),
            Some(projection) => {
                let Scratch { sums, tile, bytes, scales, wide, .. } = scratch;
                normalize(simd, model, &model.embedding_norm, tile, count, wide);
                if let Some(quantization) = projection.input {
                    pack(simd, quantization, width, wide, &Layout::tile(count), bytes, scales);
                }
                let input = Tile { floats: wide, bytes, scales, width: count };
                let mut keep = Store { out: &mut *out, width: count, offset: 0 };
                projection.apply(simd, 0..hidden_size, input, 0..count, sums, &mut keep);
            }
        }
        if let Some(layer) = model.layers.first() {
            prepare_input(simd, model, layer, groups, out, inputs);
        }
    }
}

/// Layer normalization of a tile `[hidden][width]`.
#[inline(always)]
pub(super) fn normalize<S: Simd>(
    simd: S,
    model: &Model,
    norm: &Norm,
    tile: &[Floats],
    width: usize,
    out: &mut [Floats],
) {
    layer_norm(simd, tile, width, &norm.weight, &norm.bias, model.encoder.norm_epsilon, out);
}

/// The inputs of a layer's query, key and value projections.
pub(super) struct Inputs<'a> {
    /// The normalized hidden states, for each tile `[hidden][width]`; `None` if the projections take the hidden states.
    pub(super) normal: Option<Shared<'a, Floats>>,
    /// The quantized inputs.
    pub(super) quantized: &'a [SharedInput<'a>],
}

/// Prepares the inputs of a layer's projections from a tile of hidden states: layer normalization, if the layer begins
/// with it, and quantization.
#[inline(always)]
fn prepare_input<S: Simd>(
    simd: S,
    model: &Model,
    layer: &Layer,
    groups: std::ops::Range<usize>,
    tile: &[Floats],
    inputs: &Inputs<'_>,
) {
    let columns = layer.output.columns;
    let Some(normal) = &inputs.normal else { return quantize_input(simd, layer, groups, tile, inputs) };
    // SAFETY: this tile's task alone has its part.
    let out = unsafe { normal.part(groups.start * columns..groups.end * columns) };
    match &layer.input_norm {
        None => out.copy_from_slice(tile),
        Some(norm) => normalize(simd, model, norm, tile, groups.len(), out),
    }
    quantize_input(simd, layer, groups, out, inputs);
}

/// Quantizes a tile for the query, key and value projections of a layer.
#[inline(always)]
fn quantize_input<S: Simd>(
    simd: S,
    layer: &Layer,
    groups: std::ops::Range<usize>,
    tile: &[Floats],
    inputs: &Inputs<'_>,
) {
    let columns = layer.output.columns;
    let quads = columns.div_ceil(4);
    for (quantization, to) in layer.quantizations.iter().zip(inputs.quantized) {
        // SAFETY: this tile's task alone has its parts.
        let (bytes, scales) = unsafe {
            (to.bytes.part(groups.start * quads..groups.end * quads), to.scales.part(groups.clone()))
        };
        pack(simd, *quantization, columns, tile, &Layout::tile(groups.len()), bytes, scales);
    }
}

/// The query, key and value projections and the attention of one head, for one sequence.
pub(super) struct Attention<'a> {
    pub(super) model: &'a Model,
    pub(super) tiling: &'a Tiling,
    pub(super) layer: &'a Layer,
    /// The index of the layer.
    pub(super) index: usize,
    pub(super) span: Span,
    pub(super) head: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) rotary: Option<&'a Rotary>,
    pub(super) context: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Attention<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attention { model, tiling, layer, index, span, head, hidden, inputs, rotary, context, scratch } =
            self;
        let states = inputs.normal.as_ref().unwrap_or(hidden);
        let width = model.encoder.hidden;
        let quads = width.div_ceil(4);
        let features = width / model.encoder.heads;
        let rows = head * features..(head + 1) * features;
        let Scratch { space, sums, .. } = scratch;
        for (tile, piece) in tiling.pieces(span) {
            let whole = tiling.tile(tile);
            // SAFETY: in this stage, these buffers are only read.
            let floats = unsafe { states.read(whole.start * width..whole.end * width) };
            for (i, projection) in layer.projections.iter().enumerate() {
                let (bytes, scales): (&[Quads], &[TokenScale]) = match layer.quantized_input[i] {
                    None => (&[], &[]),
                    // SAFETY: as above.
                    Some(which) => unsafe {
                        (
                            inputs.quantized[which].bytes.read(whole.start * quads..whole.end * quads),
                            inputs.quantized[which].scales.read(whole.clone()),
                        )
                    },
                };
                let out = match i {
                    0 => &mut space.queries,
                    1 => &mut space.keys,
                    _ => &mut space.values,
                };
                let input = Tile { floats, bytes, scales, width: whole.len() };
                let first = span.first + piece.start - whole.start;
                let mut keep = Store { out, width: span.groups, offset: piece.start };
                projection.apply(simd, rows.clone(), input, first..first + piece.len(), sums, &mut keep);
            }
        }
        if let Some(rotary) = rotary {
            rotary.turn(simd, &mut space.queries, features, span.groups);
            rotary.turn(simd, &mut space.keys, features, span.groups);
        }
        let bias = model.position_bias.as_ref().map(|bias| bias.of_head(head));
        let distances = model.distances.as_ref().map(|of| of.of_head(index, head, features));
        let terms = Terms { bias, window: layer.window, distances };
        let terms = (bias.is_some() || layer.window.is_some() || distances.is_some()).then_some(terms);
        let head = Head {
            features,
            tokens: span.tokens,
            groups: span.groups,
            scores: layer.scores,
            context: layer.context,
        };
        let first = span.first * width + rows.start * span.groups;
        // SAFETY: this head of this sequence is this task's.
        let out = unsafe { context.part(first..first + features * span.groups) };
        attend(simd, head, terms, space, out);
    }
}

/// The rest of an encoder layer for one tile: attention output projection, feed-forward layer, and both residual
/// connections with layer normalization; after the last layer also the final normalization.
pub(super) struct FeedForward<'a> {
    pub(super) model: &'a Model,
    pub(super) tiling: &'a Tiling,
    pub(super) layer: &'a Layer,
    pub(super) next: Option<&'a Layer>,
    pub(super) tile: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) context: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for FeedForward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let FeedForward { model, tiling, layer, next, tile, hidden, inputs, context, scratch } = self;
        let width = model.encoder.hidden;
        let groups = tiling.tile(tile);
        let count = groups.len();
        let mut layout = Layout::tile(count);
        for (g, group) in groups.clone().enumerate() {
            let span = tiling.span_of(group);
            layout.base[g] = span.first * width + group - span.first;
            layout.stride[g] = span.groups;
        }
        // SAFETY: this tile's task alone has its part; contexts are only read in this stage.
        let (x, context) = unsafe {
            (hidden.part(groups.start * width..groups.end * width), context.read(0..tiling.groups * width))
        };
        let Scratch { sums, tile: apart, bytes, scales, wide, wide_bytes, gate: gated, normal, .. } = scratch;
        match layer.output.input {
            Some(quantization) => pack(simd, quantization, width, context, &layout, bytes, scales),
            None => gather(context, &layout, width, wide),
        }
        let input = Tile { floats: wide, bytes, scales, width: count };
        let mut add = AddResidual { residual: x, out: apart, width: count };
        layer.output.apply(simd, 0..width, input, 0..count, sums, &mut add);
        // With a normalization after the layer, hidden states are the normalized ones.
        let up_input: &[Floats] = match &layer.down_norm {
            Some(_) => {
                normalize(simd, model, &layer.output_norm, apart, count, x);
                x
            }
            None => {
                x.copy_from_slice(&apart[..width * count]);
                normalize(simd, model, &layer.output_norm, apart, count, normal);
                normal
            }
        };

        if let Some(quantization) = layer.up.input {
            pack(simd, quantization, width, up_input, &Layout::tile(count), bytes, scales);
        }
        let input = Tile { floats: up_input, bytes, scales, width: count };
        let inner = 0..layer.up.rows;
        if let Some(gate) = &layer.gate {
            // Both layers are rows of one matrix, with one quantization of their input.
            let mut keep = Store { out: &mut *gated, width: count, offset: 0 };
            gate.apply(simd, inner.clone(), input, 0..count, sums, &mut keep);
            let activation = model.encoder.activation;
            let mut activate = ActivateGated { activation, gate: gated, out: wide, width: count };
            layer.up.apply(simd, inner.clone(), input, 0..count, sums, &mut activate);
            if let Some(quantization) = layer.down.input {
                pack(simd, quantization, inner.end, wide, &Layout::tile(count), wide_bytes, scales);
            }
        } else {
            match (layer.down.input, model.encoder.activation) {
                (Some(InputQuantization::Static(qparams)), Activation::Gelu) => {
                    let mut gelu = GeluQuantize { qparams, out: wide_bytes, width: count };
                    layer.up.apply(simd, inner, input, 0..count, sums, &mut gelu);
                    for scale in &mut scales[..count] {
                        *scale = static_scale(simd, qparams);
                    }
                }
                (Some(InputQuantization::Dynamic), Activation::Gelu) => {
                    let mut gelu = Gelu { out: wide, width: count, for_bytes: true };
                    layer.up.apply(simd, inner.clone(), input, 0..count, sums, &mut gelu);
                    let layout = Layout::tile(count);
                    pack(simd, InputQuantization::Dynamic, inner.end, wide, &layout, wide_bytes, scales);
                }
                (None, Activation::Gelu) => {
                    let mut gelu = Gelu { out: wide, width: count, for_bytes: false };
                    layer.up.apply(simd, inner, input, 0..count, sums, &mut gelu);
                }
                (quantization, activation) => {
                    let mut activate = Activate { activation, out: wide, width: count };
                    layer.up.apply(simd, inner.clone(), input, 0..count, sums, &mut activate);
                    if let Some(quantization) = quantization {
                        pack(simd, quantization, inner.end, wide, &Layout::tile(count), wide_bytes, scales);
                    }
                }
            }
        }
        let input = Tile { floats: wide, bytes: wide_bytes, scales, width: count };
        let mut add = AddResidual { residual: x, out: apart, width: count };
        layer.down.apply(simd, 0..width, input, 0..count, sums, &mut add);
        match &layer.down_norm {
            Some(norm) => normalize(simd, model, norm, apart, count, x),
            None => x.copy_from_slice(&apart[..width * count]),
        }
        if let Some(next) = next {
            prepare_input(simd, model, next, groups, x, inputs);
        } else if let Some(norm) = &model.final_norm {
            normalize(simd, model, norm, apart, count, x);
        }
    }
}
/// Copies a tile with strides to a contiguous one, `[rows][groups]`.
#[inline(always)]
fn gather(from: &[Floats], layout: &Layout, rows: usize, to: &mut [Floats]) {
    for row in 0..rows {
        for g in 0..layout.groups {
            to[row * layout.groups + g] = from[layout.base[g] + row * layout.stride[g]];
        }
    }
}
