//! `quantize`: begins fake quantization and freezes scales.
//!
//! Quantized weights and activations remain quantized; the window is that in which ranges are observed. Scales are
//! frozen at `freeze`, otherwise at the end of the window or of the stage.

use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;

use crate::engine::EngineError;
use crate::engine::context::StageContext;
use crate::engine::events::{Event, Observer, Work};
use crate::engine::machine;
use crate::engine::quantizers;
use crate::engine::state::StageState;
use crate::method::qat::quantizer::Mode;
use crate::method::qat::{Channels, Grid, Phase, Quantizer};
use crate::runlog::{Quantized, RangesFixed};
use crate::schedule::Timeline;
use crate::schedule::ir::{Quantize, Scheme};
use crate::task::Task;
use crate::task::data::sampler::Sampler;
use crate::task::model::kernels;
use crate::task::parameters::{self, ModuleParameter};
use crate::task::quantizers::{Quantizers, channels};

/// A tensor that a statement quantizes: its name, its scheme (bits and symmetry) and the axis of its scales.
struct Point {
    name: String,
    grid: Grid,
    channels: Channels,
    is_weight: bool,
}

/// The steps before which a statement begins fake quantization and freezes scales; `fixed` is `None` if scales are
/// frozen at the end of the stage.
struct PhaseSteps {
    start: u64,
    fixed: Option<u64>,
}

fn phase_steps(statement: &Quantize, timeline: &Timeline) -> PhaseSteps {
    let step = |time| timeline.first_step(time);
    let end = step(statement.end);
    let start = step(statement.start);
    let closes = (end < timeline.steps() && end > start).then_some(end);
    let frozen = statement.freeze.map(step);
    let fixed = [frozen, closes].into_iter().flatten().min();
    PhaseSteps { start, fixed }
}

/// Begins the fake quantization of statements, and freezes scales, before a step.
///
/// # Errors
/// Tensors that cannot be quantized, and ranges that are not finite.
pub fn before<T: Task>(
    context: &StageContext<T>,
    mut state: StageState<T::Model>,
    observer: &mut dyn Observer,
) -> Result<StageState<T::Model>, EngineError> {
    let step = state.step;
    for (index, statement) in context.stage.quantize.iter().enumerate() {
        let PhaseSteps { start, fixed } = phase_steps(statement, &context.timeline);
        if start == step {
            state.model = begin(context, index, step, state.model, observer)?;
        }
        if fixed == Some(step) {
            fix(context, statement, step, &state.model, observer)?;
        }
    }
    Ok(state)
}

/// Whether all tensors that the stage quantizes are quantized from this step on.
pub fn is_complete<T: Task>(context: &StageContext<T>, model: &T::Model, step: u64) -> bool {
    let statements = &context.stage.quantize;
    let has_begun = statements.iter().all(|s| phase_steps(s, &context.timeline).start <= step);
    let quantizers = context.task.quantizers(model);
    has_begun && quantizers.is_none_or(|all| all.iter().all(|(_, q)| q.qparams().is_some()))
}

/// Begins a statement: observes weights, calibrates activations with batches of training data without dropout, and begins
/// the fake quantization of both.
fn begin<T: Task>(
    context: &StageContext<T>,
    index: usize,
    step: u64,
    model: T::Model,
    observer: &mut dyn Observer,
) -> Result<T::Model, EngineError> {
    let clock = Instant::now();
    let (task, stage) = (context.task, context.stage);
    let statement = &stage.quantize[index];
    let points = points(context, statement, &model)?;
    let mut all = task.quantizers(&model).map_or_else(Quantizers::default, |r| r.copied());
    for point in &points {
        let known = all.get(&point.name).filter(|q| {
            // A quantizer of an earlier statement continues, unless it is calibrated again.
            statement.calibrate == 0 && (q.grid(), q.channels()) == (point.grid, point.channels)
        });
        match known {
            Some(quantizer) => quantizer.set_mode(Mode::FakeQuantize),
            None => all.add(point.name.clone(), Quantizer::new(point.grid, point.channels)),
        }
    }
    let weights: Vec<&Point> = points.iter().filter(|p| p.is_weight).collect();
    let mut values = parameters::read(&model, |name| weights.iter().any(|p| p.name == name));
    let table = parameters::table(&model);
    for point in &weights {
        let quantizer = all.get(&point.name).filter(|q| !q.has_scales());
        let (Some(quantizer), Some(values), Some(parameter)) =
            (quantizer, values.remove(&point.name), table.find(&point.name))
        else {
            continue;
        };
        let width = if point.channels == Channels::All { values.len() } else { parameter.inputs() };
        let rows = values.chunks(width.max(1));
        quantizer.observe(&rows.map(kernels::fake_quant::range_of).collect::<Vec<_>>());
    }
    let model = quantizers::set(task, model, Some(Arc::new(all)), &stage.name)?;
    quantizers::check_ranges(task, &model, &stage.name, step)?;
    calibrate(context, index, &model, step, observer)?;
    if let Some(all) = task.quantizers(&model) {
        points.iter().filter_map(|p| all.get(&p.name)).for_each(|q| q.set_mode(Mode::FakeQuantize));
    }
    let event = Quantized {
        stage: stage.name.clone(),
        step,
        at: statement.start.to_string(),
        weights: weights.len(),
        weight_bits: statement.weights.bits,
        activations: points.len() - weights.len(),
        activation_bits: statement.activations.map(|scheme| scheme.bits),
        calibrated: statement.calibrate,
        seconds: clock.elapsed().as_secs_f64(),
        memory: machine::peak_memory(),
    };
    context.report(observer, Event::Quantized(event))?;
    Ok(model)
}

/// Calibrates: observes the ranges of tensors to be quantized in forward passes over batches of training data.
fn calibrate<T: Task>(
    context: &StageContext<T>,
    index: usize,
    model: &T::Model,
    step: u64,
    observer: &mut dyn Observer,
) -> Result<(), EngineError> {
    let (task, stage) = (context.task, context.stage);
    let batches = stage.quantize[index].calibrate;
    if batches > 0 && task.examples() == 0 {
        return Err(EngineError::NoTrainingData { stage: stage.name.clone() });
    }
    let plain = model.valid();
    let seed = context.seed_for(u64::MAX - index as u64, step);
    let mut sampler = Sampler::new(task.examples(), stage.train.batch, seed);
    for number in 0..batches as u64 {
        let batch = task.batch(&sampler.batch(number), context.device);
        quantizers::in_phase(task, model, Phase::Calibrating, || task.outputs(&plain, &batch, None));
        quantizers::check_ranges(task, model, &stage.name, step)?;
        observer.progress(Work::Calibrating(&stage.name), number + 1, batches as u64);
    }
    Ok(())
}

fn fix<T: Task>(
    context: &StageContext<T>,
    statement: &Quantize,
    step: u64,
    model: &T::Model,
    observer: &mut dyn Observer,
) -> Result<(), EngineError> {
    let Some(all) = context.task.quantizers(model) else { return Ok(()) };
    let points = points(context, statement, model)?;
    for point in &points {
        if let Some(quantizer) = all.get(&point.name) {
            quantizers::fix(&point.name, quantizer, &context.stage.name, step)?;
        }
    }
    let event = RangesFixed { stage: context.name(), step, tensors: points.len() };
    context.report(observer, Event::RangesFixed(event))
}

/// The tensors that a statement quantizes: the selected weights, the inputs of selected linear layers, and the operands
/// of matrix products of activations whose weights are all selected.
fn points<T: Task>(
    context: &StageContext<T>,
    statement: &Quantize,
    model: &T::Model,
) -> Result<Vec<Point>, EngineError> {
    let stage = &context.stage.name;
    let selector = &statement.targets.selector;
    let matcher = selector.matcher().map_err(|e| EngineError::selector(stage, e))?;
    let all = parameters::parameters(model).into_iter();
    let selected: Vec<ModuleParameter> = all.filter(|p| matcher.matches(&p.parameter.name)).collect();
    if selected.is_empty() {
        return Err(EngineError::NothingSelected { stage: stage.clone(), selector: selector.to_string() });
    }
    if let Some(other) = selected.iter().find(|p| p.parameter.shape.len() != 2) {
        let (stage, parameter) = (stage.clone(), other.parameter.name.clone());
        return Err(EngineError::NoMatrix { stage, parameter });
    }
    let grid = |scheme: Scheme, symmetric: bool| Grid { bits: u32::from(scheme.bits), symmetric };
    let weights = grid(statement.weights, true);
    let mut points: Vec<Point> = selected
        .iter()
        .map(|p| Point {
            name: p.parameter.name.clone(),
            grid: weights,
            channels: channels(Some(p), statement.weights.per_channel),
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
        for matmul in context.task.activation_matmuls(model) {
            if matmul.weights.iter().all(is_selected) {
                points.push(activation(matmul.left, scheme.symmetric));
                points.push(activation(matmul.right, true));
            }
        }
    }
    Ok(points)
}
