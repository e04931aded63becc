//! Properties of the OBS pruner on random cases, against dense matrices in float64.

use std::ops::{ControlFlow, Range};

use proptest::prelude::*;

use super::host::{inverse_diagonal, score, update};
use super::*;
use crate::method::mask::Mask;
use crate::method::mask::grouping::Grouping;
use crate::method::mask::select::{Goal, Ranking, Selection, select, spread};
use crate::ranks::Ranks;

/// A parameter, its gradients, and how it is pruned.
#[derive(Clone, Debug)]
struct Case {
    weights: Vec<f32>,
    kept: Vec<bool>,
    gradients: Vec<Vec<f32>>,
    settings: Settings,
    sparsity: f64,
}

/// The weights and the mask after pruning, and the scores before.
type Came = (Vec<f32>, Vec<bool>, Vec<f32>);

/// Uniform numbers in -1..1 from a seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1usize..5, 1usize..7, 1usize..70, 1usize..40);
    (sizes, any::<u64>(), any::<bool>(), any::<bool>(), 0.0f64..1.0).prop_map(
        |((group, groups, count, rows), seed, exact, correlated, sparsity)| {
            let block = group * groups;
            let mut weights = numbers(seed, count);
            let kept: Vec<bool> = numbers(seed ^ 1, count).iter().map(|v| *v < 0.7).collect();
            Mask::new(kept.clone()).apply(&mut weights);
            let gradients = (0..rows as u64).map(|r| numbers(seed ^ (r + 2), count)).collect();
            let correlated = correlated && exact;
            let settings = Settings { block, damp: 1e-2, divisor: rows, exact, group, correlated };
            Case { weights, kept, gradients, settings, sparsity }
        },
    )
}

impl Case {
    fn estimate(&self) -> HostEstimate {
        let (count, rows) = (self.weights.len(), self.gradients.len());
        let mut estimate = HostEstimate::new(count, self.settings.block, rows, 7);
        self.gradients.iter().for_each(|g| estimate.add(g));
        estimate
    }

    /// Prunes the parameter, with ill-conditioned blocks recomputed in float64.
    fn prune(&self) -> Result<Came, ObsError> {
        let (mut weights, mut mask) = (self.weights.clone(), Mask::new(self.kept.clone()));
        let mut estimate = self.estimate();
        let selection = Selection::Layer(self.sparsity);
        let mut scored = score(&estimate, &weights, &mask, selection, &self.settings)?;
        if !scored.ill_conditioned.is_empty() {
            let mut factors = QrFactors::new(weights.len(), self.settings.block, &scored.ill_conditioned);
            self.gradients.iter().for_each(|g| factors.add(g));
            estimate.set_factors(factors);
            scored = score(&estimate, &weights, &mask, selection, &self.settings)?;
            assert!(scored.ill_conditioned.is_empty());
        }
        let groups = select(std::slice::from_ref(&scored.scores), selection);
        let pruned = spread(&groups[0], self.settings.group, weights.len());
        update(&estimate, &weights, &mask, &scored.multipliers, pruned, &self.settings)?.apply(
            &mut weights,
            &mut mask,
            1.0,
        );
        Ok((weights, mask.kept().to_vec(), scored.scores))
    }

    /// F of a block restricted to the weights that are kept, with λ on the diagonal of the others.
    fn fisher(&self, block: usize) -> Vec<Vec<f64>> {
        let range = block * self.settings.block..((block + 1) * self.settings.block).min(self.weights.len());
        range
            .clone()
            .map(|i| {
                range
                    .clone()
                    .map(|j| {
                        let sum: f64 = self.gradients.iter().map(|g| f64::from(g[i]) * f64::from(g[j])).sum();
                        let both = f64::from(u8::from(self.kept[i] && self.kept[j]));
                        let damp = if i == j { self.settings.damp } else { 0.0 };
                        sum / self.settings.divisor as f64 * both + damp
                    })
                    .collect()
            })
            .collect()
    }
}

/// The inverse by Gauss-Jordan elimination with pivoting.
fn inverse(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut a: Vec<Vec<f64>> = matrix
        .iter()
        .enumerate()
        .map(|(i, row)| [row.clone(), (0..n).map(|j| f64::from(u8::from(i == j))).collect()].concat())
        .collect();
    for c in 0..n {
        let pivot = (c..n).max_by(|x, y| a[*x][c].abs().total_cmp(&a[*y][c].abs())).unwrap();
        a.swap(c, pivot);
        let lead = a[c][c];
        a[c].iter_mut().for_each(|v| *v /= lead);
        let row = a[c].clone();
        for (r, other) in a.iter_mut().enumerate().filter(|(r, _)| *r != c) {
            let _ = r;
            let factor = other[c];
            other.iter_mut().zip(&row).for_each(|(v, p)| *v -= factor * p);
        }
    }
    a.into_iter().map(|row| row[n..].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn saliencies_are_not_negative_masks_only_grow_and_nothing_is_nan(case in cases()) {
        let (weights, kept, scores) = case.prune().unwrap();
        prop_assert!(weights.iter().all(|w| w.is_finite()));
        prop_assert!(scores.iter().all(|s| *s >= 0.0 || *s == f32::NEG_INFINITY));
        for ((before, after), w) in case.kept.iter().zip(&kept).zip(&weights) {
            prop_assert!(*before || !after, "what is pruned stays pruned");
            prop_assert!(*after || *w == 0.0, "what is pruned is zero");
        }
    }

    #[test]
    fn the_exact_update_leaves_no_gradient_of_the_quadratic_form_on_what_stays(case in cases()) {
        let case = Case { settings: Settings { exact: true, ..case.settings }, ..case };
        let (weights, kept, _) = case.prune().unwrap();
        for block in 0..case.weights.len().div_ceil(case.settings.block) {
            let start = block * case.settings.block;
            for (i, row) in case.fisher(block).iter().enumerate().filter(|(i, _)| kept[start + i]) {
                let moved = |j: usize| f64::from(weights[start + j]) - f64::from(case.weights[start + j]);
                let gradient: f64 = row.iter().enumerate().map(|(j, f)| f * moved(j)).sum();
                prop_assert!(gradient.abs() < 1e-4, "{gradient} at weight {}", start + i);
            }
        }
    }

    #[test]
    fn the_diagonal_of_the_inverse_is_that_of_the_dense_matrix(case in cases()) {
        let mask = Mask::new(case.kept.clone());
        let diagonal = inverse_diagonal(&case.estimate(), &mask, &case.settings).unwrap();
        for block in 0..case.weights.len().div_ceil(case.settings.block) {
            for (i, row) in inverse(&case.fisher(block)).iter().enumerate() {
                let got = f64::from(diagonal[block * case.settings.block + i]);
                prop_assert!((got - row[i]).abs() < 1e-3 * row[i], "{got} is not {}", row[i]);
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits(case in cases()) {
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| case.prune())
        };
        let (one, five) = (with(1).unwrap(), with(5).unwrap());
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&one.0), bits(&five.0));
        prop_assert_eq!(one.1, five.1);
    }
}

/// 64 gradients along four directions only, of a parameter of 80 weights in blocks of 16.
fn few_directions(scale: f32, damp: f64) -> Case {
    let directions: Vec<Vec<f32>> = (0..4).map(|d| numbers(d, 80)).collect();
    let gradients = (0..64)
        .map(|r| {
            let parts = numbers(100 + r, 4);
            (0..80).map(|i| scale * (0..4).map(|d| parts[d] * directions[d][i]).sum::<f32>()).collect()
        })
        .collect();
    let settings = Settings { block: 16, damp, divisor: 64, exact: true, group: 1, correlated: false };
    Case { weights: numbers(7, 80), kept: vec![true; 80], gradients, settings, sparsity: 0.5 }
}

#[test]
fn ill_conditioned_blocks_are_reported_and_recomputed_by_qr() {
    let case = few_directions(1.0, 1e-7);
    let mask = Mask::new(case.kept.clone());
    let mut estimate = case.estimate();
    let scored = score(&estimate, &case.weights, &mask, Selection::Layer(0.5), &case.settings).unwrap();
    assert_eq!(scored.ill_conditioned, [0, 1, 2, 3, 4]);
    assert!(matches!(
        inverse_diagonal(&estimate, &mask, &case.settings),
        Err(ObsError::NotFactored { block: 0, first: 0, last: 16 })
    ));
    let mut factors = QrFactors::new(80, 16, &scored.ill_conditioned);
    case.gradients.iter().for_each(|g| factors.add(g));
    estimate.set_factors(factors);
    let diagonal = inverse_diagonal(&estimate, &mask, &case.settings).unwrap();
    for block in 0..5 {
        for (i, row) in inverse(&case.fisher(block)).iter().enumerate() {
            let got = f64::from(diagonal[block * 16 + i]);
            assert!((got - row[i]).abs() < 1e-5 * row[i], "{got} is not {}", row[i]);
        }
    }
    let (weights, kept, _) = case.prune().unwrap();
    assert_eq!(kept.iter().filter(|k| **k).count(), 40);
    assert!(weights.iter().all(|w| w.is_finite()));
}

#[test]
fn gradients_of_moderate_size_are_not_ill_conditioned() {
    let case = few_directions(1e-3, 1e-7);
    let scored =
        score(&case.estimate(), &case.weights, &Mask::ones(80), Selection::Layer(0.5), &case.settings);
    assert!(scored.unwrap().ill_conditioned.is_empty());
}

#[test]
fn squares_beyond_float32_are_recomputed_or_refused_and_never_nan() {
    for (scale, damp) in [(1e25, 1e-7), (1e25, 1e30), (1e-25, 1e-7), (1e3, 1e-10)] {
        match few_directions(scale, damp).prune() {
            Ok((weights, kept, _)) => {
                assert!(weights.iter().all(|w| w.is_finite()), "{scale:e}, {damp:e}");
                assert_eq!(kept.iter().filter(|k| **k).count(), 40);
            }
            Err(ObsError::NoGradient) => assert!(scale < 1e-20, "squares that vanish are reported"),
            Err(error) => assert!(matches!(error, ObsError::NotFactored { .. }), "{error}"),
        }
    }
}

#[test]
fn gradients_that_are_not_finite_or_all_zero_are_refused() {
    for rows in [4, 40] {
        let mut case = few_directions(1.0, 1e-2);
        case.gradients.truncate(rows);
        case.settings.divisor = rows;
        case.gradients.iter_mut().for_each(|g| g.fill(0.0));
        assert_eq!(case.prune().unwrap_err(), ObsError::NoGradient);
        case.gradients[1][3] = f32::NAN;
        assert_eq!(case.prune().unwrap_err(), ObsError::GradientNotFinite);
    }
}

/// Gradients of one parameter.
struct Given<'a>(&'a [Vec<f32>]);

impl GradientSource for Given<'_> {
    fn gradients(
        &mut self,
        _: Range<usize>,
        numbers: Range<usize>,
        _: Place,
        take: &mut dyn FnMut(usize, Gradient),
    ) -> ControlFlow<()> {
        numbers.for_each(|number| take(0, Gradient::Values(self.0[number].clone())));
        ControlFlow::Continue(())
    }

    fn evaluate(&mut self, _: Measure, _: Range<usize>, _: Vec<(usize, Vec<f32>)>) -> ControlFlow<(), f64> {
        ControlFlow::Break(())
    }
}

/// The mask of one parameter after an event that prunes half of it.
fn pruned(
    weights: &[f32],
    gradients: &[Vec<f32>],
    ranking: Ranking,
    (precision, pass): (Precision, Pass),
    settings: Settings,
) -> Mask {
    let mut mask = Mask::ones(weights.len());
    let event = PruningEvent {
        weights: &[weights.to_vec()],
        masks: &[mask.clone()],
        groupings: &[Grouping::Runs(settings.group)],
        goals: &[Goal { members: vec![0], sparsity: 0.5 }],
        ranking,
        settings,
        gradients: gradients.len(),
        precision,
        raises_damp: false,
        passes: &[pass],
        memory: None,
        device: None,
        at_most: 1.0,
        allocation: None,
        sharding: Sharding { ranks: &Ranks::alone(), owners: &[] },
    };
    let (updates, _) = event.run(&mut Given(gradients)).unwrap();
    updates[0].apply(&mut weights.to_vec(), &mut mask, 1.0);
    mask
}

#[test]
fn gradients_in_sixteen_bits_choose_nearly_the_same_weights() {
    let count = 2000;
    let gradients: Vec<Vec<f32>> = (0..256).map(|r| numbers(r, count)).collect();
    let settings = Settings { block: 16, damp: 1e-4, divisor: 256, exact: true, group: 1, correlated: false };
    let prune = |precision| {
        let pass = Pass { parameters: 0..1, rows: 20 };
        pruned(&numbers(9, count), &gradients, Ranking::Global, (precision, pass), settings)
    };
    let (single, half) = (prune(Precision::F32), prune(Precision::Bf16));
    let differ = single.kept().iter().zip(half.kept()).filter(|(a, b)| a != b).count();
    assert!(differ <= 10, "{differ} of {count} masks differ");
}

#[test]
fn correlated_saliencies_are_those_of_an_exhaustive_search_one_group_at_a_time() {
    for (group, seed) in [(1, 1u64), (2, 2), (1, 3), (3, 4)] {
        let count = 6;
        let gradients: Vec<Vec<f32>> = (0..9).map(|r| numbers(seed * 50 + r, count)).collect();
        let settings =
            Settings { block: count, damp: 1e-3, divisor: 9, exact: true, group, correlated: true };
        let kept = vec![true; count];
        let case = Case { weights: numbers(seed, count), kept, gradients, settings, sparsity: 0.0 };
        let fisher = case.fisher(0);
        // The least of the quadratic form when these weights are zero.
        let rise = |gone: &[usize]| -> f64 {
            let inverse_all = inverse(&fisher);
            let part: Vec<Vec<f64>> =
                gone.iter().map(|a| gone.iter().map(|b| inverse_all[*a][*b]).collect()).collect();
            let part = inverse(&part);
            let w = |i: usize| f64::from(case.weights[gone[i]]);
            0.5 * (0..gone.len())
                .flat_map(|i| (0..gone.len()).map(move |j| (i, j)))
                .map(|(i, j)| w(i) * part[i][j] * w(j))
                .sum::<f64>()
        };
        let mut gone: Vec<usize> = Vec::new();
        let mut expected = vec![0.0; count / group];
        let mut highest: f64 = 0.0;
        while gone.len() < count {
            let (best, least) = (0..count / group)
                .filter(|g| !gone.contains(&(g * group)))
                .map(|g| (g, rise(&[gone.clone(), (g * group..(g + 1) * group).collect()].concat())))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap();
            highest = highest.max(least - if gone.is_empty() { 0.0 } else { rise(&gone) });
            expected[best] = highest;
            gone.extend(best * group..(best + 1) * group);
        }
        let estimate = case.estimate();
        let scored =
            score(&estimate, &case.weights, &Mask::ones(count), Selection::Layer(0.5), &settings).unwrap();
        for (got, expected) in scored.scores.iter().zip(&expected) {
            let error = (f64::from(*got) - expected).abs();
            assert!(error < 1e-3 * expected.max(1e-4), "{:?} is not {expected:?}", scored.scores);
        }
    }
}

#[test]
fn correlated_pruning_of_two_of_four_leaves_two_of_every_four() {
    let count = 70;
    let gradients: Vec<Vec<f32>> = (0..40).map(|r| numbers(r, count)).collect();
    let settings = Settings { block: 16, damp: 1e-3, divisor: 40, exact: true, group: 1, correlated: true };
    let ranking = Ranking::NofM { keep: 2, of: 4 };
    let pass = Pass { parameters: 0..1, rows: 16 };
    let mask = pruned(&numbers(5, count), &gradients, ranking, (Precision::F32, pass), settings);
    for run in mask.kept().chunks(4) {
        assert_eq!(run.iter().filter(|k| **k).count(), 2.min(run.len()));
    }
}
