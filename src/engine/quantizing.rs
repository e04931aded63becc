//! Rounding that begins, and ranges that are fixed, while a stage runs.
//!
//! Once a weight or an activation is rounded it stays so: a window says when ranges are observed.
//! They are fixed at `freeze`, or else where the window or the stage ends.

use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;

use crate::method::qat::quantizer::Stand;
use crate::method::qat::{Channels, Grid, Phase, Quantizer};
use crate::runlog::{Quantized, RangesFixed};
use crate::schedule::Timeline;
use crate::schedule::ir::{Quantize, Scheme};
use crate::task::Task;
use crate::task::data::sampler::Sampler;
use crate::task::model::kernels;
use crate::task::parameters::{self, ModuleParameter};
use crate::task::rounding::{self, Rounding};

use super::EngineError;
use super::events::{Event, Observer, Work};
use super::machine;
use super::stage::StageRun;

/// A tensor that a statement rounds.
struct Point {
    name: String,
    grid: Grid,
    channels: Channels,
    is_weight: bool,
}

/// When a statement does what: steps, of which the stage's number of steps is its end.
struct Instants {
    start: u64,
    fixed: Option<u64>,
}

fn instants(statement: &Quantize, timeline: &Timeline) -> Instants {
    let step = |time| timeline.first_step(time);
    let end = step(statement.end);
    let start = step(statement.start);
    let closes = (end < timeline.steps() && end > start).then_some(end);
    let frozen = statement.freeze.map(step);
    let fixed = [frozen, closes].into_iter().flatten().min();
    Instants { start, fixed }
}

impl<T: Task> StageRun<'_, T> {
    /// The model with a rounding of its own: what this stage observes is no other model's.
    pub(super) fn own_rounding(&self, model: T::Model) -> Result<T::Model, EngineError> {
        match self.task.rounding(&model).cloned() {
            None => Ok(model),
            Some(shared) => self.with_rounding(model, Some(Arc::new(shared.copied()))),
        }
    }

    /// The model with another rounding.
    pub(super) fn with_rounding(
        &self,
        model: T::Model,
        rounding: Option<Arc<Rounding>>,
    ) -> Result<T::Model, EngineError> {
        set(self.task, model, rounding, &self.stage.name)
    }

    /// Whether everything that the stage rounds is rounded from this step on.
    pub(super) fn is_rounded(&self, model: &T::Model, step: u64, timeline: &Timeline) -> bool {
        let has_begun = self.stage.quantize.iter().all(|s| instants(s, timeline).start <= step);
        has_begun && self.task.rounding(model).is_none_or(|r| r.iter().all(|(_, q)| q.rounder().is_some()))
    }

    /// What begins to be rounded before a step, and whose ranges are fixed.
    pub(super) fn quantize_before(
        &self,
        step: u64,
        timeline: &Timeline,
        model: T::Model,
        observer: &mut dyn Observer,
    ) -> Result<T::Model, EngineError> {
        let mut model = model;
        for (index, statement) in self.stage.quantize.iter().enumerate() {
            let Instants { start, fixed } = instants(statement, timeline);
            if start == step {
                model = self.begin(index, step, model, observer)?;
            }
            if fixed == Some(step) {
                self.fix(statement, step, &model, observer)?;
            }
        }
        Ok(model)
    }

    /// Ranges that are still observed are fixed where the stage ends.
    pub(super) fn fix_all(&self, model: &T::Model, step: u64) -> Result<(), EngineError> {
        let Some(rounding) = self.task.rounding(model) else { return Ok(()) };
        rounding.iter().try_for_each(|(name, quantizer)| self.fix_one(name, quantizer, step))
    }

    /// Refuses ranges that are not finite.
    pub(super) fn check_ranges(&self, model: &T::Model, step: u64) -> Result<(), EngineError> {
        match self.task.rounding(model).and_then(|rounding| rounding.trouble()) {
            None => Ok(()),
            Some(tensor) => Err(EngineError::RangeNotFinite {
                stage: self.stage.name.clone(),
                step,
                tensor: tensor.to_owned(),
            }),
        }
    }

    /// While `compute` runs, the model computes for another purpose.
    pub(super) fn in_phase<R>(&self, model: &T::Model, phase: Phase, compute: impl FnOnce() -> R) -> R {
        let rounding = self.task.rounding(model);
        rounding.iter().for_each(|r| r.set_phase(phase));
        let computed = compute();
        rounding.iter().for_each(|r| r.set_phase(Phase::Computing));
        computed
    }

    /// Weights are observed as they are, activations over batches of training data without dropout; then
    /// all of them are rounded.
    fn begin(
        &self,
        index: usize,
        step: u64,
        model: T::Model,
        observer: &mut dyn Observer,
    ) -> Result<T::Model, EngineError> {
        let clock = Instant::now();
        let statement = &self.stage.quantize[index];
        let points = self.points(statement, &model)?;
        let mut rounding = self.task.rounding(&model).map_or_else(Rounding::default, |r| r.copied());
        for point in &points {
            let known = rounding.get(&point.name).filter(|q| {
                // What was observed before goes on, unless it is to be observed anew.
                statement.calibrate == 0 && (q.grid(), q.channels()) == (point.grid, point.channels)
            });
            match known {
                Some(quantizer) => quantizer.set_stand(Stand::Rounding),
                None => rounding.add(point.name.clone(), Quantizer::new(point.grid, point.channels)),
            }
        }
        let weights: Vec<&Point> = points.iter().filter(|p| p.is_weight).collect();
        let mut values = parameters::read(&model, |name| weights.iter().any(|p| p.name == name));
        let table = parameters::table(&model);
        for point in &weights {
            let quantizer = rounding.get(&point.name).filter(|q| !q.has_scales());
            let (Some(quantizer), Some(values), Some(parameter)) =
                (quantizer, values.remove(&point.name), table.find(&point.name))
            else {
                continue;
            };
            let width = if point.channels == Channels::All { values.len() } else { parameter.inputs() };
            let rows = values.chunks(width.max(1));
            quantizer.observe(&rows.map(kernels::fake_quant::range_of).collect::<Vec<_>>());
        }
        let model = self.with_rounding(model, Some(Arc::new(rounding)))?;
        self.check_ranges(&model, step)?;
        self.calibrate(index, &model, step, observer)?;
        if let Some(rounding) = self.task.rounding(&model) {
            points.iter().filter_map(|p| rounding.get(&p.name)).for_each(|q| q.set_stand(Stand::Rounding));
        }
        let event = Event::Quantized(Quantized {
            stage: self.stage.name.clone(),
            step,
            at: statement.start.to_string(),
            weights: weights.len(),
            weight_bits: statement.weights.bits,
            activations: points.len() - weights.len(),
            activation_bits: statement.activations.map(|scheme| scheme.bits),
            calibrated: statement.calibrate,
            seconds: clock.elapsed().as_secs_f64(),
            memory: machine::peak_memory(),
        });
        observer.event(&event).map_err(EngineError::Observer)?;
        Ok(model)
    }

    /// The model reads batches of training data, and what waits to be rounded is observed.
    fn calibrate(
        &self,
        index: usize,
        model: &T::Model,
        step: u64,
        observer: &mut dyn Observer,
    ) -> Result<(), EngineError> {
        let batches = self.stage.quantize[index].calibrate;
        if batches > 0 && self.task.examples() == 0 {
            let why = format!("`{}` has no training data to observe", self.stage.name);
            return Err(EngineError::Missing(why));
        }
        let plain = model.valid();
        let seed = self.draw(u64::MAX - index as u64, step);
        let mut sampler = Sampler::new(self.task.examples(), self.stage.train.batch, seed);
        for number in 0..batches as u64 {
            let batch = self.task.batch(&sampler.batch(number), self.device);
            self.in_phase(model, Phase::Calibrating, || self.task.outputs(&plain, &batch, None));
            self.check_ranges(model, step)?;
            observer.progress(Work::Calibrating(&self.stage.name), number + 1, batches as u64);
        }
        Ok(())
    }

    fn fix(
        &self,
        statement: &Quantize,
        step: u64,
        model: &T::Model,
        observer: &mut dyn Observer,
    ) -> Result<(), EngineError> {
        let Some(rounding) = self.task.rounding(model) else { return Ok(()) };
        let points = self.points(statement, model)?;
        for point in &points {
            if let Some(quantizer) = rounding.get(&point.name) {
                self.fix_one(&point.name, quantizer, step)?;
            }
        }
        let (stage, tensors) = (self.stage.name.clone(), points.len());
        let event = Event::RangesFixed(RangesFixed { stage, step, tensors });
        observer.event(&event).map_err(EngineError::Observer)
    }

    fn fix_one(&self, name: &str, quantizer: &Quantizer, step: u64) -> Result<(), EngineError> {
        if !quantizer.has_scales() {
            let (stage, tensor) = (self.stage.name.clone(), name.to_owned());
            return Err(EngineError::NeverObserved { stage, step, tensor });
        }
        quantizer.set_stand(Stand::Fixed);
        Ok(())
    }

    /// The tensors that a statement rounds: the selected weights, the inputs of those that belong to linear
    /// layers, and the operands of products all of whose weights are selected.
    fn points(&self, statement: &Quantize, model: &T::Model) -> Result<Vec<Point>, EngineError> {
        let matcher =
            statement.targets.selector.matcher().map_err(|e| EngineError::selector(&self.stage.name, e))?;
        let refuse = |why: String| EngineError::Selector { stage: self.stage.name.clone(), why };
        let selected: Vec<ModuleParameter> = parameters::parameters(model)
            .into_iter()
            .filter(|p| matcher.matches(&p.parameter.name))
            .collect();
        if selected.is_empty() {
            return Err(refuse(format!("`{}` matches no parameter", statement.targets.selector)));
        }
        if let Some(other) = selected.iter().find(|p| p.parameter.shape.len() != 2) {
            return Err(refuse(format!("`{}` is no matrix and cannot be rounded", other.parameter.name)));
        }
        let grid = |scheme: Scheme, symmetric: bool| Grid { bits: u32::from(scheme.bits), symmetric };
        let weights = grid(statement.weights, true);
        let mut points: Vec<Point> = selected
            .iter()
            .map(|p| Point {
                name: p.parameter.name.clone(),
                grid: weights,
                channels: rounding::channels(Some(p), statement.weights.per_channel),
                is_weight: true,
            })
            .collect();
        let Some(scheme) = statement.activations else { return Ok(points) };
        let activation = |name: String, symmetric: bool| Point {
            name,
            grid: grid(scheme, symmetric),
            channels: Channels::All,
            is_weight: false,
        };
        for p in selected.iter().filter(|p| p.transposed) {
            let module = p.parameter.name.trim_end_matches(".weight");
            points.push(activation(format!("{module}.input"), scheme.symmetric));
        }
        if statement.attention {
            let is_selected = |name: &String| selected.iter().any(|p| p.parameter.name == *name);
            for product in self.task.products(model) {
                if product.weights.iter().all(is_selected) {
                    points.push(activation(product.left, scheme.symmetric));
                    points.push(activation(product.right, true));
                }
            }
        }
        Ok(points)
    }
}

/// The model of a task with another rounding.
pub fn set<T: Task>(
    task: &T,
    model: T::Model,
    rounding: Option<Arc<Rounding>>,
    stage: &str,
) -> Result<T::Model, EngineError> {
    if rounding.is_none() && task.rounding(&model).is_none() {
        return Ok(model);
    }
    task.set_rounding(model, rounding).ok_or_else(|| EngineError::NotRoundable { stage: stage.to_owned() })
}
