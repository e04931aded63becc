//! The OBS pruner against a float64 reference that was compared with SparseML's classes.
//! `tests/golden/obs/README.md` describes the files.

use std::ops::{ControlFlow, Range};

use burn::tensor::{Device, Tensor};
use obert::internals::method::mask::grouping::Grouping;
use obert::internals::method::mask::select::{Goal, Ranking, Selection, select};
use obert::internals::method::mask::{Mask, rank};
use obert::internals::method::obs::host::{inverse_diagonal, score};
use obert::internals::method::obs::{
    Gradient, GradientSource, HostEstimate, Measure, Pass, Place, Precision, PruningEvent, Settings, Sharding,
};
use obert::internals::ranks::Ranks;
use obert::internals::schedule::memory::owners;
use serde_json::Value;

use super::golden::cases;
use super::ranks::on_each;

/// The tolerance of a float32 build: relative to the largest weight, and for each diagonal entry
/// and score.
pub const TOLERANCE: f64 = 2e-4;

pub fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NEG_INFINITY)).collect()
}

pub fn mask(text: &Value) -> Mask {
    Mask::new(text.as_str().unwrap().chars().map(|c| c == '1').collect())
}

fn ints(value: &Value, quantum: f64) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| (v.as_i64().unwrap() as f64 * quantum) as f32).collect()
}

/// The gradients of one recomputation of one tensor, row by row.
pub fn gradients(case: &Value, round: usize, tensor: usize) -> Vec<f32> {
    let quantum = case["grad_quantum"].as_f64().unwrap();
    if let Some(list) = case.get("grads_int") {
        let mut rows = Vec::new();
        for row in list[round][tensor].as_array().unwrap() {
            match row {
                Value::Array(_) => rows.extend(ints(row, quantum)),
                single => rows.push((single.as_i64().unwrap() as f64 * quantum) as f32),
            }
        }
        return rows;
    }
    let draw = &case["grads_splitmix"][round][tensor];
    let (count, limit) = (draw["n"].as_u64().unwrap(), draw["lim"].as_u64().unwrap());
    let mut state = draw["seed"].as_u64().unwrap();
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    (0..count)
        .map(|_| (((next() >> 11) % (2 * limit + 1)) as i64 - limit as i64) as f64 * quantum)
        .map(|g| g as f32)
        .collect()
}

pub struct Run {
    pub weights: Vec<Vec<f32>>,
    pub masks: Vec<Mask>,
    pub diagonals: Vec<Vec<f32>>,
    pub scores: Vec<Vec<f32>>,
}

/// How a recomputation of a case is done.
pub fn settings(case: &Value, round: usize, exact: bool) -> (Settings, Selection) {
    let number = |key: &str| case[key].as_f64().unwrap();
    let group = if case["mask_type"] == "block4" { 4 } else { 1 };
    let settings = Settings {
        block: number("fisher_block_size") as usize,
        damp: number("damp"),
        divisor: number("num_grads") as usize,
        exact,
        group,
        correlated: false,
    };
    let target = case["steps"][round]["target"].as_f64().unwrap();
    let global = case["global_sparsity"].as_bool().unwrap();
    (settings, if global { Selection::Global(target) } else { Selection::Layer(target) })
}

/// The gradients of one recomputation of a case, each tensor's row by row.
struct Recorded(Vec<Vec<Vec<f32>>>);

impl Recorded {
    fn new(case: &Value, round: usize, counts: &[usize]) -> Self {
        let of = |(t, count): (usize, &usize)| {
            gradients(case, round, t).chunks_exact(*count).map(<[f32]>::to_vec).collect()
        };
        Recorded(counts.iter().enumerate().map(of).collect())
    }
}

impl GradientSource for Recorded {
    fn gradients(
        &mut self,
        parameters: Range<usize>,
        numbers: Range<usize>,
        place: Place,
        take: &mut dyn FnMut(usize, Gradient),
    ) -> ControlFlow<()> {
        for number in numbers {
            for i in parameters.clone() {
                let values = self.0[i][number].clone();
                take(
                    i,
                    match place {
                        Place::Host => Gradient::Values(values),
                        Place::Device => Gradient::Tensor(Tensor::from_floats(&values[..], &Device::flex())),
                    },
                );
            }
        }
        ControlFlow::Continue(())
    }

    fn evaluate(&mut self, _: Measure, _: Range<usize>, _: Vec<(usize, Vec<f32>)>) -> ControlFlow<(), f64> {
        ControlFlow::Break(())
    }
}

/// One recomputation of a case from the given weights and masks: the event that a run does, with estimates on
/// the host or as tensors of a device.
pub fn prune(
    case: &Value,
    round: usize,
    weights: &[Vec<f32>],
    masks: &[Mask],
    exact: bool,
    device: Option<&Device>,
) -> (Vec<Vec<f32>>, Vec<Mask>) {
    let sharding = Sharding { ranks: &Ranks::alone(), owners: &[] };
    prune_on(sharding, case, round, (weights, masks), exact, device)
}

/// The same on several ranks.
fn prune_on(
    sharding: Sharding,
    case: &Value,
    round: usize,
    (weights, masks): (&[Vec<f32>], &[Mask]),
    exact: bool,
    device: Option<&Device>,
) -> (Vec<Vec<f32>>, Vec<Mask>) {
    let (settings, selection) = settings(case, round, exact);
    let (ranking, sparsity) = match selection {
        Selection::Global(sparsity) => (Ranking::Global, sparsity),
        Selection::Layer(sparsity) => (Ranking::Layer, sparsity),
        Selection::NofM { .. } => unreachable!("no case has one"),
    };
    let counts: Vec<usize> = weights.iter().map(Vec::len).collect();
    let mut recorded = Recorded::new(case, round, &counts);
    let event = PruningEvent {
        weights,
        masks,
        groupings: &vec![Grouping::Runs(settings.group); counts.len()],
        goals: &[Goal { members: (0..counts.len()).collect(), sparsity }],
        ranking,
        settings,
        // A case may have fewer than it divides by.
        gradients: recorded.0[0].len(),
        precision: Precision::F32,
        raises_damp: false,
        passes: &[Pass { parameters: 0..counts.len(), rows: 16 }],
        memory: None,
        device,
        at_most: 1.0,
        allocation: None,
        sharding,
    };
    let (updates, damp) = event.run(&mut recorded).unwrap();
    assert_eq!(damp, settings.damp);
    let (mut weights, mut masks) = (weights.to_vec(), masks.to_vec());
    for (i, update) in updates.iter().enumerate() {
        update.apply(&mut weights[i], &mut masks[i], 1.0);
    }
    (weights, masks)
}

/// The same on the host, with the diagonals and saliencies that the event went by.
fn step(case: &Value, round: usize, weights: &[Vec<f32>], masks: &[Mask], exact: bool) -> Run {
    let (settings, selection) = settings(case, round, exact);
    let (mut diagonals, mut scores) = (Vec::new(), Vec::new());
    for (t, (weights, mask)) in weights.iter().zip(masks).enumerate() {
        let (rows, count) = (gradients(case, round, t), weights.len());
        let mut estimate = HostEstimate::new(count, settings.block, rows.len() / count, 16);
        rows.chunks_exact(count).for_each(|row| estimate.add(row));
        diagonals.push(inverse_diagonal(&estimate, mask, &settings).unwrap());
        scores.push(score(&estimate, weights, mask, selection, &settings).unwrap().scores);
    }
    let (weights, masks) = prune(case, round, weights, masks, exact, None);
    Run { weights, masks, diagonals, scores }
}

/// The same on a number of ranks, each of which has the Fisher matrices of some tensors.
fn step_of_ranks(size: usize, case: &Value, round: usize, weights: &[Vec<f32>], masks: &[Mask]) {
    for exact in [false, true] {
        let alone = prune(case, round, weights, masks, exact, None);
        let counts: Vec<usize> = weights.iter().map(Vec::len).collect();
        let owners = owners(&counts, size);
        let of_each = on_each(size, |ranks| {
            let sharding = Sharding { ranks: &ranks, owners: &owners };
            prune_on(sharding, case, round, (weights, masks), exact, None)
        });
        for (rank, (weights, masks)) in of_each.into_iter().enumerate() {
            assert_eq!(masks, alone.1, "masks of rank {rank} of {size}");
            let bits = |all: &[Vec<f32>]| -> Vec<u32> { all.concat().iter().map(|w| w.to_bits()).collect() };
            assert!(bits(&weights) == bits(&alone.0), "weights of rank {rank} of {size}");
        }
    }
}

fn start(case: &Value) -> (Vec<Vec<f32>>, Vec<Mask>) {
    let quantum = case["weight_quantum"].as_f64().unwrap();
    case["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| {
            let weights = ints(&t["weights_int"], quantum);
            let prior = &t["prior_mask"];
            let mask = if prior.is_null() { Mask::ones(weights.len()) } else { mask(prior) };
            (weights, mask)
        })
        .unzip()
}

/// The worst deviation, relative to the largest value for weights and to each value otherwise.
fn worst(got: &[f32], expected: &[f64], scale: impl Fn(f64) -> f64) -> f64 {
    assert_eq!(got.len(), expected.len());
    got.iter()
        .zip(expected)
        .filter(|(_, e)| e.is_finite())
        .map(|(g, e)| (f64::from(*g) - e).abs() / scale(*e))
        .fold(0.0, f64::max)
}

/// One recomputation of a case: its number, weights, masks, and whether the update is exact.
pub type Step<'a> = &'a dyn Fn(&Value, usize, &[Vec<f32>], &[Mask], bool) -> Run;

/// Compares what `step` does for the cases that `wanted` takes; how many those are.
pub fn compare(wanted: impl Fn(&Value) -> bool, step: Step) -> usize {
    let mut compared = 0;
    for (name, case) in cases("obs") {
        if name == "selection" || !wanted(&case) {
            continue;
        }
        compared += 1;
        let (mut weights, mut masks) = start(&case);
        let rounds = case["steps"].as_array().unwrap().len();
        for round in 0..rounds {
            let step_case = &case["steps"][round];
            let run = step(&case, round, &weights, &masks, false);
            for (t, weights) in run.weights.iter().enumerate() {
                let at = format!("{name}, recomputation {round}, tensor {t}");
                assert_eq!(run.masks[t], mask(&step_case["mask"][t]), "mask of {at}");
                let expected = floats(&step_case["weights"][t]);
                let largest = expected.iter().fold(0.0f64, |m, w| m.max(w.abs()));
                let error = worst(weights, &expected, |_| largest);
                assert!(error < TOLERANCE, "weights of {at}: {error:e}");
                if round + 1 == rounds {
                    let error = worst(&run.diagonals[t], &floats(&step_case["finv_diag"][t]), f64::abs);
                    assert!(error < TOLERANCE, "diagonal of {at}: {error:e}");
                    let key = if case["mask_type"] == "block4" { "scores4" } else { "scores" };
                    let error = worst(&run.scores[t], &floats(&step_case[key][t]), f64::abs);
                    assert!(error < TOLERANCE, "scores of {at}: {error:e}");
                }
            }
            if round + 1 == rounds {
                let exact = step(&case, round, &weights, &masks, true);
                for (t, weights) in exact.weights.iter().enumerate() {
                    assert_eq!(exact.masks[t], run.masks[t], "{name}: the update does not change the choice");
                    let expected = floats(&step_case["weights_exact"][t]);
                    let largest = expected.iter().fold(0.0f64, |m, w| m.max(w.abs()));
                    let error = worst(weights, &expected, |_| largest);
                    assert!(error < TOLERANCE, "exact weights of {name}, tensor {t}: {error:e}");
                }
            }
            (weights, masks) = (run.weights, run.masks);
        }
    }
    compared
}

#[test]
fn every_golden_case_gives_the_reference_masks_weights_diagonals_and_scores() {
    assert!(compare(|_| true, &step) >= 13);
}

#[test]
fn every_golden_case_gives_the_same_masks_and_weights_on_one_to_four_ranks() {
    for size in 2..=4 {
        let compared = compare(|_| true, &|case: &Value,
                                           round: usize,
                                           weights: &[Vec<f32>],
                                           masks: &[Mask],
                                           exact: bool| {
            if !exact {
                step_of_ranks(size, case, round, weights, masks);
            }
            step(case, round, weights, masks, exact)
        });
        assert!(compared >= 13);
    }
}

/// What we do not follow: masks that give back what was pruned, and ties at the minimum, which
/// SparseML shuffles by Python's generator.
fn is_quirk(case: &Value) -> bool {
    let kept: Vec<char> =
        case["mask"].as_array().unwrap().iter().flat_map(|m| m.as_str().unwrap().chars()).collect();
    let scores: Vec<Vec<f64>> = case["scores"].as_array().unwrap().iter().map(floats).collect();
    let gives_back =
        scores.concat().iter().zip(&kept).any(|(score, kept)| *score == f64::NEG_INFINITY && *kept == '1');
    let shuffled = |scores: &[f64]| {
        let target = rank::target_count(scores.len(), case["sparsity"].as_f64().unwrap());
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let ties = scores.iter().filter(|s| **s == least).count();
        least.is_finite() && (1..ties).contains(&target)
    };
    let lists = if case["global_sparsity"] == true { vec![scores.concat()] } else { scores };
    gives_back || case["mask_type"] == "unstructured" && lists.iter().any(|s| shuffled(s))
}

#[test]
fn every_selection_case_agrees_but_for_the_quirks_we_do_not_follow() {
    let list = cases("obs").into_iter().find(|(name, _)| name == "selection").unwrap().1;
    let mut followed = 0;
    for case in list.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if is_quirk(case) {
            continue;
        }
        let scores: Vec<Vec<f32>> = case["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| floats(t).iter().map(|s| *s as f32).collect())
            .collect();
        let sparsity = case["sparsity"].as_f64().unwrap();
        let group = if case["mask_type"] == "block4" { 4 } else { 1 };
        let grouped: Vec<Vec<f32>> = scores
            .iter()
            .map(|s| s.chunks(group).map(|g| g.iter().sum::<f32>() / group as f32).collect())
            .collect();
        let global = case["global_sparsity"].as_bool().unwrap();
        let selection = if global { Selection::Global(sparsity) } else { Selection::Layer(sparsity) };
        let pruned = select(&grouped, selection).concat();
        let got: String =
            pruned.iter().flat_map(|p| std::iter::repeat_n(if *p { '0' } else { '1' }, group)).collect();
        let expected: String = case["mask"].as_array().unwrap().iter().map(|m| m.as_str().unwrap()).collect();
        assert_eq!(got, expected, "{name}");
        followed += 1;
    }
    assert!(followed >= 10, "only {followed} cases were compared");
}
