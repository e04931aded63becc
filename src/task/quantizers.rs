//! The quantizers of a model, for quantization-aware training and post-training quantization.
//!
//! A model that can be quantized holds [`Quantizers`] and fake-quantizes its weights and activations with them by
//! name. Clones of a model share them; [`Quantizers::copied`] makes independent ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use burn::tensor::Tensor;

use crate::diag::counted;
use crate::method::qat::quantizer::Mode;
use crate::method::qat::{Channels, Grid, Phase, QParams, Quantizer, Range};
use crate::params::ParameterTable;
use crate::params::quantization::{ActivationScale, Quantization, Scheme, WeightScales};
use crate::params::table::layer_of;

use super::input_recorder::InputRecorder;
use super::model::kernels::{fake_quantize, ranges};
use super::parameters::{ModuleParameter, Values};

/// A matrix product of two activations (SparseML's `QATMatMul`). Its operands are quantized if all the weights that
/// produce them are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationMatMul {
    /// The names of the weights that produce the operands.
    pub weights: Vec<String>,
    /// The name of the left operand's quantizer.
    pub left: String,
    /// The name of the right operand's quantizer.
    pub right: String,
    /// The number of attention heads, which share the weights' rows evenly, head after head.
    pub heads: usize,
}

/// The quantizers of a model's tensors by name. A weight has its parameter's name, the input of a linear layer its
/// module's name and `.input`, and an operand of an [`ActivationMatMul`] the name given there.
#[derive(Debug, Default)]
pub struct Quantizers {
    quantizers: BTreeMap<String, Arc<Quantizer>>,
    phase: AtomicU8,
    recorder: Option<Arc<InputRecorder>>,
}

/// The state of a quantizer in a checkpoint, without its ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QuantizerRecord {
    /// The bits of the integers.
    pub bits: u32,
    /// Whether the zero point is 0 and the range symmetric.
    pub symmetric: bool,
    /// Whether each output channel (row) has its own scale.
    pub per_row: bool,
    /// Whether fake quantization has begun.
    #[serde(rename = "rounds")]
    pub fake_quantizing: bool,
    /// Whether its scales are fixed.
    pub fixed: bool,
}

impl Quantizers {
    /// Copies in the same state that do not share it.
    pub fn copied(&self) -> Self {
        let quantizers = self.quantizers.iter().map(|(n, q)| (n.clone(), Arc::new(q.copied()))).collect();
        Quantizers { quantizers, ..Quantizers::default() }
    }

    /// The same quantizers, which also record the inputs of layers.
    pub fn recorded_by(&self, recorder: &Arc<InputRecorder>) -> Self {
        Quantizers {
            quantizers: self.quantizers.clone(),
            recorder: Some(recorder.clone()),
            ..Quantizers::default()
        }
    }

    /// Whether no tensor has a quantizer.
    pub fn is_empty(&self) -> bool {
        self.quantizers.is_empty()
    }

    /// The quantizer of a tensor.
    pub fn get(&self, name: &str) -> Option<&Arc<Quantizer>> {
        self.quantizers.get(name)
    }

    /// All quantizers, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Quantizer>)> {
        self.quantizers.iter()
    }

    /// Adds a quantizer, or replaces the one of that name.
    pub fn add(&mut self, name: String, quantizer: Quantizer) {
        self.quantizers.insert(name, Arc::new(quantizer));
    }

    /// Removes the quantizer of a tensor.
    pub fn remove(&mut self, name: &str) {
        self.quantizers.remove(name);
    }

    /// Sets the phase of the next forward passes.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The phase of the present forward pass.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            n if n == Phase::Training as u8 => Phase::Training,
            n if n == Phase::Calibrating as u8 => Phase::Calibrating,
            _ => Phase::Evaluating,
        }
    }

    /// Fake-quantizes a tensor in the forward pass, and observes its range if the quantizer observes in this
    /// [`Phase`]. A tensor without a quantizer is unchanged.
    pub fn fake_quantize(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        if let Some(recorder) = &self.recorder {
            recorder.record(&[name], &x);
        }
        let Some(quantizer) = self.get(name) else { return x };
        let channels = quantizer.channels();
        match quantizer.pass(self.phase(), || ranges(&x, channels)) {
            Some(qparams) => fake_quantize(x, &qparams, channels),
            None => x,
        }
    }

    /// [`fake_quantize`](Self::fake_quantize) of one tensor that is the input of several modules. Quantizers with equal
    /// scales share the result.
    pub fn fake_quantize_for<const N: usize>(&self, names: [&str; N], x: &Tensor<2>) -> [Tensor<2>; N] {
        if let Some(recorder) = &self.recorder {
            recorder.record(&names, x);
        }
        let mut range: Option<Vec<Range>> = None;
        let mut done: Vec<(Arc<QParams>, Tensor<2>)> = Vec::new();
        names.map(|name| {
            let Some(quantizer) = self.get(name) else { return x.clone() };
            let observed = || range.get_or_insert_with(|| ranges(x, Channels::All)).clone();
            let Some(qparams) = quantizer.pass(self.phase(), observed) else { return x.clone() };
            if let Some((_, quantized)) = done.iter().find(|(other, _)| *other == qparams) {
                return quantized.clone();
            }
            let quantized = fake_quantize(x.clone(), &qparams, Channels::All);
            done.push((qparams, quantized.clone()));
            quantized
        })
    }

    /// Fake-quantizes a weight for its second use in a forward pass (word embeddings tied to the decoder), without
    /// observing it again.
    pub fn fake_quantize_again(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        match self.get(name).and_then(|q| Some((q.channels(), q.qparams()?))) {
            Some((channels, qparams)) => fake_quantize(x, &qparams, channels),
            None => x,
        }
    }

    /// The first tensor that had values that are not finite.
    pub fn non_finite(&self) -> Option<&str> {
        self.iter().find(|(_, q)| q.has_nonfinite_range()).map(|(name, _)| name.as_str())
    }

    /// Quantizes weights in the Hugging Face layout as the forward pass does.
    pub fn quantize_values(&self, table: &ParameterTable, values: &mut Values) {
        for (name, values) in values {
            let qparams = self.get(name).and_then(|quantizer| quantizer.qparams());
            if let (Some(qparams), Some(parameter)) = (qparams, table.find(name)) {
                qparams.fake_quantize_rows(values, parameter.inputs());
            }
        }
    }

    /// The quantizers of a model with only these layers, renumbered in this order.
    pub fn keep_layers(&self, kept: &[usize]) -> Self {
        let mut quantizers = BTreeMap::new();
        for (name, quantizer) in &self.quantizers {
            match layer_of(name) {
                None => {
                    quantizers.insert(name.clone(), quantizer.clone());
                }
                Some((before, layer, after)) => {
                    for place in kept.iter().enumerate().filter_map(|(i, old)| (*old == layer).then_some(i)) {
                        quantizers.insert(format!("{before}{place}{after}"), Arc::new(quantizer.copied()));
                    }
                }
            }
        }
        Quantizers { quantizers, ..Quantizers::default() }
    }

    /// The state of each quantizer for a checkpoint, and its ranges: all minima, then all maxima.
    pub fn record(&self) -> BTreeMap<String, (QuantizerRecord, Vec<f32>)> {
        let recorded = |quantizer: &Quantizer| {
            let (grid, mode) = (quantizer.grid(), quantizer.mode());
            let record = QuantizerRecord {
                bits: grid.bits,
                symmetric: grid.symmetric,
                per_row: quantizer.channels() != Channels::All,
                fake_quantizing: mode != Mode::ObserveOnly,
                fixed: mode == Mode::Frozen,
            };
            let ranges = quantizer.ranges();
            let low = ranges.iter().map(|r| r.low);
            (record, low.chain(ranges.iter().map(|r| r.high)).collect())
        };
        self.iter().map(|(name, quantizer)| (name.clone(), recorded(quantizer))).collect()
    }

    /// Restores [`record`](Self::record). `None` if a record does not fit the parameters.
    pub fn restored(
        records: BTreeMap<String, (QuantizerRecord, Vec<f32>)>,
        parameters: &[ModuleParameter],
    ) -> Option<Self> {
        let mut quantizers = Quantizers::default();
        for (name, (record, ends)) in records {
            let parameter = parameters.iter().find(|p| p.parameter.name == name);
            let channels = channels(parameter, record.per_row);
            let (low, high) = ends.split_at(ends.len() / 2);
            let fits = match (parameter, channels) {
                (_, Channels::All) => ends.is_empty() || ends.len() == 2,
                (Some(p), _) => ends.is_empty() || ends.len() == 2 * p.parameter.shape[0],
                (None, _) => false,
            };
            if !fits || !(2..=8).contains(&record.bits) || !ends.iter().all(|end| end.is_finite()) {
                return None;
            }
            let ranges = low.iter().zip(high).map(|(low, high)| Range { low: *low, high: *high }).collect();
            let grid = Grid { bits: record.bits, symmetric: record.symmetric };
            let mode = match (record.fake_quantizing, record.fixed) {
                (false, _) => Mode::ObserveOnly,
                (true, false) => Mode::FakeQuantize,
                (true, true) => Mode::Frozen,
            };
            quantizers.add(name, Quantizer::restored(grid, channels, mode, ranges));
        }
        Some(quantizers)
    }

    /// The scales and zero points for a model folder's `quantization.json`. A name in `table` is a weight.
    pub fn scales(&self, table: &ParameterTable) -> Quantization {
        let (mut weights, mut activations) = (BTreeMap::new(), BTreeMap::new());
        for (name, quantizer) in &self.quantizers {
            let Some(qparams) = quantizer.qparams() else { continue };
            let Grid { bits, symmetric } = qparams.grid;
            let scheme = if symmetric { Scheme::Symmetric } else { Scheme::Asymmetric };
            if table.find(name).is_some() {
                let scales = qparams.scales.clone();
                weights.insert(name.clone(), WeightScales { bits, scheme, scales });
            } else {
                let (scale, zero_point) = (qparams.scales[0], qparams.zero);
                activations.insert(name.clone(), ActivationScale { bits, scheme, scale, zero_point });
            }
        }
        Quantization::new(weights, activations)
    }

    /// Quantizers with the fixed scales of a model folder.
    ///
    /// # Errors
    /// A message of one sentence if the scales do not fit the model.
    pub fn from_scales(scales: &Quantization, parameters: &[ModuleParameter]) -> Result<Self, String> {
        let mut quantizers = Quantizers::default();
        for (name, weight) in &scales.weights {
            let parameter = parameters.iter().find(|p| p.parameter.name == *name);
            let Some(parameter) = parameter.filter(|p| p.parameter.shape.len() == 2) else {
                return Err(format!("it has scales for `{name}`, which is no matrix of the model"));
            };
            let rows = parameter.parameter.shape[0];
            if ![1, rows].contains(&weight.scales.len()) {
                let rows = counted(rows, "row", "rows");
                return Err(format!("`{name}` has {rows} and {} scales", weight.scales.len()));
            }
            let grid = Grid { bits: weight.bits, symmetric: weight.scheme == Scheme::Symmetric };
            let channels = channels(Some(parameter), weight.scales.len() > 1);
            let qparams = QParams { grid, scales: weight.scales.clone(), zero: 0 };
            quantizers.add(name.clone(), Quantizer::fixed(qparams, channels));
        }
        for (name, a) in &scales.activations {
            let grid = Grid { bits: a.bits, symmetric: a.scheme == Scheme::Symmetric };
            let qparams = QParams { grid, scales: vec![a.scale], zero: a.zero_point };
            quantizers.add(name.clone(), Quantizer::fixed(qparams, Channels::All));
        }
        Ok(quantizers)
    }
}

/// The axis of a tensor's scales in Burn's layout: with `per_row`, one for each row of the weight in the Hugging Face
/// layout, otherwise one for the tensor.
pub fn channels(weight: Option<&ModuleParameter>, per_row: bool) -> Channels {
    match weight {
        Some(weight) if per_row && weight.transposed => Channels::Columns,
        Some(_) if per_row => Channels::Rows,
        _ => Channels::All,
    }
}
