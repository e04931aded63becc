//! Warnings of a run: Fisher matrices estimated from too few gradients; layers, attention heads and output channels
//! of which pruning left nothing or almost nothing; and metrics of which pruning cost more than a fifth. Each warning
//! says what to change in the recipe.

use std::collections::BTreeMap;

use crate::method::mask::Mask;
use crate::params::table::layer_of;
use crate::runlog::{self, LayerSparsity, Warning, WarningKind};
use crate::schedule::ir::{Criterion, Obs, Pattern, Prune, Rank, Stage};
use crate::task::Task;
use crate::task::metric::{Metrics, less_is_better};

use super::masks::Masks;
use super::targets::Targets;

/// The sparsity at which a matrix or a layer counts as almost empty.
const ALMOST_EMPTY: f64 = 0.99;

/// The share of a metric that pruning may cost without a warning.
const COST: f64 = 0.2;

/// How much sparser than all targets together a layer is, at least, to be listed as one of those that lost most.
const UNEVEN: f64 = 0.02;

/// The number of names that a message lists.
const LISTED: usize = 3;

/// Warnings before the first step of a stage about Fisher matrices that are estimated from no more gradients than a
/// block has weights: without dampening such a matrix is singular, or ill-conditioned if the two numbers are equal.
pub fn few_gradients(stage: &Stage) -> Vec<Warning> {
    let warning_of = |prune: &Prune| match &prune.by {
        Criterion::Obs(obs) if obs.block > 1 && obs.gradients <= obs.block => {
            let (gradients, block) = (obs.gradients, obs.block);
            let smaller = (gradients / 2).max(1);
            let message = format!(
                "`gradients: {gradients}` does not exceed `block: {block}`: without `damp`, each block of the \
                 Fisher matrix of `{}` would be singular or ill-conditioned",
                prune.targets.selector
            );
            let help = format!("write `gradients: {}`, or `block: {smaller}`", (20 * block).max(1024));
            Some(warning(&stage.name, 0, WarningKind::FewGradients, message, help))
        }
        _ => None,
    };
    stage.prune.iter().filter_map(warning_of).collect()
}

/// The warning at an evaluation if pruning cost more than [`COST`] of a metric since the last evaluation before it: if
/// the metric is below 80% of its value there, or a loss or perplexity above its value divided by 80%. It lists the
/// layers that were pruned most, where sparsity is uneven.
pub fn metric_cost(
    stage: &str,
    statements: &[Prune],
    step: u64,
    (before, after): (&Metrics, &Metrics),
    pruned_at: u64,
    masks: &Masks,
) -> Option<Warning> {
    let fell = |name: &&String| {
        let (Some(before), Some(after)) = (before.get(*name), after.get(*name)) else { return false };
        match less_is_better(name) {
            true => *before > 0.0 && *after > before / (1.0 - COST),
            false => *after < (1.0 - COST) * before,
        }
    };
    let names: Vec<&String> = before.keys().filter(fell).collect();
    if names.is_empty() {
        return None;
    }
    let change = |name: &&String| format!("{name} from {:.2} to {:.2}", before[*name], after[*name]);
    let changes: Vec<String> = names.iter().map(change).collect();
    let mut message = format!("pruning before step {pruned_at} changed {}", changes.join(", "));
    let layers: Vec<LayerSparsity> = masks
        .iter()
        .map(|(name, mask)| LayerSparsity { name: name.clone(), count: mask.len(), zeros: mask.pruned() })
        .collect();
    let sparsest = sparsest(&layers);
    if !sparsest.is_empty() {
        message.push_str(&format!("; pruned most are {}", listed(&sparsest)));
    }
    Some(warning(stage, step, WarningKind::MetricCost, message, cheaper(statements)))
}

/// What makes pruning by these statements cost less, in the words of a recipe.
fn cheaper(statements: &[Prune]) -> String {
    let mut advice: Vec<&str> = Vec::new();
    let any = |has: &dyn Fn(&Prune) -> bool| statements.iter().any(has);
    let obs = |prune: &Prune, has: &dyn Fn(&Obs) -> bool| matches!(&prune.by, Criterion::Obs(o) if has(o));
    if any(&|prune| prune.by == Criterion::Magnitude) {
        advice.push("use OBS instead of magnitude: `by: obs(gradients: 1024)`");
    }
    if any(&|prune| prune.reconstruct.is_none()) {
        advice.push("fit the remaining weights of each layer to its earlier outputs: `reconstruct: 256`");
    }
    if any(&|prune| obs(prune, &|_| true) && prune.rank != Rank::Measured) {
        advice.push("choose the sparsity of each matrix by evaluation: `rank: measured`");
    }
    if any(&|prune| obs(prune, &|obs| obs.recompute == 1)) {
        advice.push("estimate the Fisher matrix several times within an event: `recompute: 8`");
    }
    advice.push(match any(&|prune| prune.window.start != prune.window.end) {
        true => "start lower, such as `sparsity: 30% -> 80% cubic`, or prune over more epochs",
        false => "prune in several steps while it trains: `over 0..4 epochs every 1 epoch`",
    });
    if any(&|prune| obs(prune, &|_| true)) {
        advice.push("compare values of `damp` with `obertc sweep`");
    }
    advice.join("; ")
}

/// The encoder layers that are at least [`UNEVEN`] sparser than all targets together, the sparsest first.
fn sparsest(layers: &[LayerSparsity]) -> Vec<String> {
    let mean = runlog::sparsity(layers);
    let mut uneven: Vec<(usize, f64)> = by_layer(layers)
        .into_iter()
        .map(|((_, number), own)| (number, runlog::sparsity(own)))
        .filter(|(_, share)| *share >= mean + UNEVEN)
        .collect();
    uneven.sort_by(|a, b| b.1.total_cmp(&a.1));
    uneven.iter().map(|(number, share)| format!("layer {number} ({:.1}%)", share * 100.0)).collect()
}

/// The names of the projections of attention, each with its number of heads.
pub fn heads<T: Task>(task: &T, model: &T::Model) -> Vec<(String, usize)> {
    let matmuls = task.activation_matmuls(model).into_iter();
    matmuls.flat_map(|m| m.weights.into_iter().map(move |weight| (weight, m.heads))).collect()
}

/// The weights that remain in the targets of a statement.
pub struct Remaining {
    layers: Vec<LayerSparsity>,
    /// For each target, the attention heads and output channels (rows) without a remaining weight, in words.
    emptied: Vec<Vec<String>>,
    empty_outputs: usize,
}

impl Remaining {
    /// Counts the remaining weights. `heads` are the names of the projections of attention with their numbers of heads.
    pub fn count(targets: &Targets, masks: &Masks, heads: &[(String, usize)], pattern: Pattern) -> Self {
        let mut remaining = Remaining { layers: Vec::new(), emptied: Vec::new(), empty_outputs: 0 };
        for target in &targets.parameters {
            let name = &target.parameter.name;
            let (count, inputs) = (target.parameter.count(), target.parameter.inputs().max(1));
            let mask = masks.get(name);
            let zeros = mask.map_or(0, Mask::pruned);
            remaining.layers.push(LayerSparsity { name: name.clone(), count, zeros });
            let number = heads.iter().find(|(projection, _)| projection == name).map(|(_, n)| *n);
            // `pattern: rows` asks for empty rows.
            let counts_rows = pattern != Pattern::Rows;
            let empty = mask.map(|mask| empty_rows(mask, inputs)).unwrap_or_default();
            remaining.empty_outputs += empty.iter().filter(|empty| **empty).count();
            remaining.emptied.push(emptied(&empty, number.unwrap_or(0), counts_rows));
        }
        remaining
    }

    /// The number of outputs (rows) without a remaining weight.
    pub fn empty_outputs(&self) -> usize {
        self.empty_outputs
    }

    /// Warnings about layers and matrices that are almost empty and were not `before` the event, and about matrices
    /// with an empty attention head or output channel that had none before. Where a matrix already had one, only the
    /// log counts further ones.
    pub fn warnings(&self, before: &Remaining, stage: &str, step: u64, prune: &Prune) -> Vec<Warning> {
        let lower = |name: &str| match prune.rank {
            Rank::Global if matches!(prune.by, Criterion::Obs(_)) => {
                "write `rank: measured`, or `at_most: 95%`".to_owned()
            }
            Rank::Global => format!("write `at_most: 95%`, or `target params(\"{name}\"): 90%`"),
            Rank::Measured => format!("write `at_most: 95%`, or `target params(\"{name}\"): 90%`"),
            Rank::Layer => format!("lower `sparsity`, or write `target params(\"{name}\"): 90%`"),
        };
        let mut list = Vec::new();
        let mut empty = almost_empty(&self.layers);
        let known = almost_empty(&before.layers);
        empty.retain(|(_, what, _)| !known.iter().any(|(_, other, _)| other == what));
        if let Some((selector, ..)) = empty.first() {
            let named = empty.iter().map(|(_, what, share)| format!("{what} to {:.1}%", share * 100.0));
            let message = format!("pruned {}", listed(&named.collect::<Vec<_>>()));
            list.push(warning(stage, step, WarningKind::AlmostEmpty, message, lower(selector)));
        }
        let mut places: Vec<String> = Vec::new();
        let mut first = None;
        for ((layer, now), before) in self.layers.iter().zip(&self.emptied).zip(&before.emptied) {
            let Some(place) = now.first().filter(|_| before.is_empty()) else { continue };
            first = first.or(Some(&layer.name));
            places.push(match now.len() {
                1 => format!("{place} of `{}`", layer.name),
                n => format!("{place} and {} more of `{}`", n - 1, layer.name),
            });
        }
        if let Some(name) = first {
            let message = format!("no weight is left in {}", listed(&places));
            list.push(warning(stage, step, WarningKind::Emptied, message, lower(name)));
        }
        list
    }
}

/// An encoder layer: the prefix of its parameters' names, such as `bert.encoder.layer.`, and its number.
type Place<'a> = (&'a str, usize);

fn place(name: &str) -> Option<Place<'_>> {
    layer_of(name).map(|(prefix, number, _)| (prefix, number))
}

/// The parameters of each encoder layer.
fn by_layer(layers: &[LayerSparsity]) -> BTreeMap<Place<'_>, Vec<&LayerSparsity>> {
    let mut by_layer: BTreeMap<Place, Vec<&LayerSparsity>> = BTreeMap::new();
    for layer in layers {
        if let Some(place) = place(&layer.name) {
            by_layer.entry(place).or_default().push(layer);
        }
    }
    by_layer
}

/// Encoder layers that are almost empty, and almost empty matrices outside them: for each a selector, its name in
/// messages, and its sparsity.
fn almost_empty(layers: &[LayerSparsity]) -> Vec<(String, String, f64)> {
    let mut by_layer = by_layer(layers);
    by_layer.retain(|_, own| own.len() > 1 && runlog::sparsity(own.iter().copied()) >= ALMOST_EMPTY);
    let whole = by_layer.iter().map(|((prefix, number), own)| {
        let share = runlog::sparsity(own.iter().copied());
        (format!("{prefix}{number}.**"), format!("layer {number}"), share)
    });
    let alone = layers.iter().filter(|layer| {
        let in_whole = place(&layer.name).is_some_and(|place| by_layer.contains_key(&place));
        layer.share() >= ALMOST_EMPTY && !in_whole
    });
    let alone = alone.map(|layer| (layer.name.clone(), format!("`{}`", layer.name), layer.share()));
    whole.chain(alone).collect()
}

/// For each row of a matrix, whether all its weights are pruned.
fn empty_rows(mask: &Mask, inputs: usize) -> Vec<bool> {
    mask.kept().chunks(inputs).map(|row| !row.contains(&true)).collect()
}

/// The attention heads and, outside them, the output channels without a remaining weight, in words.
fn emptied(rows: &[bool], heads: usize, counts_rows: bool) -> Vec<String> {
    let mut list = Vec::new();
    let size = rows.len().checked_div(heads).unwrap_or(0);
    let mut in_head = vec![false; rows.len()];
    if size > 0 {
        for (head, own) in rows.chunks(size).enumerate().filter(|(_, own)| !own.contains(&false)) {
            list.push(format!("head {head}"));
            in_head[head * size..head * size + own.len()].fill(true);
        }
    }
    if counts_rows {
        let alone = rows.iter().enumerate().filter(|(row, empty)| **empty && !in_head[*row]);
        list.extend(alone.map(|(row, _)| format!("output {row}")));
    }
    list
}

/// `a, b, c and 5 more`.
fn listed(names: &[String]) -> String {
    match names.len() {
        0..=LISTED => names.join(", "),
        more => format!("{} and {} more", names[..LISTED].join(", "), more - LISTED),
    }
}

fn warning(stage: &str, step: u64, kind: WarningKind, message: String, help: String) -> Warning {
    Warning { stage: stage.to_owned(), step, kind, message, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_of_an_empty_head_are_not_listed() {
        let rows = [true, true, false, true, true, false];
        assert_eq!(emptied(&rows, 3, true), ["head 0", "output 3", "output 4"]);
        assert_eq!(emptied(&rows, 3, false), ["head 0"]);
        assert_eq!(emptied(&rows, 0, true), ["output 0", "output 1", "output 3", "output 4"]);
        let mask = Mask::new(vec![false, false, true, false]);
        assert_eq!(empty_rows(&mask, 2), [true, false]);
    }

    #[test]
    fn a_layer_is_named_in_place_of_its_matrices() {
        let layer = |name: &str, zeros| LayerSparsity { name: name.into(), count: 1000, zeros };
        let layers = [
            layer("bert.encoder.layer.0.a.weight", 992),
            layer("bert.encoder.layer.0.b.weight", 990),
            layer("bert.encoder.layer.1.a.weight", 1000),
            layer("bert.encoder.layer.1.b.weight", 500),
            layer("head.weight", 989),
        ];
        let found: Vec<String> = almost_empty(&layers).into_iter().map(|(_, what, _)| what).collect();
        assert_eq!(found, ["layer 0", "`bert.encoder.layer.1.a.weight`"]);
    }

    #[test]
    fn a_matrix_is_warned_of_when_its_first_output_is_empty_and_not_again() {
        let words = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let state = |zeros, a: &[&str], b: &[&str]| Remaining {
            layers: vec![
                LayerSparsity { name: "a".into(), count: 100, zeros },
                LayerSparsity { name: "b".into(), count: 100, zeros: 50 },
            ],
            emptied: vec![words(a), words(b)],
            empty_outputs: a.len() + b.len(),
        };
        let prune = crate::schedule::ir::Prune {
            targets: crate::schedule::ir::Targets {
                selector: crate::params::Selector::Glob("*".into()),
                expect: None,
            },
            window: crate::schedule::Window::once(crate::schedule::Time::ZERO),
            sparsity: crate::schedule::Ramp::constant(0.5),
            exceptions: vec![],
            pattern: Pattern::Unstructured,
            rank: Rank::Global,
            at_most: None,
            reconstruct: None,
            by: Criterion::Magnitude,
        };
        let first = state(99, &["output 1"], &[]);
        let found = first.warnings(&state(98, &[], &[]), "s", 3, &prune);
        let kinds: Vec<WarningKind> = found.iter().map(|w| w.kind).collect();
        assert_eq!(kinds, [WarningKind::AlmostEmpty, WarningKind::Emptied]);
        assert_eq!(found[0].message, "pruned `a` to 99.0%");
        assert_eq!(found[0].help, "write `at_most: 95%`, or `target params(\"a\"): 90%`");
        assert_eq!(found[1].message, "no weight is left in output 1 of `a`");
        let second = state(100, &["output 1", "output 2"], &["head 0", "output 7"]);
        let found = second.warnings(&first, "s", 4, &prune);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "no weight is left in head 0 and 1 more of `b`");
        assert_eq!(found[0].help, "write `at_most: 95%`, or `target params(\"b\"): 90%`");
        assert!(state(100, &["output 1"; 9], &["head 0"]).warnings(&second, "s", 5, &prune).is_empty());
    }

    #[test]
    fn a_metric_that_lost_a_fifth_is_told_with_its_values_and_the_sparsest_layers() {
        let metrics = |f1: f64, loss: f64| [("f1".to_owned(), f1), ("loss".to_owned(), loss)].into();
        let mut masks = Masks::default();
        for (layer, pruned) in [(0, 70), (1, 74), (2, 96)] {
            let mask = Mask::new((0..100).map(|i| i >= pruned).collect());
            masks.set(format!("bert.encoder.layer.{layer}.output.dense.weight"), mask);
        }
        let of = |after: (f64, f64), masks: &Masks| {
            let pair = (&metrics(80.0, 1.0), &metrics(after.0, after.1));
            metric_cost("s", &[], 9, pair, 4, masks).map(|w| w.message)
        };
        let even = Masks::default();
        assert_eq!(of((64.0, 1.25), &even), None);
        assert_eq!(of((63.0, 1.25), &even).unwrap(), "pruning before step 4 changed f1 from 80.00 to 63.00");
        assert_eq!(
            of((80.0, 1.3), &masks).unwrap(),
            "pruning before step 4 changed loss from 1.00 to 1.30; pruned most are layer 2 (96.0%)"
        );
        assert_eq!(of((f64::NAN, f64::NAN), &even), None);
    }
}
