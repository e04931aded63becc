//! The modules of an encoder layer, with the parameter names of `transformers`.

// `transformers` calls the layer normalizations `LayerNorm`.
#![allow(non_snake_case)]

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::method::qat::{Phase, Quantizer};
use crate::params::Architecture;
use crate::params::architecture::Disentangled;

use super::dropouts::Dropouts;
use super::kernels::{
    Buckets, Dropout, NormParams, PositionTerms, Projections, Sequences, activate, add_norm,
    attention_products, disentangled_terms, linear, norm, self_attention,
};

/// Layer normalization with parameters named `weight` and `bias` (older checkpoints: `gamma` and `beta`).
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Option<Param<Tensor<1>>>,
    epsilon: f64,
}

impl LayerNorm {
    /// A normalization of rows of `width` elements, with the epsilon and the biases of an architecture.
    pub(super) fn new(width: usize, architecture: &Architecture, device: &Device) -> Self {
        let bias = || Param::from_tensor(Tensor::zeros([width], device));
        LayerNorm {
            weight: Param::from_tensor(Tensor::ones([width], device)),
            bias: architecture.biases.norm.then(bias),
            epsilon: architecture.epsilon,
        }
    }

    pub(super) fn params(&self) -> NormParams {
        let gamma = self.weight.val();
        let beta = match &self.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros(gamma.dims(), &gamma.device()),
        };
        NormParams { gamma, beta, epsilon: self.epsilon }
    }

    /// The normalized rows, without a residual connection.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let no_residual = Tensor::zeros(x.dims(), &x.device());
        add_norm(x, no_residual, self.params(), Dropout::NONE)
    }
}

/// The query, key and value projections of self-attention.
#[derive(Module, Debug)]
pub struct SelfProjections {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    /// Projections of the relative position embeddings; `None` if the query and key projections are used for them
    /// (`share_att_key`).
    pub(super) pos_key: Option<Linear>,
    pub(super) pos_query: Option<Linear>,
}

/// The relative position embeddings, with which layers compute the terms of disentangled attention.
pub(super) struct Distances {
    /// `[rows, hidden]`.
    pub(super) embeddings: Tensor<2>,
    /// The row of each distance.
    pub(super) rows: Buckets,
    pub(super) of: Disentangled,
    pub(super) heads: usize,
}

/// What positions add to attention, the same in every layer.
pub(super) struct Positioning {
    pub(super) terms: PositionTerms,
    pub(super) distances: Option<Distances>,
}

/// A linear layer, a residual connection and a layer normalization (`BertSelfOutput`, `BertOutput`).
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
        positioning: &Positioning,
    ) -> Tensor<2> {
        let heads = architecture.shape.heads;
        let context = match &positioning.distances {
            Some(distances) => {
                let SelfProjections { query, key, value, .. } = &self.attention.self_;
                let projected = [query, key, value].map(|layer| apply(layer, x.clone()));
                let linear = |_: &str, layer: &Linear, x| apply(layer, x);
                let dropouts = [dropouts(0).attention, dropouts(3).hidden];
                self.attention.self_.disentangled(projected, sequences, dropouts, distances, linear, None)
            }
            None => self.attention.self_.forward(&x, heads, sequences, dropouts(0), &positioning.terms),
        };
        let x = self.attention.output.forward(context, x, dropouts(1).hidden);
        let wide = activate(apply(&self.intermediate.dense, x.clone()), architecture.activation);
        self.output.forward(wide, x, dropouts(2).hidden)
    }
}

impl SelfProjections {
    /// Disentangled attention of queries, keys and values without the output projection, `[tokens, hidden]`. `linear`
    /// applies a layer, given by its name, to the relative position embeddings; the dropouts are those of attention
    /// weights and of these embeddings.
    pub(super) fn disentangled(
        &self,
        [query, key, value]: [Tensor<2>; 3],
        sequences: &Sequences,
        [weights, positions]: [Dropout; 2],
        distances: &Distances,
        linear: impl Fn(&str, &Linear, Tensor<2>) -> Tensor<2>,
        quantizer: Option<(Arc<Quantizer>, Phase)>,
    ) -> Tensor<2> {
        let Distances { embeddings, rows, of, heads } = distances;
        let heads = *heads;
        let embeddings = norm::dropout(embeddings.clone(), positions);
        let project = |wanted: bool, (name, layer): (&str, &Linear)| match wanted {
            true => linear(name, layer, embeddings.clone()),
            false => embeddings.zeros_like(),
        };
        let of_keys = self.pos_key.as_ref().map_or(("key", &self.key), |own| ("pos_key", own));
        let of_queries = self.pos_query.as_ref().map_or(("query", &self.query), |own| ("pos_query", own));
        // Scores are divided by √(d n); attention divides them by √d.
        let root = (of.terms() as f64).sqrt();
        let query = query / root;
        let position_key = project(of.content_to_position, of_keys);
        let position_query = project(of.position_to_content, of_queries) / root;
        let contents = [query.clone(), key.clone()];
        let pairs = disentangled_terms(contents, [position_key, position_query], heads, sequences, rows);
        let terms = PositionTerms { pairs: Some(pairs), ..PositionTerms::default() };
        attention_products([query, key, value], heads, sequences, weights, &terms, quantizer)
    }

    /// The outputs of attention before its output projection, `[tokens, hidden]`.
    fn forward(
        &self,
        x: &Tensor<2>,
        heads: usize,
        sequences: &Sequences,
        dropouts: Dropouts,
        terms: &PositionTerms,
    ) -> Tensor<2> {
        let layers = [&self.query, &self.key, &self.value];
        if !terms.is_none() {
            let projected = layers.map(|layer| apply(layer, x.clone()));
            return attention_products(projected, heads, sequences, dropouts.attention, terms, None);
        }
        let [query, key, value] = layers.map(|layer| (layer.weight.val(), bias(layer)));
        let projections = Projections { query, key, value };
        self_attention(x.clone(), projections, heads, sequences, dropouts.attention)
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

/// The bias of a linear layer, `[out]`; zero if it has none.
pub(super) fn bias(layer: &Linear) -> Tensor<1> {
    match &layer.bias {
        Some(bias) => bias.val(),
        None => {
            let weight = layer.weight.val();
            Tensor::zeros([weight.dims()[1]], &weight.device())
        }
    }
}
