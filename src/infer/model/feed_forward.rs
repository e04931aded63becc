//! What an encoder layer computes behind its attention, for a tile of tokens: attention output projection, feed-forward
//! layer, and both residual connections with layer normalization; behind the last layer also the final normalization.
//!
//! It is split into [`Step`]s. One thread does all steps of a tile one after the other ([`WholeTile`]); where there are
//! fewer tiles than threads, several threads share each step of a tile ([`PartOfTile`]), by its output rows or its groups.

use std::ops::Range;

use super::buffers::{Scratch, SharedBuffers};
use super::epilogue::{Activate, ActivateGated, AddResidual, Gelu, GeluQuantize, Store};
use super::linear::{Linear, Sums, Tile};
use super::load::{Layer, Model};
use super::shared::Shared;
use super::stages::{Inputs, norm_group, prepare_group};
use super::tiling::Tiling;
use crate::infer::kernel::quantize::{InputQuantization, pack_group};
use crate::infer::kernel::rows::{Source, Strided, Target};
use crate::infer::simd::{Floats, Simd, Work};
use crate::params::Activation;

/// A step. It reads what the steps before it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Quantizes the attention output, by groups.
    Context,
    /// The attention output projection and the residual connection, by rows.
    Output,
    /// The layer normalization behind it and the quantization for the feed-forward layer, by groups.
    OutputNorm,
    /// The feed-forward layer's first linear layer with its activation, by rows.
    Up,
    /// Quantizes the activations, by groups; only where [`Step::Up`] cannot.
    Activations,
    /// The feed-forward layer's second linear layer and the residual connection, by rows.
    Down,
    /// The layer normalization behind it, and the inputs of the next layer, by groups.
    DownNorm,
}

impl Step {
    /// All steps in order.
    pub(super) const ALL: [Step; 7] = [
        Step::Context,
        Step::Output,
        Step::OutputNorm,
        Step::Up,
        Step::Activations,
        Step::Down,
        Step::DownNorm,
    ];
}

/// What the steps of a layer read.
#[derive(Clone, Copy)]
pub(super) struct LayerInputs<'a> {
    pub(super) model: &'a Model,
    pub(super) tiling: &'a Tiling,
    pub(super) layer: &'a Layer,
    pub(super) next: Option<&'a Layer>,
    pub(super) hidden: &'a Shared<'a, Floats>,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) context: &'a Shared<'a, Floats>,
}

/// All steps of a tile on one thread.
pub(super) struct WholeTile<'a> {
    pub(super) of: LayerInputs<'a>,
    pub(super) tile: usize,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for WholeTile<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let WholeTile { of, tile, scratch } = self;
        let groups = of.tiling.tile(tile);
        let Scratch { sums, layer, .. } = scratch;
        let steps = Steps::new(of, groups.clone(), layer.share().groups(0..groups.len()));
        for step in Step::ALL {
            if let Some(linear) = steps.rows_of(step) {
                steps.rows(simd, step, 0..linear.rows, sums);
            } else if steps.has(step) {
                // No closure: one that is not inlined is not compiled for the instruction set.
                for group in 0..groups.len() {
                    steps.group(simd, step, group);
                }
            }
        }
    }
}

/// One step of a tile, some rows or one group of it, in the buffers of the session.
pub(super) struct PartOfTile<'a> {
    pub(super) of: LayerInputs<'a>,
    pub(super) buffers: &'a SharedBuffers<'a>,
    pub(super) step: Step,
    pub(super) part: Part,
    pub(super) sums: &'a mut Sums,
}

/// A part of a tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Rows of a linear layer, for all groups of a tile. The first is a multiple of four.
    Rows(usize, Range<usize>),
    /// A group of the batch.
    Group(usize),
}

impl Work for PartOfTile<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let PartOfTile { of, buffers, step, part, sums } = self;
        let tile = match &part {
            Part::Rows(tile, _) => *tile,
            Part::Group(group) => group / of.tiling.width,
        };
        let groups = of.tiling.tile(tile);
        let steps = Steps::new(of, groups.clone(), buffers.groups(groups.clone()));
        match part {
            Part::Rows(_, rows) => steps.rows(simd, step, rows, sums),
            Part::Group(group) => steps.group(simd, step, group - groups.start),
        }
    }
}

/// Whether a layer has a step.
pub(super) fn has(model: &Model, layer: &Layer, step: Step) -> bool {
    let is_fused = layer.gate.is_none()
        && model.encoder.activation == Activation::Gelu
        && matches!(layer.down.input, Some(InputQuantization::Static(_)));
    step != Step::Activations || (layer.down.input.is_some() && !is_fused)
}

/// The linear layer that a step computes.
pub(super) fn linear(layer: &Layer, step: Step) -> Option<&Linear> {
    match step {
        Step::Output => Some(&layer.output),
        Step::Up => Some(&layer.up),
        Step::Down => Some(&layer.down),
        _ => None,
    }
}

/// The steps of one tile.
struct Steps<'a> {
    of: LayerInputs<'a>,
    /// The groups of the tile.
    groups: Range<usize>,
    /// The number of groups.
    count: usize,
    /// The hidden states of the tile, `[hidden][count]`.
    hidden: Shared<'a, Floats>,
    buffers: SharedBuffers<'a>,
}

// In all steps: the rows or the group of a task are written by it alone, in buffers of which no other task of the step reads
// them; what a step reads is written by an earlier one.
impl<'a> Steps<'a> {
    fn new(of: LayerInputs<'a>, groups: Range<usize>, buffers: SharedBuffers<'a>) -> Self {
        let width = of.model.encoder.hidden;
        let hidden = of.hidden.range(groups.start * width..groups.end * width);
        Steps { of, count: groups.len(), groups, hidden, buffers }
    }

    fn has(&self, step: Step) -> bool {
        has(self.of.model, self.of.layer, step)
    }

    fn rows_of(&self, step: Step) -> Option<&'a Linear> {
        linear(self.of.layer, step)
    }

    /// Computes some rows of a step.
    #[inline(always)]
    fn rows<S: Simd>(&self, simd: S, step: Step, rows: Range<usize>, sums: &mut Sums) {
        match step {
            Step::Output => self.output(simd, rows, sums),
            Step::Up => self.up(simd, rows, sums),
            Step::Down => self.down(simd, rows, sums),
            _ => {}
        }
    }

    /// Computes a step for a group of the tile.
    #[inline(always)]
    fn group<S: Simd>(&self, simd: S, step: Step, group: usize) {
        match step {
            Step::Context => self.context(simd, group),
            Step::OutputNorm => self.output_norm(simd, group),
            Step::Activations => self.activations(simd, group),
            Step::DownNorm => self.down_norm(simd, group),
            _ => {}
        }
    }

    #[inline(always)]
    fn context<S: Simd>(&self, simd: S, group: usize) {
        let LayerInputs { model, tiling, layer, context, .. } = self.of;
        let (width, at) = (model.encoder.hidden, self.groups.start + group);
        let span = tiling.span_of(at);
        let first = span.first * width + at - span.first;
        // SAFETY: as above.
        let slice = unsafe { context.read(0..tiling.groups * width) };
        let from = Strided { slice, first, stride: span.groups };
        let features = layer.output.columns;
        match layer.output.input {
            // SAFETY: as above.
            Some(quantization) => unsafe {
                let mut to = self.buffers.bytes.column(group, features.div_ceil(4), self.count);
                let scale = pack_group(simd, quantization, features, &from, &mut to);
                self.buffers.scales.part(group..group + 1)[0] = scale;
            },
            None => {
                // SAFETY: as above.
                let mut to = unsafe { self.buffers.wide.column(group, features, self.count) };
                (0..features).for_each(|row| *to.row_mut(row) = *from.row(row));
            }
        }
    }

    #[inline(always)]
    fn output<S: Simd>(&self, simd: S, rows: Range<usize>, sums: &mut Sums) {
        let SharedBuffers { wide, bytes, scales, .. } = &self.buffers;
        // SAFETY: as above.
        let input = unsafe {
            Tile { floats: wide.all(), bytes: bytes.all(), scales: scales.all(), width: self.count }
        };
        self.with_residual(simd, &self.of.layer.output, rows, input, sums);
    }

    /// A linear layer with the residual connection, into `tile`.
    #[inline(always)]
    fn with_residual<S: Simd>(
        &self,
        simd: S,
        linear: &Linear,
        rows: Range<usize>,
        input: Tile<'_>,
        sums: &mut Sums,
    ) {
        let values = rows.start * self.count..rows.end * self.count;
        // SAFETY: as above.
        let (residual, out) = unsafe { (self.hidden.read(values.clone()), self.buffers.tile.part(values)) };
        let mut add = AddResidual { residual, out, width: self.count };
        linear.apply(simd, rows, input, 0..self.count, sums, &mut add);
    }

    #[inline(always)]
    fn output_norm<S: Simd>(&self, simd: S, group: usize) {
        let LayerInputs { model, layer, .. } = self.of;
        let width = model.encoder.hidden;
        // SAFETY: as above.
        let (sums, mut hidden) =
            unsafe { (self.buffers.tile.all(), self.hidden.column(group, width, self.count)) };
        // With a normalization behind the layer, hidden states are the normalized ones.
        let mut normal = match &layer.down_norm {
            Some(_) => hidden,
            None => {
                (0..width).for_each(|row| *hidden.row_mut(row) = sums[row * self.count + group]);
                // SAFETY: as above.
                unsafe { self.buffers.normal.column(group, width, self.count) }
            }
        };
        norm_group(simd, model, &layer.output_norm, sums, (self.count, group), &mut normal);
        if let Some(quantization) = layer.up.input {
            // SAFETY: as above.
            let (mut to, scale) = unsafe {
                let bytes = self.buffers.bytes.column(group, width.div_ceil(4), self.count);
                (bytes, self.buffers.scales.part(group..group + 1))
            };
            scale[0] = pack_group(simd, quantization, width, &normal, &mut to);
        }
    }

    #[inline(always)]
    fn up<S: Simd>(&self, simd: S, rows: Range<usize>, sums: &mut Sums) {
        let LayerInputs { model, layer, .. } = self.of;
        let SharedBuffers { wide, wide_bytes, bytes, scales, gate, normal, .. } = &self.buffers;
        let (width, groups) = (self.count, 0..self.count);
        let states = if layer.down_norm.is_some() { &self.hidden } else { normal };
        let values = rows.start * width..rows.end * width;
        // SAFETY: as above.
        let input = unsafe { Tile { floats: states.all(), bytes: bytes.all(), scales: scales.all(), width } };
        if let Some(linear) = &layer.gate {
            // Both layers are rows of one matrix, with one quantization of their input.
            // SAFETY: as above.
            let (gate, out) = unsafe { (gate.part(values.clone()), wide.part(values)) };
            let mut keep = Store { out: &mut *gate, width, offset: 0 };
            linear.apply(simd, rows.clone(), input, groups.clone(), sums, &mut keep);
            let activation = model.encoder.activation;
            let mut activate = ActivateGated { activation, gate, out, width };
            return layer.up.apply(simd, rows, input, groups, sums, &mut activate);
        }
        if let (Some(InputQuantization::Static(qparams)), Activation::Gelu) =
            (layer.down.input, model.encoder.activation)
        {
            let quads = rows.start / 4 * width..rows.end.div_ceil(4) * width;
            // SAFETY: as above; the first row is a multiple of four.
            let mut gelu = GeluQuantize { qparams, out: unsafe { wide_bytes.part(quads) }, width };
            return layer.up.apply(simd, rows, input, groups, sums, &mut gelu);
        }
        // SAFETY: as above.
        let out = unsafe { wide.part(values) };
        match model.encoder.activation {
            Activation::Gelu => {
                let mut gelu = Gelu { out, width, for_bytes: layer.down.input.is_some() };
                layer.up.apply(simd, rows, input, groups, sums, &mut gelu);
            }
            activation => {
                let mut activate = Activate { activation, out, width };
                layer.up.apply(simd, rows, input, groups, sums, &mut activate);
            }
        }
    }

    #[inline(always)]
    fn activations<S: Simd>(&self, simd: S, group: usize) {
        let Some(quantization) = self.of.layer.down.input else { return };
        let (columns, buffers) = (self.of.layer.down.columns, &self.buffers);
        // SAFETY: as above.
        let (slice, mut to, scale) = unsafe {
            let to = buffers.wide_bytes.column(group, columns.div_ceil(4), self.count);
            (buffers.wide.all(), to, buffers.wide_scales.part(group..group + 1))
        };
        let from = Strided { slice, first: group, stride: self.count };
        scale[0] = pack_group(simd, quantization, columns, &from, &mut to);
    }

    #[inline(always)]
    fn down<S: Simd>(&self, simd: S, rows: Range<usize>, sums: &mut Sums) {
        let SharedBuffers { wide, wide_bytes, wide_scales, .. } = &self.buffers;
        // SAFETY: as above.
        let input = unsafe {
            let (bytes, scales) = (wide_bytes.all(), wide_scales.all());
            Tile { floats: wide.all(), bytes, scales, width: self.count }
        };
        self.with_residual(simd, &self.of.layer.down, rows, input, sums);
    }

    #[inline(always)]
    fn down_norm<S: Simd>(&self, simd: S, group: usize) {
        let LayerInputs { model, layer, next, inputs, .. } = self.of;
        let width = model.encoder.hidden;
        // SAFETY: as above.
        let (sums, mut hidden) =
            unsafe { (self.buffers.tile.all(), self.hidden.column(group, width, self.count)) };
        let at = (self.count, group);
        match (&layer.down_norm, next, &model.final_norm) {
            (Some(norm), _, _) | (None, None, Some(norm)) => {
                norm_group(simd, model, norm, sums, at, &mut hidden);
            }
            _ => (0..width).for_each(|row| *hidden.row_mut(row) = sums[row * self.count + group]),
        }
        if let Some(next) = next {
            prepare_group(simd, model, next, &self.groups, group, sums, &mut hidden, inputs);
        }
    }
}
