//! Prunings that share their gradients come to what runs of their own come to, to the bit.

use burn::module::Module;
use burn::tensor::Device;
use obert::internals::engine::events::Unwatched;
use obert::internals::engine::gradient_sharing::{Trial, arrange};
use obert::internals::engine::oneshot::{OneShot, seed_of};
use obert::internals::params::Selector;
use obert::internals::ranks::Ranks;
use obert::internals::schedule::ir::{
    Criterion, Obs, Pattern, Precision, Prune, Rank, SparsityException, Targets, Update,
};
use obert::internals::task::parameters::{self, Values};

use crate::surgery::{Regression, SEED, obs, prune, pruned, run, toy};

/// Examples of every run.
const EXAMPLES: usize = 100;

/// What came of a trial: the weights, the damp that was raised to, and the compensations' lengths.
type Came = (Values, Option<f64>, Vec<f64>);

/// All trials at once, and the batches that were asked for.
fn shared(trials: &[Trial]) -> (Vec<Came>, Vec<Vec<usize>>) {
    let (task, device) = (Regression::new(EXAMPLES), Device::flex());
    let (name, seed, ranks) = ("only", seed_of(SEED, 0, 0), Ranks::alone());
    let oneshot = OneShot { task: &task, device: &device, name, seed, quantization: None, ranks: &ranks };
    let mut came: Vec<Option<Came>> = vec![None; trials.len()];
    oneshot
        .prune(&toy(&device), trials, &mut Unwatched, &mut |index, pruned, _| {
            let values = parameters::read(&pruned.model.valid(), |_| true);
            assert!(came[index].is_none(), "{index} comes once");
            came[index] = Some((values, pruned.raised_damp, pruned.step_sizes));
            Ok(())
        })
        .unwrap();
    (came.into_iter().map(Option::unwrap).collect(), task.asked.into_inner())
}

/// Trials of one statement with other settings of the surgeon, at two levels each.
fn trials(statement: &Prune, changes: &[Obs], levels: &[f64]) -> Vec<Trial> {
    let of = |obs: &Obs| Prune { by: Criterion::Obs(obs.clone()), ..statement.clone() };
    let each = |obs: &Obs| levels.iter().map(|l| Trial { prune: of(obs), sparsity: *l }).collect::<Vec<_>>();
    changes.iter().flat_map(each).collect()
}

fn assert_as_alone(trials: &[Trial]) {
    let (came, _) = shared(trials);
    for (trial, (values, _, lengths)) in trials.iter().zip(&came) {
        let statement = Prune {
            sparsity: prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Global, trial.sparsity)
                .sparsity,
            ..trial.prune.clone()
        };
        let alone = run(statement, "0 epochs", EXAMPLES);
        assert_eq!(&alone.after, values, "{trial:?}");
        assert_eq!(&pruned(&alone).1, lengths, "{trial:?}");
    }
}

#[test]
fn every_point_of_a_grid_is_what_a_run_of_it_alone_gives() {
    let mut points = Vec::new();
    // Five gradients are fewer than the weights of blocks of eight; 9 and 21 leave some waiting.
    for gradients in [5, 9, 21, 24] {
        for block in [8, 1, 3] {
            // With the last damp some blocks are ill-conditioned and recomputed.
            for damp in [1e-3, 1e-6, 1e-11] {
                for update in [Update::Independent, Update::Exact] {
                    points.push(Obs { gradients, block, damp, update, ..obs() });
                }
            }
        }
    }
    let statement = prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Global, 0.5);
    let trials = trials(&statement, &points, &[0.5, 0.75]);
    assert_eq!(trials.len(), 144);
    assert_as_alone(&trials);
}

#[test]
fn patterns_ranks_exceptions_and_other_settings_share_as_well() {
    let settings = [
        obs(),
        Obs { damp: 1e-2, ..obs() },
        Obs { gradients: 11, ..obs() },
        Obs { correlated: true, ..obs() },
        Obs { precision: Precision::Bf16, ..obs() },
        Obs { gradients: 17, precision: Precision::Bf16, ..obs() },
        Obs { recompute: 3, ..obs() },
        Obs { batch: 4, ..obs() },
        Obs { memory: Some(obs().least_bytes(96)), ..obs() },
        Obs { memory: Some(8000), gradients: 9, block: 4, ..obs() },
        Obs { memory: Some(8000), gradients: 13, block: 4, ..obs() },
    ];
    for (pattern, rank) in [
        (Pattern::Unstructured, Rank::Layer),
        (Pattern::Blocks(4), Rank::Global),
        (Pattern::Rows, Rank::Global),
        (Pattern::NofM { keep: 2, of: 4 }, Rank::Global),
    ] {
        let statement = prune(Criterion::Magnitude, pattern, rank, 0.5);
        assert_as_alone(&trials(&statement, &settings, &[0.5]));
    }
    let mut statement = prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Global, 0.5);
    let targets = Targets { selector: Selector::Glob("second.*".into()), expect: None };
    statement.exceptions = vec![SparsityException { targets, sparsity: 0.25 }];
    assert_as_alone(&trials(&statement, &settings, &[0.4, 0.6]));
    let magnitude = Trial { prune: statement, sparsity: 0.6 };
    assert_as_alone(&[magnitude]);
}

#[test]
fn a_damp_that_must_be_raised_is_raised_for_that_point_alone() {
    let statement = prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Global, 0.5);
    let tiny = Obs { gradients: 5, damp: 1e-24, raise_damp: true, ..obs() };
    let points = [Obs { gradients: 5, ..obs() }, tiny, Obs { gradients: 5, damp: 1e-5, ..obs() }];
    let trials = trials(&statement, &points, &[0.5, 0.7]);
    let (came, _) = shared(&trials);
    let raised: Vec<bool> = came.iter().map(|(_, damp, _)| damp.is_some()).collect();
    assert_eq!(raised, [false, false, true, true, false, false]);
    assert_as_alone(&trials);
}

#[test]
fn one_pass_over_the_gradients_serves_the_whole_grid() {
    let mut points = Vec::new();
    for gradients in [4, 9, 24] {
        for block in [1, 8] {
            // No block is so ill-conditioned that it asks for its gradients once more.
            for damp in [1.0, 1e-1, 1e-2] {
                points.push(Obs { gradients, block, damp, update: Update::Independent, ..obs() });
            }
        }
    }
    let statement = prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Global, 0.5);
    let trials = trials(&statement, &points, &[0.5, 0.75]);
    let (sweeps, alone) = arrange(&trials, &[96, 48]);
    assert_eq!((sweeps.len(), alone.len()), (1, 0));
    let (_, asked) = shared(&trials);
    assert_eq!(asked.len(), 24, "and no batch more");
    let mut drawn = asked.concat();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 48, "of examples that are not drawn twice");
}
