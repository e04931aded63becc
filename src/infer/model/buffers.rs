//! The buffers of a session: activations of the whole batch, and scratch memory of each thread.

use std::ops::Range;

use super::linear::Sums;
use super::load::Model;
use super::shared::Shared;
use super::tiling::{MAX_WIDTH, groups_of};
use crate::infer::file::encoder::Structure;
use crate::infer::kernel::attention::Workspace;
use crate::infer::kernel::quantize::{InputQuantization, TokenScale};
use crate::infer::simd::{Floats, LANES, Quads};
use crate::params::Activation;

/// The quantized input of a layer's query, key or value projection.
#[derive(Debug)]
pub(super) struct QuantizedInput {
    /// The quantized hidden states, for each tile `[hidden / 4][width]`.
    pub(super) bytes: Vec<Quads>,
    /// The scales of the tokens, `[groups]`.
    pub(super) scales: Vec<TokenScale>,
}

/// [`QuantizedInput`] that the tasks of a stage write tile by tile.
pub(super) struct SharedInput<'a> {
    pub(super) bytes: Shared<'a, Quads>,
    pub(super) scales: Shared<'a, TokenScale>,
}

impl<'a> SharedInput<'a> {
    /// Shares the first `n ≤ 3` inputs of a layer between threads, and returns them with n; the rest of the array is
    /// empty.
    pub(super) fn all(inputs: &'a mut [QuantizedInput]) -> ([SharedInput<'a>; 3], usize) {
        let count = inputs.len().min(3);
        let mut list = inputs.iter_mut();
        let mut next = || match list.next() {
            Some(r) => SharedInput { bytes: Shared::new(&mut r.bytes), scales: Shared::new(&mut r.scales) },
            None => SharedInput { bytes: Shared::new(&mut []), scales: Shared::new(&mut []) },
        };
        ([next(), next(), next()], count)
    }
}

/// The activations of a layer behind its attention, of some groups.
#[derive(Debug)]
pub(super) struct LayerBuffers {
    /// Sums before layer normalization, `[hidden or embedding][width]`.
    pub(super) tile: Vec<Floats>,
    /// Quantized states, `[hidden or embedding / 4][width]`.
    pub(super) bytes: Vec<Quads>,
    /// The scales of `bytes`, `[width]`.
    pub(super) scales: Vec<TokenScale>,
    /// Activations of the feed-forward layer, or attention outputs or embeddings, `[features][width]`.
    pub(super) wide: Vec<Floats>,
    /// Quantized activations of the feed-forward layer, `[intermediate / 4][width]`.
    pub(super) wide_bytes: Vec<Quads>,
    /// The scales of `wide_bytes`, `[width]`.
    pub(super) wide_scales: Vec<TokenScale>,
    /// The outputs of the gate of the feed-forward layer, `[intermediate][width]`; empty without one.
    pub(super) gate: Vec<Floats>,
    /// Normalized states before a feed-forward layer, `[hidden][width]`; empty unless normalization is there.
    pub(super) normal: Vec<Floats>,
    /// The number of groups.
    groups: usize,
}

impl LayerBuffers {
    /// Buffers for a number of groups.
    pub(super) fn new(model: &Model, groups: usize) -> Self {
        let shape = &model.encoder;
        let is_static = |input| matches!(input, Some(InputQuantization::Static(_)));
        // Without float activations in any layer, `wide` is not needed. Only GELU is fused with static quantization.
        let pre_norm = shape.structure == Structure::PreNormGated;
        let has_floats = shape.activation != Activation::Gelu
            || pre_norm
            || model.layers.iter().any(|l| !is_static(l.down.input) || l.output.input.is_none());
        let wide = if has_floats { shape.intermediate.max(shape.hidden) } else { 0 };
        let widest = shape.hidden.max(shape.embedding);
        let wide = if shape.projection { wide.max(shape.embedding) } else { wide };
        let of_pre_norm = |width: usize| if pre_norm { width * groups } else { 0 };
        LayerBuffers {
            tile: vec![Floats::default(); widest * groups],
            bytes: vec![Quads::default(); widest.div_ceil(4) * groups],
            scales: vec![TokenScale::default(); groups],
            wide: vec![Floats::default(); wide * groups],
            wide_bytes: vec![Quads::default(); shape.intermediate.div_ceil(4) * groups],
            wide_scales: vec![TokenScale::default(); groups],
            gate: vec![Floats::default(); of_pre_norm(shape.intermediate)],
            normal: vec![Floats::default(); of_pre_norm(shape.hidden)],
            groups,
        }
    }

    /// Shares the buffers between threads.
    pub(super) fn share(&mut self) -> SharedBuffers<'_> {
        SharedBuffers {
            tile: Shared::new(&mut self.tile),
            bytes: Shared::new(&mut self.bytes),
            scales: Shared::new(&mut self.scales),
            wide: Shared::new(&mut self.wide),
            wide_bytes: Shared::new(&mut self.wide_bytes),
            wide_scales: Shared::new(&mut self.wide_scales),
            gate: Shared::new(&mut self.gate),
            normal: Shared::new(&mut self.normal),
            groups: self.groups,
        }
    }

    /// Bytes of the buffers.
    pub(super) fn memory(&self) -> usize {
        let floats = [&self.tile, &self.wide, &self.gate, &self.normal];
        let scales = [&self.scales, &self.wide_scales];
        floats.iter().map(|f| size_of_val(&***f)).sum::<usize>()
            + scales.iter().map(|s| size_of_val(&***s)).sum::<usize>()
            + size_of_val(&*self.bytes)
            + size_of_val(&*self.wide_bytes)
    }
}

/// [`LayerBuffers`] of which several threads write disjoint parts.
pub(super) struct SharedBuffers<'a> {
    pub(super) tile: Shared<'a, Floats>,
    pub(super) bytes: Shared<'a, Quads>,
    pub(super) scales: Shared<'a, TokenScale>,
    pub(super) wide: Shared<'a, Floats>,
    pub(super) wide_bytes: Shared<'a, Quads>,
    pub(super) wide_scales: Shared<'a, TokenScale>,
    pub(super) gate: Shared<'a, Floats>,
    pub(super) normal: Shared<'a, Floats>,
    groups: usize,
}

impl<'a> SharedBuffers<'a> {
    /// The buffers of some of the groups.
    pub(super) fn groups(&self, groups: Range<usize>) -> SharedBuffers<'a> {
        let all = self.groups.max(1);
        SharedBuffers {
            tile: self.tile.share_of(&groups, all),
            bytes: self.bytes.share_of(&groups, all),
            scales: self.scales.share_of(&groups, all),
            wide: self.wide.share_of(&groups, all),
            wide_bytes: self.wide_bytes.share_of(&groups, all),
            wide_scales: self.wide_scales.share_of(&groups, all),
            gate: self.gate.share_of(&groups, all),
            normal: self.normal.share_of(&groups, all),
            groups: groups.len(),
        }
    }
}

/// The buffers of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) space: Workspace,
    pub(super) sums: Sums,
    /// The buffers of a tile.
    pub(super) layer: LayerBuffers,
    /// Embeddings of sixteen tokens, `[tokens][embedding]`.
    pub(super) rows: Vec<f32>,
    /// Outputs of the layer before the output layer for sixteen columns, before and after its normalization, `[2][hidden]`.
    pub(super) pooled: Vec<Floats>,
}

impl Scratch {
    /// The buffers for sequences of at most `length` tokens.
    pub(super) fn new(model: &Model, length: usize) -> Scratch {
        let shape = &model.encoder;
        let space = Workspace::new(shape.hidden / shape.heads, groups_of(length));
        Scratch {
            space: match &shape.disentangled {
                None => space,
                Some(of) => space.with_distances(groups_of(of.rows)),
            },
            sums: Sums::default(),
            layer: LayerBuffers::new(model, MAX_WIDTH),
            rows: vec![0.0; shape.embedding * LANES],
            pooled: vec![Floats::default(); 2 * shape.hidden],
        }
    }

    /// Bytes of the buffers.
    pub(super) fn memory(&self) -> usize {
        self.layer.memory() + size_of_val(&*self.rows) + size_of_val(&*self.pooled) + self.space.memory()
    }
}
