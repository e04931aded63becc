//! The buffers of a session: activations of the whole batch, and scratch memory of each thread.

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

/// The buffers of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) space: Workspace,
    pub(super) sums: Sums,
    /// A tile before layer normalization, `[hidden or embedding][width]`.
    pub(super) tile: Vec<Floats>,
    /// A quantized tile, `[hidden or embedding / 4][width]`.
    pub(super) bytes: Vec<Quads>,
    /// The scales of `bytes` or `wide_bytes`, by group.
    pub(super) scales: [TokenScale; MAX_WIDTH],
    /// Activations of the feed-forward layer, or attention outputs or embeddings, `[features][width]`.
    pub(super) wide: Vec<Floats>,
    /// Quantized activations of the feed-forward layer, `[intermediate / 4][width]`.
    pub(super) wide_bytes: Vec<Quads>,
    /// The outputs of the gate of the feed-forward layer, `[intermediate][width]`; empty without one.
    pub(super) gate: Vec<Floats>,
    /// A normalized tile before a feed-forward layer, `[hidden][width]`; empty unless normalization is there.
    pub(super) normal: Vec<Floats>,
    /// Embeddings of sixteen tokens, `[tokens][embedding]`.
    pub(super) rows: Vec<f32>,
    /// Outputs of the layer before the output layer for sixteen columns, before and after its normalization, `[2][hidden]`.
    pub(super) pooled: Vec<Floats>,
}

impl Scratch {
    /// The buffers for sequences of at most `length` tokens.
    pub(super) fn new(model: &Model, length: usize) -> Scratch {
        let shape = &model.encoder;
        let is_static = |input| matches!(input, Some(InputQuantization::Static(_)));
        // Without float activations in any layer, `wide` is not needed. Only GELU is fused with static quantization.
        let pre_norm = shape.structure == Structure::PreNormGated;
        let has_floats = shape.activation != Activation::Gelu
            || pre_norm
            || model.layers.iter().any(|l| !is_static(l.down.input) || l.output.input.is_none());
        let wide = if has_floats { shape.intermediate.max(shape.hidden) } else { 0 };
        let widest = shape.hidden.max(shape.embedding);
        let space = Workspace::new(shape.hidden / shape.heads, groups_of(length));
        let wide = if shape.projection { wide.max(shape.embedding) } else { wide };
        Scratch {
            space: match &shape.disentangled {
                None => space,
                Some(of) => space.with_distances(groups_of(of.rows)),
            },
            sums: Sums::default(),
            tile: vec![Floats::default(); widest * MAX_WIDTH],
            bytes: vec![Quads::default(); widest.div_ceil(4) * MAX_WIDTH],
            scales: Default::default(),
            wide: vec![Floats::default(); wide * MAX_WIDTH],
            wide_bytes: vec![Quads::default(); shape.intermediate.div_ceil(4) * MAX_WIDTH],
            gate: vec![Floats::default(); if pre_norm { shape.intermediate * MAX_WIDTH } else { 0 }],
            normal: vec![Floats::default(); if pre_norm { shape.hidden * MAX_WIDTH } else { 0 }],
            rows: vec![0.0; shape.embedding * LANES],
            pooled: vec![Floats::default(); 2 * shape.hidden],
        }
    }

    /// Bytes of the buffers.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.tile)
            + size_of_val(&*self.bytes)
            + size_of_val(&*self.wide)
            + size_of_val(&*self.wide_bytes)
            + size_of_val(&*self.gate)
            + size_of_val(&*self.normal)
            + size_of_val(&*self.rows)
            + size_of_val(&*self.pooled)
            + self.space.memory()
    }
}
