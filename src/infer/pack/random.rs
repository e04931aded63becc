//! Random models of any shape and sparsity, for benchmarks.

use std::collections::BTreeMap;

use super::build::{Plan, build};
use crate::diag::Diagnostic;
use crate::infer::file::Image;
use crate::infer::file::layout::Head;
use crate::params::architecture::LayerKind;
use crate::params::builtin;
use crate::params::quantization::{ActivationScale, Quantization, Scheme, WeightScales};
use crate::params::storage::is_encoder_layer;
use crate::params::{BertConfig, ParameterTable};

/// A random model.
#[derive(Clone, Debug)]
pub struct Random {
    /// The configuration of the model, of any family.
    pub config: BertConfig,
    /// The fraction of blocks of four consecutive inputs in the encoder that are zero.
    pub sparsity: f64,
    /// The seed of the weights.
    pub seed: u64,
}

impl Random {
    /// Its parameters.
    pub fn table(&self) -> ParameterTable {
        builtin::table(&self.config.architecture(), builtin::Head::QuestionAnswering)
    }

    /// The values of a parameter, the same for every call; empty for an unknown name.
    pub fn tensor(&self, name: &str) -> Vec<f32> {
        let table = self.table();
        let Some(parameter) = table.find(name) else { return Vec::new() };
        let count = parameter.count();
        // Layer normalizations, and biases.
        if parameter.shape.len() == 1 {
            return vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count];
        }
        let mut draw = Xorshift(crate::infer::file::layout::hash(name.as_bytes()) ^ self.seed | 1);
        // Larger weights for a sparse layer keep the magnitude of its outputs.
        let pruned = parameter.is_prunable() && is_encoder_layer(name);
        let kept = if pruned { 1.0 - self.sparsity } else { 1.0 };
        let spread = 0.05 / kept.max(0.01).sqrt() as f32;
        let mut values = Vec::with_capacity(count);
        for block in 0..count.div_ceil(4) {
            let zero = pruned && draw.unit() >= kept;
            for _ in 0..4.min(count - 4 * block) {
                let value = (2.0 * draw.unit() - 1.0) as f32 * spread;
                values.push(if zero { 0.0 } else { value });
            }
        }
        values
    }

    /// Packs the model in float32, or in int8 with static quantization.
    ///
    /// # Errors
    /// Only for a shape that no model can have.
    pub fn pack(&self, bytes: bool) -> Result<Image, Diagnostic> {
        let plan = if bytes { Plan::Static(self.quantization()) } else { Plan::Float32 };
        build(&self.config, Head::Answers, None, &plan, &|name| Ok(self.tensor(name)))
    }

    /// Quantization parameters for activations with values around ±1.
    pub fn quantization(&self) -> Quantization {
        let architecture = self.config.architecture();
        let shape = architecture.shape;
        let mut weights = BTreeMap::new();
        let mut activations = BTreeMap::new();
        let scale = |scale: f32, zero_point: i32| ActivationScale {
            bits: 8,
            scheme: Scheme::Asymmetric,
            scale,
            zero_point,
        };
        for parameter in self.table().iter().filter(|p| p.shape.len() == 2) {
            let name = &parameter.name;
            let table = name.contains("_embeddings.");
            if !table && !is_encoder_layer(name) {
                continue;
            }
            let values = self.tensor(name);
            let rows = values.chunks(parameter.shape[1]);
            let size = |row: &[f32]| row.iter().fold(1e-6f32, |most, v| most.max(v.abs())) / 127.0;
            let scales: Vec<f32> = rows.map(size).collect();
            weights.insert(name.clone(), WeightScales { bits: 8, scheme: Scheme::Symmetric, scales });
            if let (false, Some(stem)) = (table, name.strip_suffix(".weight")) {
                let &[_, inputs] = &parameter.shape[..] else { continue };
                let gelu = inputs == shape.intermediate && inputs != shape.hidden;
                let input = if gelu { scale(4.0 / 255.0, 11) } else { scale(8.0 / 255.0, 128) };
                activations.insert(format!("{stem}.input"), input);
            }
        }
        for layer in 0..architecture.distinct_layers() {
            let at = match architecture.layers {
                LayerKind::PostNorm => format!("bert.encoder.layer.{layer}.attention.self"),
                LayerKind::PreNormGated => format!("bert.encoder.layers.{layer}.attn"),
            };
            let name = |operand: &str| architecture.family.name(&format!("{at}.{operand}"));
            for state in ["query_states", "key_states", "value_states"] {
                activations.insert(name(state), scale(8.0 / 255.0, 128));
            }
            activations.insert(name("probabilities"), scale(1.0 / 255.0, 0));
        }
        Quantization::new(weights, activations)
    }
}

/// The xorshift64 generator.
struct Xorshift(u64);

impl Xorshift {
    /// The next number in 0..1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
