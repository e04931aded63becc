//! The stages of the forward pass, each a task for one thread: everything of a tile of tokens, or one head
//! of one sequence. Tasks of a stage write to different parts of the session's buffers.

use super::arrange::{Arrangement, Span, WIDEST};
use super::linear::{AddTo, Gelu, GeluToBytes, Keep, Linear, Tile};
use super::load::{Layer, Model, Norm};
use super::session::{Scratch, Sequence, SharedRounded};
use super::shared::Shared;
use crate::infer::kernel::affine::{Layout, Rounding, TokenScale, pack};
use crate::infer::kernel::attention::{Head, attend};
use crate::infer::kernel::norm::layer_norm;
use crate::infer::simd::{Floats, LANES, Quads, Simd, Work};

/// A layer's input as bytes, tile by tile `[columns / 4][width]`, with the scales of each group.
#[derive(Debug)]
pub(super) struct Rounded {
    pub(super) bytes: Vec<Quads>,
    pub(super) scales: Vec<TokenScale>,
}

/// Embeddings of a tile, normalised.
pub(super) struct Embed<'a> {
    pub(super) model: &'a Model,
    pub(super) arranged: &'a Arrangement,
    pub(super) sequences: &'a [Sequence<'a>],
    pub(super) tile: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) rounded: &'a [SharedRounded<'a>],
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Embed<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Embed { model, arranged, sequences, tile, hidden, rounded, scratch } = self;
        let width = model.config.hidden_size;
        let groups = arranged.tile(tile);
        let count = groups.len();
        for (g, group) in groups.clone().enumerate() {
            let after = arranged.spans.partition_point(|s| s.first <= group);
            let (index, span) = (after - 1, arranged.spans[after - 1]);
            let first = (group - span.first) * LANES;
            for (lane, row) in scratch.rows.chunks_mut(width).enumerate() {
                row.fill(0.0);
                let place = first + lane;
                if place < span.tokens {
                    let sequence = &sequences[index];
                    model.tables[0].add_row(sequence.ids[place] as usize, row);
                    model.tables[1].add_row(place, row);
                    let of_type = if model.config.type_vocab_size == 1 { 0 } else { sequence.types[place] };
                    model.tables[2].add_row(of_type as usize, row);
                }
            }
            for (feature, to) in scratch.tile.iter_mut().skip(g).step_by(count).take(width).enumerate() {
                for (lane, value) in to.0.iter_mut().enumerate() {
                    *value = scratch.rows[lane * width + feature];
                }
            }
        }
        // SAFETY: this tile's task alone has its part.
        let out = unsafe { hidden.part(groups.start * width..groups.end * width) };
        normalize(simd, model, &model.embedding_norm, &scratch.tile, count, out);
        if let Some(layer) = model.layers.first() {
            round_for(simd, layer, groups, out, rounded);
        }
    }
}

#[inline(always)]
fn normalize<S: Simd>(
    simd: S,
    model: &Model,
    norm: &Norm,
    tile: &[Floats],
    width: usize,
    out: &mut [Floats],
) {
    layer_norm(simd, tile, width, &norm.weight, &norm.bias, model.config.layer_norm_eps as f32, out);
}

/// Rounds a tile for the projections of a layer.
#[inline(always)]
fn round_for<S: Simd>(
    simd: S,
    layer: &Layer,
    groups: std::ops::Range<usize>,
    tile: &[Floats],
    rounded: &[SharedRounded<'_>],
) {
    let columns = layer.output.columns;
    let quads = columns.div_ceil(4);
    for (rounding, to) in layer.roundings.iter().zip(rounded) {
        // SAFETY: this tile's task alone has its parts.
        let (bytes, scales) = unsafe {
            (to.bytes.part(groups.start * quads..groups.end * quads), to.scales.part(groups.clone()))
        };
        pack(simd, *rounding, columns, tile, &Layout::tile(groups.len()), bytes, scales);
    }
}

/// Queries, keys and values of one head of one sequence, and its attention.
pub(super) struct Attend<'a> {
    pub(super) model: &'a Model,
    pub(super) arranged: &'a Arrangement,
    pub(super) layer: &'a Layer,
    pub(super) span: Span,
    pub(super) head: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) rounded: &'a [SharedRounded<'a>],
    pub(super) context: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Attend<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Attend { model, arranged, layer, span, head, hidden, rounded, context, scratch } = self;
        let width = model.config.hidden_size;
        let quads = width.div_ceil(4);
        let features = width / model.config.num_attention_heads;
        let rows = head * features..(head + 1) * features;
        let Scratch { space, sums, .. } = scratch;
        for (tile, piece) in arranged.pieces(span) {
            let whole = arranged.tile(tile);
            // SAFETY: in this stage, these buffers are only read.
            let floats = unsafe { hidden.read(whole.start * width..whole.end * width) };
            for (i, projection) in layer.projections.iter().enumerate() {
                let (bytes, scales): (&[Quads], &[TokenScale]) = match layer.rounded[i] {
                    None => (&[], &[]),
                    // SAFETY: as above.
                    Some(which) => unsafe {
                        (
                            rounded[which].bytes.read(whole.start * quads..whole.end * quads),
                            rounded[which].scales.read(whole.clone()),
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
                let mut keep = Keep { out, width: span.groups, offset: piece.start };
                projection.apply(simd, rows.clone(), input, first..first + piece.len(), sums, &mut keep);
            }
        }
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
        attend(simd, head, space, out);
    }
}

/// The rest of a layer for one tile.
pub(super) struct Forward<'a> {
    pub(super) model: &'a Model,
    pub(super) arranged: &'a Arrangement,
    pub(super) layer: &'a Layer,
    pub(super) next: Option<&'a Layer>,
    pub(super) tile: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) rounded: &'a [SharedRounded<'a>],
    pub(super) context: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Forward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Forward { model, arranged, layer, next, tile, hidden, rounded, context, scratch } = self;
        let width = model.config.hidden_size;
        let groups = arranged.tile(tile);
        let count = groups.len();
        let mut layout = Layout::tile(count);
        for (g, group) in groups.clone().enumerate() {
            let span = arranged.span_of(group);
            layout.base[g] = span.first * width + group - span.first;
            layout.stride[g] = span.groups;
        }
        // SAFETY: this tile's task alone has its part; contexts are only read in this stage.
        let (x, context) = unsafe {
            (hidden.part(groups.start * width..groups.end * width), context.read(0..arranged.groups * width))
        };
        let Scratch { sums, tile: apart, bytes, scales, wide, wide_bytes, .. } = scratch;
        match layer.output.input {
            Some(rounding) => pack(simd, rounding, width, context, &layout, bytes, scales),
            None => gather(context, &layout, width, wide),
        }
        let input = Tile { floats: wide, bytes, scales, width: count };
        let mut add = AddTo { residual: x, out: apart, width: count };
        layer.output.apply(simd, 0..width, input, 0..count, sums, &mut add);
        normalize(simd, model, &layer.output_norm, apart, count, x);

        if let Some(rounding) = layer.up.input {
            pack(simd, rounding, width, x, &Layout::tile(count), bytes, scales);
        }
        let input = Tile { floats: x, bytes, scales, width: count };
        let inner = 0..layer.up.rows;
        match layer.down.input {
            Some(Rounding::Fixed(affine)) => {
                let mut gelu = GeluToBytes { affine, out: wide_bytes, width: count };
                layer.up.apply(simd, inner, input, 0..count, sums, &mut gelu);
                for scale in &mut scales[..count] {
                    *scale = crate::infer::kernel::affine::fixed_scale(simd, affine);
                }
            }
            Some(Rounding::Measured) => {
                let mut gelu = Gelu { out: wide, width: count, for_bytes: true };
                layer.up.apply(simd, inner.clone(), input, 0..count, sums, &mut gelu);
                let layout = Layout::tile(count);
                pack(simd, Rounding::Measured, inner.end, wide, &layout, wide_bytes, scales);
            }
            None => {
                let mut gelu = Gelu { out: wide, width: count, for_bytes: false };
                layer.up.apply(simd, inner, input, 0..count, sums, &mut gelu);
            }
        }
        let input = Tile { floats: wide, bytes: wide_bytes, scales, width: count };
        let mut add = AddTo { residual: x, out: apart, width: count };
        layer.down.apply(simd, 0..width, input, 0..count, sums, &mut add);
        normalize(simd, model, &layer.down_norm, apart, count, x);
        if let Some(next) = next {
            round_for(simd, next, groups, x, rounded);
        }
    }
}

/// Copies rows side by side.
#[inline(always)]
fn gather(from: &[Floats], layout: &Layout, rows: usize, to: &mut [Floats]) {
    for row in 0..rows {
        for g in 0..layout.groups {
            to[row * layout.groups + g] = from[layout.base[g] + row * layout.stride[g]];
        }
    }
}

/// Start and end logits of a tile.
pub(super) struct Find<'a> {
    pub(super) model: &'a Model,
    pub(super) arranged: &'a Arrangement,
    pub(super) layer: &'a Linear,
    pub(super) tile: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) logits: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Find<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Find { model, arranged, layer, tile, hidden, logits, scratch } = self;
        let width = model.config.hidden_size;
        let groups = arranged.tile(tile);
        let count = groups.len();
        // SAFETY: the last stage only reads hidden states.
        let x = unsafe { hidden.read(groups.start * width..groups.end * width) };
        let Scratch { sums, bytes, scales, .. } = scratch;
        if let Some(rounding) = layer.input {
            pack(simd, rounding, width, x, &Layout::tile(count), bytes, scales);
        }
        let input = Tile { floats: x, bytes, scales, width: count };
        let mut two = [Floats::default(); 2 * WIDEST];
        let mut keep = Keep { out: &mut two, width: count, offset: 0 };
        layer.apply(simd, 0..2, input, 0..count, sums, &mut keep);
        for row in 0..2 {
            let first = row * arranged.groups + groups.start;
            // SAFETY: this tile's task alone has its parts.
            let to = unsafe { logits.part(first..first + count) };
            to.copy_from_slice(&two[row * count..(row + 1) * count]);
        }
    }
}

/// Label logits of up to 64 sequences, one in each lane.
pub(super) struct Classify<'a> {
    pub(super) model: &'a Model,
    pub(super) arranged: &'a Arrangement,
    pub(super) pooler: &'a Linear,
    pub(super) classifier: &'a Linear,
    pub(super) part: usize,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) logits: &'a Shared<'a, Floats>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for Classify<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Classify { model, arranged, pooler, classifier, part, hidden, logits, scratch } = self;
        let width = model.config.hidden_size;
        let first = part * LANES * WIDEST;
        let spans = &arranged.spans[first..(first + LANES * WIDEST).min(arranged.spans.len())];
        let count = spans.len().div_ceil(LANES);
        let Scratch { sums, tile, bytes, scales, pooled, .. } = scratch;
        tile.fill(Floats::default());
        for (i, span) in spans.iter().enumerate() {
            let groups = arranged.tile(span.first / arranged.width);
            // SAFETY: the last stage only reads hidden states.
            let x = unsafe { hidden.read(groups.start * width..groups.end * width) };
            let states = x.iter().skip(span.first - groups.start).step_by(groups.len());
            for (feature, state) in states.enumerate() {
                tile[feature * count + i / LANES].0[i % LANES] = state.0[0];
            }
        }
        if let Some(rounding) = pooler.input {
            pack(simd, rounding, width, tile, &Layout::tile(count), bytes, scales);
        }
        for group in 0..count {
            let input = Tile { floats: tile, bytes, scales, width: count };
            let mut keep = Keep { out: pooled, width: 1, offset: 0 };
            pooler.apply(simd, 0..width, input, group..group + 1, sums, &mut keep);
            for lanes in pooled.iter_mut() {
                lanes.0 = lanes.0.map(f32::tanh);
            }
            for (feature, lanes) in pooled.iter().enumerate() {
                tile[feature * count + group] = *lanes;
            }
        }
        if let Some(rounding) = classifier.input {
            pack(simd, rounding, width, tile, &Layout::tile(count), bytes, scales);
        }
        let total = arranged.spans.len().div_ceil(LANES);
        for label in 0..classifier.rows {
            let mut one = [Floats::default(); WIDEST];
            let input = Tile { floats: tile, bytes, scales, width: count };
            let mut keep = Keep { out: &mut one, width: count, offset: 0 };
            classifier.apply(simd, label..label + 1, input, 0..count, sums, &mut keep);
            let at = label * total + part * WIDEST;
            // SAFETY: these sequences are this task's.
            unsafe { logits.part(at..at + count) }.copy_from_slice(&one[..count]);
        }
    }
}
