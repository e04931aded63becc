//! Writes the statements of a stage as modifiers.

use serde_yaml::Value;

use crate::params::ParameterTable;
use crate::schedule::ir::{
    Criterion, Distill, Hold, Layers, LrPiece, Obs, Pattern, Precision, Prune, Rank, Stage, Teacher, Update,
};
use crate::schedule::{Rational, Shape, Time};

use super::text::{float, modifier, number, words};
use super::{Refusals, epochs, epochs_or_refuse, quantize, select};

/// The groups of a recipe and their modifiers, in order. `length` is that of the stage in epochs.
pub(super) fn groups(
    stage: &Stage,
    length: f64,
    table: Option<&ParameterTable>,
    refusals: &mut Refusals,
) -> Vec<(&'static str, Value)> {
    let drops = stage.layers.is_some();
    let mut training =
        vec![modifier("EpochRangeModifier", [("start_epoch", number(0.0)), ("end_epoch", number(length))])];
    training.extend(stage.lr.iter().map(|piece| rate(piece, refusals)));
    // Always written, because the trainer's default differs from that of the language.
    training.push(modifier("SetWeightDecayModifier", [("weight_decay", float(stage.train.weight_decay))]));
    if let Some(factor) = stage.lr_factors.first() {
        refusals.add(
            format!("`lr` has a factor for `{}`", factor.targets.selector),
            "a SparseML recipe cannot select parameters by name for a learning rate; remove the factor",
        );
    }
    if let Some(every) = stage.evaluate_every {
        refusals.add(
            format!("`evaluate every {every}`"),
            "in SparseML this is an argument of the trainer; remove it",
        );
    }
    for freeze in &stage.freeze {
        let params = words(select::patterns(&freeze.targets.selector, drops, table, refusals));
        let mut list = vec![("params", params), ("trainable", Value::from(false))];
        list.extend(window(freeze, length, refusals));
        training.push(modifier("TrainableParamsModifier", list));
    }
    let mut pruning: Vec<Value> = stage.layers.iter().filter_map(|l| layers(l, table, refusals)).collect();
    pruning.extend(stage.prune.iter().map(|p| prune(p, length, drops, table, refusals)));
    for hold in &stage.hold {
        let params = words(select::patterns(&hold.targets.selector, drops, table, refusals));
        let mut list = vec![("params", params)];
        list.extend(window(hold, length, refusals));
        pruning.push(modifier("ConstantPruningModifier", list));
    }
    let quantization: Vec<Value> =
        quantize::quantization(stage, length, table, refusals).into_iter().collect();
    let distillation: Vec<Value> = stage.distill.iter().flat_map(|d| distill(d, length, refusals)).collect();
    let groups = [
        ("training_modifiers", training),
        ("pruning_modifiers", pruning),
        ("quantization_modifiers", quantization),
        ("distillation_modifiers", distillation),
    ];
    groups
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name, Value::Sequence(list)))
        .collect()
}

/// A piece of `lr` as a `LearningRateFunctionModifier`, or with cosine cycles as a `LearningRateModifier`.
fn rate(piece: &LrPiece, refusals: &mut Refusals) -> Value {
    let at = format!("the learning rate over {}..{}", piece.start, piece.end);
    let window = [
        ("start_epoch", epochs_or_refuse(piece.start, "the start of a learning rate", refusals)),
        ("end_epoch", epochs_or_refuse(piece.end, "the end of a learning rate", refusals)),
    ];
    let (from, to) = (piece.ramp.from, piece.ramp.to);
    if !(0.0..=1.0).contains(&from) || !(0.0..=1.0).contains(&to) {
        refusals.add(format!("{at} is outside 0..1"), "SparseML allows rates from 0 to 1");
    }
    let function = match (piece.ramp.shape, piece.repeating.is_some()) {
        (Shape::Constant | Shape::Linear, false) => "linear",
        (Shape::Linear, true) => "cyclic_linear",
        (Shape::Cosine, false) => "cosine",
        (Shape::Cosine, true) => return restarts(piece, window, refusals),
        (shape, _) => {
            let shape = format!("{shape:?}").to_lowercase();
            refusals.add(format!("{at} is {shape}"), "SparseML has linear, cosine and cyclic linear rates");
            "linear"
        }
    };
    let from = if piece.ramp.shape == Shape::Constant { to } else { from };
    let mut list = vec![("lr_func", Value::from(function))];
    list.extend(window);
    list.extend([("init_lr", float(from)), ("final_lr", float(to))]);
    if let Some(cycle) = piece.repeating {
        list.push(("cycle_epochs", epochs_or_refuse(cycle, "a cycle of the learning rate", refusals)));
    }
    modifier("LearningRateFunctionModifier", list)
}

/// Cosine cycles as `CosineAnnealingWarmRestarts`, which restarts after whole epochs.
fn restarts(piece: &LrPiece, window: [(&'static str, Value); 2], refusals: &mut Refusals) -> Value {
    let cycle = piece.repeating.and_then(epochs);
    if cycle.is_none_or(|c| c.fract() != 0.0) || piece.ramp.from <= 0.0 {
        refusals.add(
            "cosine cycles do not last whole epochs, or start at a rate of 0",
            "SparseML restarts after whole epochs only, from a rate above 0",
        );
    }
    let arguments = super::text::fields([
        ("lr_min", float(piece.ramp.to)),
        ("cycle_epochs", number(cycle.unwrap_or(1.0))),
    ]);
    let mut list = vec![
        ("lr_class", Value::from("CosineAnnealingWarmRestarts")),
        ("lr_kwargs", arguments),
        ("init_lr", float(piece.ramp.from)),
    ];
    list.extend(window);
    modifier("LearningRateModifier", list)
}

/// A `prune` statement as the modifier of its criterion and ranking.
fn prune(
    prune: &Prune,
    length: f64,
    drops: bool,
    table: Option<&ParameterTable>,
    refusals: &mut Refusals,
) -> Value {
    let on = &prune.targets.selector;
    if prune.rank == Rank::Measured || prune.at_most.is_some() {
        refusals.add(
            format!("the sparsity of the layers of `{on}` is measured, or limited"),
            "SparseML does neither: write `rank: global` and remove `at_most`",
        );
    }
    if prune.reconstruct.is_some() {
        refusals.add(
            format!("the layers of `{on}` are reconstructed after pruning"),
            "SparseML does not: remove `reconstruct`",
        );
    }
    let name = match (&prune.by, prune.rank) {
        (Criterion::Obs(_), _) => "OBSPruningModifier",
        (Criterion::Magnitude, Rank::Global | Rank::Measured) => "GlobalMagnitudePruningModifier",
        (Criterion::Magnitude, Rank::Layer) => "MagnitudePruningModifier",
        (Criterion::Movement, Rank::Layer) => "MovementPruningModifier",
        (Criterion::Movement, Rank::Global | Rank::Measured) => {
            refusals.add(
                format!("`{on}` is ranked globally by movement"),
                "SparseML's movement pruning ranks each parameter separately: write `rank: layer`",
            );
            "MovementPruningModifier"
        }
    };
    let obs = matches!(prune.by, Criterion::Obs(_));
    let mask = match prune.pattern {
        Pattern::Unstructured => Value::from("unstructured"),
        Pattern::Blocks(4) => Value::from("block4"),
        Pattern::Blocks(size) if !obs => Value::Sequence(vec![Value::from(1u64), Value::from(size as u64)]),
        Pattern::NofM { keep, of } if !obs => Value::from(format!("{keep}:{of}")),
        other => {
            refusals.add(
                format!("`{on}` is pruned in `{other}`"),
                "SparseML's modifier does not have this pattern",
            );
            Value::Null
        }
    };
    let function = match prune.sparsity.shape {
        Shape::Linear => "linear",
        Shape::Cubic => "cubic",
        Shape::InverseCubic => "inverse_cubic",
        other => {
            let shape = format!("{other:?}").to_lowercase();
            refusals.add(
                format!("the sparsity of `{on}` is {shape}"),
                "SparseML has linear, cubic and inverse_cubic",
            );
            "linear"
        }
    };
    if !prune.exceptions.is_empty() {
        refusals.add(
            format!("`{on}` has a separate `target` for some parameters"),
            "write a `prune` statement for each",
        );
    }
    let window = prune.window;
    if window.start == window.end {
        refusals.add(
            format!("`{on}` is pruned one-shot"),
            "SparseML prunes over a window: `over 0..1 epochs every 1 epoch`",
        );
    }
    if epochs(window.end).is_none_or(|end| end >= length) {
        refusals.add(
            format!("pruning of `{on}` ends with the run"),
            "SparseML's last step is before that end, so that it never reaches the sparsity: set an earlier end",
        );
    }
    let every = if window.every == Time::steps(Rational::ONE) {
        number(-1.0)
    } else {
        match epochs(window.every) {
            Some(every) => float(every),
            None => epochs_or_refuse(window.every, "the time between pruning events", refusals),
        }
    };
    let mut list = vec![
        ("params", words(select::patterns(on, drops, table, refusals))),
        ("init_sparsity", float(prune.sparsity.from)),
        ("final_sparsity", float(prune.sparsity.to)),
        ("start_epoch", epochs_or_refuse(window.start, "the start of `prune`", refusals)),
        ("end_epoch", epochs_or_refuse(window.end, "the end of `prune`", refusals)),
        ("update_frequency", every),
        ("inter_func", Value::from(function)),
        ("mask_type", mask),
    ];
    if let Criterion::Obs(obs) = &prune.by {
        let Obs {
            gradients,
            block,
            damp,
            batch,
            recompute,
            update,
            memory,
            precision,
            correlated,
            raise_damp,
        } = obs;
        if *update == Update::Exact {
            refusals.add(
                format!("`{on}` has the joint update of all weights pruned from a Fisher block"),
                "SparseML sums the updates for single weights: write `update: independent`",
            );
        }
        if memory.is_some() || *raise_damp {
            refusals.add(
                format!("`{on}` limits the memory, or raises the dampening"),
                "SparseML does neither; remove `memory:` and `or raise`",
            );
        }
        if *correlated || *precision != Precision::F32 {
            refusals.add(
                format!("`{on}` recomputes saliencies between removals, or stores gradients in bf16"),
                "SparseML does neither; remove `correlated` and `precision`",
            );
        }
        list.extend([
            ("global_sparsity", Value::from(prune.rank == Rank::Global)),
            ("num_grads", Value::from(*gradients as u64)),
            ("damp", float(*damp)),
            ("fisher_block_size", Value::from(*block as u64)),
            ("num_recomputations", Value::from(*recompute as u64)),
            ("grad_sampler_kwargs", super::text::fields([("batch_size", Value::from(*batch as u64))])),
        ]);
    }
    modifier(name, list)
}

/// `start_epoch` and `end_epoch` of a `hold` or `freeze`.
fn window(hold: &Hold, length: f64, refusals: &mut Refusals) -> [(&'static str, Value); 2] {
    times(hold.start, hold.end, length, refusals)
}

/// `start_epoch` and `end_epoch`; the end of the stage is -1.
fn times(start: Time, end: Time, length: f64, refusals: &mut Refusals) -> [(&'static str, Value); 2] {
    let last = if epochs(end).is_some_and(|e| e >= length) {
        number(-1.0)
    } else {
        epochs_or_refuse(end, "an end", refusals)
    };
    [("start_epoch", epochs_or_refuse(start, "a start", refusals)), ("end_epoch", last)]
}

/// `drop layers` or `keep layers` as a `LayerPruningModifier`.
fn layers(layers: &Layers, table: Option<&ParameterTable>, refusals: &mut Refusals) -> Option<Value> {
    let dropped = match (layers, table) {
        (Layers::Drop(list), _) => list.clone(),
        (Layers::Keep(list), Some(table)) if list.is_sorted() => {
            (0..table.layers()).filter(|l| !list.contains(l)).collect()
        }
        _ => {
            refusals.add("`keep layers` changes the order, or the model is not known", "SparseML lists the dropped layers: write `drop layers`, or give the model with `--model DIR`");
            return None;
        }
    };
    // The prefix of the model's layer names; BERT's for an unknown model.
    let stem = table.and_then(ParameterTable::layer_stem).unwrap_or("bert.encoder.layer.");
    let names = dropped.iter().map(|l| format!("{stem}{l}"));
    Some(modifier("LayerPruningModifier", [("layers", words(names))]))
}

/// The names in a pattern `{a,b}`, or the one name.
fn listed(pattern: &str) -> Vec<String> {
    let inner = pattern.strip_prefix('{').and_then(|p| p.strip_suffix('}')).unwrap_or(pattern);
    inner.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The modifiers of a `distill` statement: one for the outputs and one for the hidden states.
fn distill(distill: &Distill, length: f64, refusals: &mut Refusals) -> Vec<Value> {
    if distill.from != Teacher::Flag {
        refusals.add(
            "the teacher is named in the recipe",
            "SparseML takes it from the command line: write `distill from teacher`",
        );
    }
    let mut list = vec![("hardness", float(distill.hardness)), ("temperature", float(distill.temperature))];
    if !distill.outputs.is_empty() {
        list.push(("distill_output_keys", words(&distill.outputs)));
    }
    list.extend(times(distill.start, distill.end, length, refusals));
    let Some(hidden) = &distill.hidden else { return vec![modifier("DistillationModifier", list)] };
    let names = |pattern: &str| words(listed(pattern));
    let mut states = vec![
        ("gain", float(hidden.gain)),
        ("normalize", Value::Bool(hidden.normalize)),
        ("epsilon", float(hidden.epsilon)),
        ("student_layer_names", names(&hidden.modules)),
        ("teacher_layer_names", names(hidden.teacher.as_ref().unwrap_or(&hidden.modules))),
    ];
    if [Some(&hidden.modules), hidden.teacher.as_ref()].into_iter().flatten().any(|p| p.contains(['*', '?']))
    {
        refusals.add(
            "the modules of the hidden states are given by a pattern",
            "SparseML takes exact names only: list them, as `{bert.encoder.layer.0,bert.encoder.layer.1}`",
        );
    }
    states.extend(times(distill.start, distill.end, length, refusals));
    let states = modifier("PerLayerDistillationModifier", states);
    if distill.hardness == 0.0 { vec![states] } else { vec![modifier("DistillationModifier", list), states] }
}
