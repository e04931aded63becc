//! The results of stages.

use std::sync::Arc;

use burn::module::Module;
use serde::{Deserialize, Deserializer, Serialize};

use crate::params::storage::{Quantized, Storage, is_encoder_layer, zeros};
use crate::runlog::LayerSparsity;
use crate::task::metric::Metrics;
use crate::task::parameters;
use crate::task::quantizers::Quantizers;

/// The result of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    /// Its name.
    pub name: String,
    /// Whether it is a branch.
    pub branch: bool,
    /// The metrics of its final model.
    #[serde(deserialize_with = "metrics")]
    pub metrics: Metrics,
    /// The step of its final weights, if it ends with its best checkpoint.
    #[serde(rename = "kept")]
    pub best: Option<BestStep>,
    /// The sparsity of every prunable parameter.
    pub sparsity: Vec<LayerSparsity>,
    /// The number of nonzero parameters, and of all parameters.
    pub nonzero: (usize, usize),
    /// The storage size of the encoder's layers in bytes: see [`encoder_bytes`].
    #[serde(default)]
    pub encoder_bytes: usize,
    /// The time by kind of work.
    pub times: Times,
}

/// Reads `null`, which `serde_json` writes for NaN and infinities, as NaN.
fn metrics<'de, D: Deserializer<'de>>(from: D) -> Result<Metrics, D::Error> {
    let read = std::collections::BTreeMap::<String, Option<f64>>::deserialize(from)?;
    Ok(read.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect())
}

/// The last evaluation of a model, and the first pruning event since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The metrics.
    #[serde(deserialize_with = "metrics")]
    pub metrics: Metrics,
    /// The step of the first pruning event after it.
    pub pruned_since: Option<u64>,
}

/// The best evaluation of a stage so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEvaluation {
    /// The metric, the step and the value.
    #[serde(rename = "kept")]
    pub best: BestStep,
    /// All metrics.
    #[serde(deserialize_with = "metrics")]
    pub metrics: Metrics,
}

/// The best checkpoint that a stage ends with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestStep {
    /// The metric.
    pub metric: String,
    /// The step before which it was evaluated; the stage's number of steps for its end.
    pub step: u64,
    /// The value of the metric.
    pub value: f64,
}

/// Seconds by kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Training steps.
    pub training: f64,
    /// Pruning events, gradients included.
    pub pruning: f64,
    /// Evaluation on the dev set.
    pub evaluating: f64,
}

/// The sparsity of every prunable parameter.
pub fn layer_sparsity<M: Module>(model: &M) -> Vec<LayerSparsity> {
    let table = parameters::table(model);
    let prunable: Vec<&str> = table.iter().filter(|p| p.is_prunable()).map(|p| p.name.as_str()).collect();
    let values = parameters::read(model, |name| prunable.contains(&name));
    prunable
        .iter()
        .filter_map(|name| {
            let weights = values.get(*name)?;
            let zeros = weights.iter().filter(|w| **w == 0.0).count();
            Some(LayerSparsity { name: (*name).to_owned(), count: weights.len(), zeros })
        })
        .collect()
}

/// The storage size of the encoder's layers in bytes, with a bitmask of one bit for each weight: see
/// [`crate::params::storage`].
pub fn encoder_bytes<M: Module>(model: &M, quantizers: Option<&Arc<Quantizers>>) -> usize {
    let table = parameters::table(model);
    let mut storage = Storage::default();
    for (name, values) in parameters::read(model, is_encoder_layer) {
        let shape = table.find(&name).map_or(&[][..], |p| &p.shape);
        let qparams = quantizers.and_then(|quantizers| quantizers.get(&name)?.qparams());
        let qparams = qparams.filter(|_| shape.len() == 2);
        let columns = shape.last().copied().unwrap_or(1);
        let zeros = zeros(&values, columns, qparams.as_ref().map(|r| r.scales.as_slice()));
        let quantized = qparams.map(|r| Quantized { bits: r.grid.bits, scales: r.scales.len() });
        storage.add(&name, values.len(), zeros, shape.len() == 2, quantized);
    }
    storage.counted.encoder_bytes as usize
}

/// The number of nonzero parameters, and of all parameters.
pub fn nonzero<M: Module>(model: &M) -> (usize, usize) {
    let values = parameters::read(model, |_| true);
    let count = |f: fn(&[f32]) -> usize| values.values().map(|v| f(v)).sum();
    (count(|v| v.iter().filter(|w| **w != 0.0).count()), count(<[f32]>::len))
}
