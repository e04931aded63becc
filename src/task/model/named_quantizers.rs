//! Fake quantization in the forward pass of an encoder, by the names of its parameters and activations.

use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::params::architecture::LayerKind;
use crate::params::{Architecture, BertShape, Family};
use crate::task::quantizers::{ActivationMatMul, Quantizers};

use super::dropouts::Dropouts;
use super::kernels::{Dropout, Sequences, activate, add_norm, attention_products, linear};
use super::layers::{Layer, Output, Positioning, SelfProjections, bias};

/// The names of the four operands of attention's two matrix products, after the name of the attention module.
pub(super) const OPERANDS: [&str; 4] = ["query_states", "key_states", "probabilities", "value_states"];

/// The quantizers of a model, looked up by BERT's names, which are mapped to those of the family.
#[derive(Clone, Copy)]
pub(super) struct NamedQuantizers<'a> {
    pub(super) quantizers: &'a Quantizers,
    pub(super) family: Family,
}

impl NamedQuantizers<'_> {
    fn pass(self, name: &str, x: Tensor<2>) -> Tensor<2> {
        self.quantizers.fake_quantize(&self.family.name(name), x)
    }

    /// The weight of a module, fake-quantized.
    pub(super) fn weight(self, module: &str, weight: Tensor<2>) -> Tensor<2> {
        self.pass(&format!("{module}.weight"), weight)
    }

    /// A linear layer with fake-quantized input and weight.
    pub(super) fn linear(self, module: &str, layer: &Linear, x: Tensor<2>) -> Tensor<2> {
        let x = self.pass(&format!("{module}.input"), x);
        linear(x, self.weight(module, layer.weight.val()), bias(layer))
    }
}

impl Layer {
    /// The forward pass with fake quantization; `at` is the layer's name.
    pub(super) fn quantized_forward(
        &self,
        x: Tensor<2>,
        architecture: &Architecture,
        sequences: &Sequences,
        dropouts: impl Fn(u32) -> Dropouts,
        positioning: &Positioning,
        (named, at): (NamedQuantizers, &str),
    ) -> Tensor<2> {
        let own = |part: &str| named.family.name(&format!("{at}.attention.self.{part}"));
        let parts = ["query", "key", "value"];
        let inputs = parts.map(|part| own(&format!("{part}.input")));
        let inputs = named.quantizers.fake_quantize_for(inputs.each_ref().map(String::as_str), &x);
        let SelfProjections { query, key, value, .. } = &self.attention.self_;
        let project = |i: usize, layer: &Linear, operand: usize| {
            let weight = named.weight(&format!("{at}.attention.self.{}", parts[i]), layer.weight.val());
            named
                .quantizers
                .fake_quantize(&own(OPERANDS[operand]), linear(inputs[i].clone(), weight, bias(layer)))
        };
        let operands = [project(0, query, 0), project(1, key, 1), project(2, value, 3)];
        let quantizer = named.quantizers.get(&own(OPERANDS[2])).cloned();
        let probabilities = quantizer.map(|quantizer| (quantizer, named.quantizers.phase()));
        let heads = architecture.shape.heads;
        let context = match &positioning.distances {
            Some(distances) => {
                let linear = |name: &str, layer: &Linear, x: Tensor<2>| {
                    let module = format!("{at}.attention.self.{name}");
                    if name.starts_with("pos_") {
                        return named.linear(&module, layer, x);
                    }
                    // These weights also project the hidden states, where they are observed; here they are only
                    // fake-quantized.
                    let weight = named.family.name(&format!("{module}.weight"));
                    let weight = named.quantizers.fake_quantize_again(&weight, layer.weight.val());
                    linear(x, weight, bias(layer))
                };
                let dropouts = [dropouts(0).attention, dropouts(3).hidden];
                let projections = &self.attention.self_;
                projections.disentangled(operands, sequences, dropouts, distances, linear, probabilities)
            }
            None => attention_products(
                operands,
                heads,
                sequences,
                dropouts(0).attention,
                &positioning.terms,
                probabilities,
            ),
        };
        let output = |module: &str, output: &Output, y: Tensor<2>, x: Tensor<2>, dropout: Dropout| {
            let y = named.linear(&format!("{at}.{module}.dense"), &output.dense, y);
            add_norm(y, x, output.LayerNorm.params(), dropout)
        };
        let x = output("attention.output", &self.attention.output, context, x, dropouts(1).hidden);
        let module = format!("{at}.intermediate.dense");
        let wide = named.linear(&module, &self.intermediate.dense, x.clone());
        let wide = activate(wide, architecture.activation);
        output("output", &self.output, wide, x, dropouts(2).hidden)
    }
}

/// The two matrix products of attention in every layer: `Q Kᵀ`, and attention weights times `V`.
pub(super) fn activation_matmuls(architecture: &Architecture) -> Vec<ActivationMatMul> {
    let (family, BertShape { heads, .. }) = (architecture.family, architecture.shape);
    let of_layer = |layer: usize| {
        let (at, of_scores, of_values): (_, &[&str], &[&str]) = match architecture.layers {
            LayerKind::PostNorm => ("layer.{}.attention.self", &["query", "key"], &["value"]),
            LayerKind::PreNormGated => ("layers.{}.attn", &["Wqkv"], &["Wqkv"]),
        };
        let at = at.replace("{}", &layer.to_string());
        let name = |part: &str| family.name(&format!("bert.encoder.{at}.{part}"));
        let [query, key, probabilities, value] = OPERANDS.map(name);
        let weights = |parts: &[&str]| parts.iter().map(|p| name(&format!("{p}.weight"))).collect();
        [
            ActivationMatMul { weights: weights(of_scores), left: query, right: key, heads },
            ActivationMatMul { weights: weights(of_values), left: probabilities, right: value, heads },
        ]
    };
    (0..architecture.distinct_layers()).flat_map(of_layer).collect()
}
