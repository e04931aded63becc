//! What of a model is rounded to few bits.
//!
//! A model that can be rounded carries a [`Rounding`] and lets its weights and activations pass
//! through it by their names. Clones of the model share it; whoever wants one of its own copies it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use burn::tensor::Tensor;

use crate::method::qat::quantizer::Mode;
use crate::method::qat::{Channels, Grid, Phase, QParams, Quantizer, Range};
use crate::params::ParameterTable;
use crate::params::quantization::{ActivationScale, Quantization, Scheme, WeightScales};
use crate::params::table::layer_of;

use super::model::kernels::{fake_quantize, ranges};
use super::parameters::{ModuleParameter, Values};

/// A product of two activations, and the weights that make its operands: it is rounded if all of them are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The weights, by name.
    pub weights: Vec<String>,
    /// What its left operand is called.
    pub left: String,
    /// What its right operand is called.
    pub right: String,
    /// Attention heads: each has as many consecutive rows of the weights.
    pub heads: usize,
}

/// The quantizers of a model's tensors, by name: weights by the parameter's name, what a linear layer
/// reads by its module's and `.input`, operands of products by the model's own names.
#[derive(Debug, Default)]
pub struct Rounding {
    quantizers: BTreeMap<String, Arc<Quantizer>>,
    phase: AtomicU8,
}

/// The state of a quantizer, as checkpoints keep it beside its ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QuantizerRecord {
    /// Bits of an integer.
    pub bits: u32,
    /// Whether zero lies in the middle.
    pub symmetric: bool,
    /// Whether each row has a scale.
    pub per_row: bool,
    /// Whether it rounds.
    pub rounds: bool,
    /// Whether its scales are fixed.
    pub fixed: bool,
}

impl Rounding {
    /// A rounding of its own in the same state.
    pub fn copied(&self) -> Self {
        let quantizers = self.quantizers.iter().map(|(n, q)| (n.clone(), Arc::new(q.copied()))).collect();
        Rounding { quantizers, phase: AtomicU8::default() }
    }

    /// Whether nothing is rounded.
    pub fn is_empty(&self) -> bool {
        self.quantizers.is_empty()
    }

    /// The quantizer of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Quantizer>> {
        self.quantizers.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Quantizer>)> {
        self.quantizers.iter()
    }

    /// Adds a quantizer, in place of another of that name.
    pub fn add(&mut self, name: String, quantizer: Quantizer) {
        self.quantizers.insert(name, Arc::new(quantizer));
    }

    /// Rounds a tensor no more.
    pub fn remove(&mut self, name: &str) {
        self.quantizers.remove(name);
    }

    /// What the model computes for, from now on.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// What the model computes for.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            n if n == Phase::Training as u8 => Phase::Training,
            n if n == Phase::Calibrating as u8 => Phase::Calibrating,
            _ => Phase::Evaluating,
        }
    }

    /// A tensor on its way through the model, rounded if it is to be.
    pub fn pass(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let Some(quantizer) = self.get(name) else { return x };
        let channels = quantizer.channels();
        match quantizer.pass(self.phase(), || ranges(&x, channels)) {
            Some(qparams) => fake_quantize(x, &qparams, channels),
            None => x,
        }
    }

    /// The same tensor on its way to several places, under a name for each. Where they round it alike it is
    /// rounded once.
    pub fn pass_to<const N: usize>(&self, names: [&str; N], x: &Tensor<2>) -> [Tensor<2>; N] {
        let mut range: Option<Vec<Range>> = None;
        let mut done: Vec<(Arc<QParams>, Tensor<2>)> = Vec::new();
        names.map(|name| {
            let Some(quantizer) = self.get(name) else { return x.clone() };
            let observed = || range.get_or_insert_with(|| ranges(x, Channels::All)).clone();
            let Some(qparams) = quantizer.pass(self.phase(), observed) else { return x.clone() };
            if let Some((_, rounded)) = done.iter().find(|(other, _)| *other == qparams) {
                return rounded.clone();
            }
            let rounded = fake_quantize(x.clone(), &qparams, Channels::All);
            done.push((qparams, rounded.clone()));
            rounded
        })
    }

    /// A weight that has passed before in this forward pass, rounded alike.
    pub fn again(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        match self.get(name).and_then(|q| Some((q.channels(), q.qparams()?))) {
            Some((channels, qparams)) => fake_quantize(x, &qparams, channels),
            None => x,
        }
    }

    /// The first tensor whose range was not finite.
    pub fn trouble(&self) -> Option<&str> {
        self.iter().find(|(_, q)| q.has_nonfinite_range()).map(|(name, _)| name.as_str())
    }

    /// Weights in the Hugging Face layout, rounded as the model computes with them.
    pub fn round_values(&self, table: &ParameterTable, values: &mut Values) {
        for (name, values) in values {
            let qparams = self.get(name).and_then(|quantizer| quantizer.qparams());
            if let (Some(qparams), Some(parameter)) = (qparams, table.find(name)) {
                qparams.fake_quantize_rows(values, parameter.inputs());
            }
        }
    }

    /// The quantizers of a model of which only these layers stay, renumbered in this order.
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
        Rounding { quantizers, phase: AtomicU8::default() }
    }

    /// What checkpoints keep of it: the state of each quantizer, and its ranges, all low ends before all
    /// high ones.
    pub fn record(&self) -> BTreeMap<String, (QuantizerRecord, Vec<f32>)> {
        let recorded = |quantizer: &Quantizer| {
            let (grid, mode) = (quantizer.grid(), quantizer.mode());
            let record = QuantizerRecord {
                bits: grid.bits,
                symmetric: grid.symmetric,
                per_row: quantizer.channels() != Channels::All,
                rounds: mode != Mode::ObserveOnly,
                fixed: mode == Mode::Frozen,
            };
            let ranges = quantizer.ranges();
            let low = ranges.iter().map(|r| r.low);
            (record, low.chain(ranges.iter().map(|r| r.high)).collect())
        };
        self.iter().map(|(name, quantizer)| (name.clone(), recorded(quantizer))).collect()
    }

    /// The rounding that was recorded, of a model with these parameters. `None` if it does not fit them.
    pub fn restored(
        records: BTreeMap<String, (QuantizerRecord, Vec<f32>)>,
        parameters: &[ModuleParameter],
    ) -> Option<Self> {
        let mut rounding = Rounding::default();
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
            let mode = match (record.rounds, record.fixed) {
                (false, _) => Mode::ObserveOnly,
                (true, false) => Mode::FakeQuantize,
                (true, true) => Mode::Frozen,
            };
            rounding.add(name, Quantizer::restored(grid, channels, mode, ranges));
        }
        Some(rounding)
    }

    /// The scales as a model folder holds them; of weights those of `table`.
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

    /// The rounding of a model folder's scales, for good.
    ///
    /// # Errors
    /// One sentence if they do not fit the model.
    pub fn of_scales(scales: &Quantization, parameters: &[ModuleParameter]) -> Result<Self, String> {
        let mut rounding = Rounding::default();
        for (name, weight) in &scales.weights {
            let parameter = parameters.iter().find(|p| p.parameter.name == *name);
            let Some(parameter) = parameter.filter(|p| p.parameter.shape.len() == 2) else {
                return Err(format!("it has scales for `{name}`, which is no matrix of the model"));
            };
            let rows = parameter.parameter.shape[0];
            if ![1, rows].contains(&weight.scales.len()) {
                return Err(format!("`{name}` has {rows} rows and {} scales", weight.scales.len()));
            }
            let grid = Grid { bits: weight.bits, symmetric: weight.scheme == Scheme::Symmetric };
            let channels = channels(Some(parameter), weight.scales.len() > 1);
            let qparams = QParams { grid, scales: weight.scales.clone(), zero: 0 };
            rounding.add(name.clone(), Quantizer::fixed(qparams, channels));
        }
        for (name, a) in &scales.activations {
            let grid = Grid { bits: a.bits, symmetric: a.scheme == Scheme::Symmetric };
            let qparams = QParams { grid, scales: vec![a.scale], zero: a.zero_point };
            rounding.add(name.clone(), Quantizer::fixed(qparams, Channels::All));
        }
        Ok(rounding)
    }
}

/// What shares a scale of a weight whose rows have one each in the Hugging Face layout, or of anything
/// that has one alone.
pub fn channels(weight: Option<&ModuleParameter>, per_row: bool) -> Channels {
    match weight {
        Some(weight) if per_row && weight.transposed => Channels::Columns,
        Some(_) if per_row => Channels::Rows,
        _ => Channels::All,
    }
}
