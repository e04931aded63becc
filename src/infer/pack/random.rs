//! Random models of any shape and sparsity, for benchmarks.

use std::collections::BTreeMap;

use super::build::{Plan, build};
use crate::diag::Diagnostic;
use crate::infer::file::Image;
use crate::infer::file::layout::Head;
use crate::params::builtin::{self, bert};
use crate::params::quantization::{ActivationScale, Quantization, Scheme, WeightScales};
use crate::params::{BertConfig, BertShape, ParameterTable};

/// A random model.
#[derive(Clone, Debug)]
pub struct Random {
    /// The sizes of the model.
    pub shape: BertShape,
    /// The fraction of blocks of four consecutive inputs in the encoder that are zero.
    pub sparsity: f64,
    /// The seed of the weights.
    pub seed: u64,
}

impl Random {
    /// Its configuration.
    pub fn config(&self) -> BertConfig {
        BertConfig::new(self.shape)
    }

    /// Its parameters.
    pub fn table(&self) -> ParameterTable {
        bert(&self.shape, builtin::Head::QuestionAnswering)
    }

    /// The values of a parameter, the same for every call; empty for an unknown name.
    pub fn tensor(&self, name: &str) -> Vec<f32> {
        let table = self.table();
        let Some(parameter) = table.find(name) else { return Vec::new() };
        let count = parameter.count();
        if name.contains("LayerNorm") {
            return vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count];
        }
        if name.ends_with("bias") {
            return vec![0.0; count];
        }
        let mut draw = Xorshift(crate::infer::file::layout::hash(name.as_bytes()) ^ self.seed | 1);
        // Larger weights for a sparse layer keep the magnitude of its outputs.
        let pruned = parameter.is_prunable() && name.contains("encoder");
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
        build(&self.config(), Head::Answers, None, &plan, &|name| Ok(self.tensor(name)))
    }

    /// Quantization parameters for activations with values around ±1.
    pub fn quantization(&self) -> Quantization {
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
            let table = name.contains("embeddings");
            if !table && !name.contains("encoder") {
                continue;
            }
            let values = self.tensor(name);
            let rows = values.chunks(parameter.shape[1]);
            let size = |row: &[f32]| row.iter().fold(1e-6f32, |most, v| most.max(v.abs())) / 127.0;
            let scales: Vec<f32> = rows.map(size).collect();
            weights.insert(name.clone(), WeightScales { bits: 8, scheme: Scheme::Symmetric, scales });
            if let (false, Some(stem)) = (table, name.strip_suffix(".weight")) {
                let gelu = name.ends_with("output.dense.weight") && !name.contains("attention");
                let input = if gelu { scale(4.0 / 255.0, 11) } else { scale(8.0 / 255.0, 128) };
                activations.insert(format!("{stem}.input"), input);
            }
        }
        for layer in 0..self.shape.layers {
            for state in ["query_states", "key_states", "value_states"] {
                let name = format!("bert.encoder.layer.{layer}.attention.self.{state}");
                activations.insert(name, scale(8.0 / 255.0, 128));
            }
            let name = format!("bert.encoder.layer.{layer}.attention.self.probabilities");
            activations.insert(name, scale(1.0 / 255.0, 0));
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
