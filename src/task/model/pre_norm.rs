//! Encoder layers with normalizations before attention and the feed-forward network, rotary positions and a gated
//! feed-forward network, with the parameter names of ModernBERT in `transformers`.

// `transformers` calls the linear layers `Wqkv`, `Wi` and `Wo`.
#![allow(non_snake_case)]

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::params::Architecture;

use super::dropouts::Dropouts;
use super::init::Init;
use super::kernels::{PositionTerms, Rotation, Sequences, attention_products, gated, norm, rotate};
use super::layers::{LayerNorm, apply};
use super::named_quantizers::{NamedQuantizers, OPERANDS};

/// Attention with one matrix for queries, keys and values.
#[derive(Module, Debug)]
pub struct FusedAttention {
    Wqkv: Linear,
    Wo: Linear,
}

/// A gated feed-forward network.
#[derive(Module, Debug)]
pub struct GatedFeedForward {
    Wi: Linear,
    Wo: Linear,
}

/// An encoder layer with normalizations before its parts.
#[derive(Module, Debug)]
pub struct PreNormLayer {
    attn_norm: Option<LayerNorm>,
    attn: FusedAttention,
    mlp_norm: LayerNorm,
    mlp: GatedFeedForward,
}

/// What a layer depends on besides its input.
pub(super) struct Surroundings<'a> {
    pub(super) architecture: &'a Architecture,
    pub(super) sequences: &'a Sequences,
    /// The window of the layer.
    pub(super) terms: &'a PositionTerms,
    pub(super) rotation: &'a Rotation,
    /// The quantizers, and BERT's name of the layer.
    pub(super) quantizers: Option<(NamedQuantizers<'a>, &'a str)>,
}

impl Surroundings<'_> {
    /// A linear layer, with fake quantization if it has quantizers.
    fn linear(&self, name: &str, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        match self.quantizers {
            Some((named, at)) => named.linear(&format!("{at}.{name}"), layer, x),
            None => apply(layer, x),
        }
    }

    /// The quantizers' name for an operand of attention.
    fn operand(&self, at: &str, operand: usize) -> String {
        self.architecture.family.name(&format!("{at}.attn.{}", OPERANDS[operand]))
    }

    /// An operand of attention, fake-quantized if it has a quantizer.
    fn fake_quantize(&self, operand: usize, x: Tensor<2>) -> Tensor<2> {
        match self.quantizers {
            Some((named, at)) => named.quantizers.fake_quantize(&self.operand(at, operand), x),
            None => x,
        }
    }
}

impl PreNormLayer {
    /// A layer with random weights. The first layer has no normalization before attention: the embeddings are
    /// normalized already.
    pub(super) fn new(architecture: &Architecture, first: bool, init: &mut Init, device: &Device) -> Self {
        let (hidden, intermediate) = (architecture.shape.hidden, architecture.shape.intermediate);
        let biases = architecture.biases;
        let norm = || LayerNorm::new(hidden, architecture, device);
        let mut linear = |inputs, outputs, bias| init.linear_with(inputs, outputs, bias, device);
        PreNormLayer {
            attn_norm: (!first).then(norm),
            attn: FusedAttention {
                Wqkv: linear(hidden, 3 * hidden, biases.attention),
                Wo: linear(hidden, hidden, biases.attention),
            },
            mlp_norm: norm(),
            mlp: GatedFeedForward {
                Wi: linear(hidden, 2 * intermediate, biases.feed_forward),
                Wo: linear(intermediate, hidden, biases.feed_forward),
            },
        }
    }

    /// The output of the layer, `[tokens, hidden]`; `dropouts` gives the dropout at each place of the layer.
    pub(super) fn forward(
        &self,
        x: Tensor<2>,
        dropouts: impl Fn(u32) -> Dropouts,
        with: &Surroundings,
    ) -> Tensor<2> {
        let [_, hidden] = x.dims();
        let normal = self.attn_norm.as_ref().map_or(x.clone(), |norm| norm.forward(x.clone()));
        let projected = with.linear("attn.Wqkv", &self.attn.Wqkv, normal);
        let part = |i: usize| projected.clone().narrow(1, i * hidden, hidden);
        let turned = |i: usize| rotate(part(i), with.sequences, with.rotation);
        let operands = [
            with.fake_quantize(0, turned(0)),
            with.fake_quantize(1, turned(1)),
            with.fake_quantize(3, part(2)),
        ];
        let probabilities = with.quantizers.and_then(|(named, at)| {
            let quantizer = named.quantizers.get(&with.operand(at, 2)).cloned()?;
            Some((quantizer, named.quantizers.phase()))
        });
        let heads = with.architecture.shape.heads;
        let dropout = dropouts(0).attention;
        let context = attention_products(operands, heads, with.sequences, dropout, with.terms, probabilities);
        let attended = with.linear("attn.Wo", &self.attn.Wo, context);
        // ModernBERT applies `attention_dropout` to the output of attention, too.
        let x = x + norm::dropout(attended, dropouts(1).attention);
        let wide = with.linear("mlp.Wi", &self.mlp.Wi, self.mlp_norm.forward(x.clone()));
        let wide = norm::dropout(gated(wide, with.architecture.activation), dropouts(2).hidden);
        x + with.linear("mlp.Wo", &self.mlp.Wo, wide)
    }
}
