//! The stages of the forward pass up to the attention of a layer. A task of a stage computes one tile of tokens, or one head
//! of one sequence, on one thread; the tasks of a stage write to disjoint ranges of the session's buffers.

use super::buffers::{LayerBuffers, Scratch, SharedInput};
use super::epilogue::Store;
use super::linear::Tile;
use super::load::{Layer, Model, Norm};
use super::shared::{Column, Shared};
use super::tiling::{Sequence, Span, Tiling};
use crate::infer::kernel::attention::{Head, Rotary, Terms, attend};
use crate::infer::kernel::norm::layer_norm;
use crate::infer::kernel::quantize::{Layout, TokenScale, pack, pack_group};
use crate::infer::kernel::rows::{Source, Strided, Target};
use crate::infer::simd::{Floats, LANES, Quads, Simd, Work};

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
            for (feature, to) in scratch.layer.tile.iter_mut().skip(g).step_by(count).take(width).enumerate()
            {
                for (lane, value) in to.0.iter_mut().enumerate() {
                    *value = scratch.rows[lane * width + feature];
                }
            }
        }
        // SAFETY: this tile's task alone has its part.
        let out = unsafe { hidden.part(groups.start * hidden_size..groups.end * hidden_size) };
        match &model.projection {
            None => normalize(simd, model, &model.embedding_norm, &scratch.layer.tile, count, out),
            Some(projection) => {
                let Scratch { sums, layer, .. } = &mut *scratch;
                let LayerBuffers { tile, bytes, scales, wide, .. } = layer;
                normalize(simd, model, &model.embedding_norm, tile, count, wide);
                if let Some(quantization) = projection.input {
                    pack(simd, quantization, width, wide, &Layout::tile(count), bytes, scales);
                }
                let input = Tile { floats: wide, bytes, scales, width: count };
                let mut keep = Store { out: &mut *out, width: count, offset: 0 };
                projection.apply(simd, 0..hidden_size, input, 0..count, sums, &mut keep);
            }
        }
        let Some(layer) = model.layers.first() else { return };
        let states = &mut scratch.layer.tile[..out.len()];
        states.copy_from_slice(out);
        let out = Shared::new(out);
        for group in 0..count {
            // SAFETY: this tile's task alone has its part.
            let mut column = unsafe { out.column(group, hidden_size, count) };
            prepare_group(simd, model, layer, &groups, group, states, &mut column, inputs);
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
    for group in 0..width {
        let mut out = Strided { slice: &mut *out, first: group, stride: width };
        norm_group(simd, model, norm, tile, (width, group), &mut out);
    }
}

/// Layer normalization of the group `group` of a tile `[hidden][count]`.
#[inline(always)]
pub(super) fn norm_group<S: Simd>(
    simd: S,
    model: &Model,
    norm: &Norm,
    tile: &[Floats],
    (count, group): (usize, usize),
    out: &mut impl Target<Floats>,
) {
    let Norm { weight, bias } = norm;
    layer_norm(simd, tile, (count, group), weight, bias, model.encoder.norm_epsilon, out);
}

/// The inputs of a layer's query, key and value projections.
pub(super) struct Inputs<'a> {
    /// The normalized hidden states, for each tile `[hidden][width]`; `None` if the projections take the hidden states.
    pub(super) normal: Option<Shared<'a, Floats>>,
    /// The quantized inputs.
    pub(super) quantized: &'a [SharedInput<'a>],
}

/// Prepares the inputs of a layer's projections for a group of the tile `groups`: layer normalization of the tile's hidden
/// states `states`, if the layer begins with it, and quantization. `hidden` are the states of the group.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn prepare_group<'a, S: Simd>(
    simd: S,
    model: &Model,
    layer: &Layer,
    groups: &std::ops::Range<usize>,
    group: usize,
    states: &[Floats],
    hidden: &mut Column<'a, Floats>,
    inputs: &Inputs<'a>,
) {
    let (columns, count) = (model.encoder.hidden, groups.len());
    let mut normal;
    let from = match &inputs.normal {
        None => hidden,
        Some(to) => {
            let to = to.range(groups.start * columns..groups.end * columns);
            // SAFETY: the caller's task alone has this group.
            normal = unsafe { to.column(group, columns, count) };
            match &layer.input_norm {
                None => (0..columns).for_each(|row| *normal.row_mut(row) = *hidden.row(row)),
                Some(norm) => norm_group(simd, model, norm, states, (count, group), &mut normal),
            }
            &mut normal
        }
    };
    let quads = columns.div_ceil(4);
    for (quantization, to) in layer.quantizations.iter().zip(inputs.quantized) {
        let bytes = to.bytes.range(groups.start * quads..groups.end * quads);
        let at = groups.start + group;
        // SAFETY: as above.
        let (mut bytes, scale) = unsafe { (bytes.column(group, quads, count), to.scales.part(at..at + 1)) };
        scale[0] = pack_group(simd, *quantization, columns, from, &mut bytes);
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
