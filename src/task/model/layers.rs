//! The modules of an encoder layer, with the parameter names of `transformers`.

// `transformers` calls the layer normalisations `LayerNorm`.
#![allow(non_snake_case)]

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::params::Architecture;

use super::dropouts::Dropouts;
use super::kernels::{
    Dropout, NormParams, Projections, Sequences, activate, add_norm, linear, self_attention,
};

/// Layer normalisation with parameters named `weight` and `bias` (older checkpoints: `gamma` and `beta`).
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub(super) fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        LayerNorm {
            weight: Param::from_tensor(Tensor::ones([width], device)),
            bias: Param::from_tensor(Tensor::zeros([width], device)),
            epsilon,
        }
    }

    pub(super) fn params(&self) -> NormParams {
        NormParams { gamma: self.weight.val(), beta: self.bias.val(), epsilon: self.epsilon }
    }
}

/// The query, key and value projections of self-attention.
#[derive(Module, Debug)]
pub struct SelfProjections {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
}

/// A linear layer, a residual connection and a layer normalisation (`BertSelfOutput`, `BertOutput`).
#[derive(Module, Debug)]
pub struct Output {
    pub(super) dense: Linear,
    pub(super) LayerNorm: LayerNorm,
}

/// Self-attention with its output projection.
#[derive(Module, Debug)]
pub struct Attention {
    pub(super) self_: SelfProjections,
    pub(super) output: Output,
}

/// The first linear layer of the feed-forward network, `[hidden, intermediate]`.
#[derive(Module, Debug)]
pub struct Intermediate {
    pub(super) dense: Linear,
}

/// An encoder layer: attention and a feed-forward network.
#[derive(Module, Debug)]
pub struct Layer {
    pub(super) attention: Attention,
    pub(super) intermediate: Intermediate,
    pub(super) output: Output,
}

impl Layer {
    /// The output of the layer, `[tokens, hidden]`; `dropouts` gives the dropout at each place of the layer.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        architecture: &Architecture,
        sequences: &Sequences,
        dropouts: impl Fn(u32) -> Dropouts,
    ) -> Tensor<2> {
        let pair = |l: &Linear| (l.weight.val(), bias(l));
        let projections = Projections {
            query: pair(&self.attention.self_.query),
            key: pair(&self.attention.self_.key),
            value: pair(&self.attention.self_.value),
        };
        let context = self_attention(
            x.clone(),
            projections,
            architecture.shape.heads,
            sequences,
            dropouts(0).attention,
        );
        let x = self.attention.output.forward(context, x, dropouts(1).hidden);
        let wide = activate(apply(&self.intermediate.dense, x.clone()), architecture.activation);
        self.output.forward(wide, x, dropouts(2).hidden)
    }
}

impl Output {
    fn forward(&self, x: Tensor<2>, residual: Tensor<2>, dropout: Dropout) -> Tensor<2> {
        add_norm(apply(&self.dense, x), residual, self.LayerNorm.params(), dropout)
    }
}

pub(super) fn apply(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    linear(x, layer.weight.val(), bias(layer))
}

pub(super) fn bias(layer: &Linear) -> Tensor<1> {
    // invariant: every linear layer of a BERT is made with a bias.
    layer.bias.as_ref().expect("a linear layer with a bias").val()
}
