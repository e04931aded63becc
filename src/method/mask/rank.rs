//! Selection of exactly the k lowest scores, by quickselect and a rule for ties.

/// The number of `count` entries to prune for a sparsity: the nearest integer, ties to even, as in SparseML
/// (Python's `round`).
pub fn target_count(count: usize, sparsity: f64) -> usize {
    ((count as f64 * sparsity).round_ties_even() as usize).min(count)
}

/// Selects entries so that exactly `target` are pruned: those that are pruned already (score -∞), then the lowest
/// scores. Of equal scores the later entry is pruned first, as in SparseML. If more than `target` are pruned
/// already, exactly those are selected.
///
/// # Panics
/// If a score is NaN.
pub fn lowest(scores: &[f32], target: usize) -> Vec<bool> {
    assert!(!scores.iter().any(|s| s.is_nan()), "a score that is not a number");
    let mut pruned: Vec<bool> = scores.iter().map(|s| *s == f32::NEG_INFINITY).collect();
    let already = pruned.iter().filter(|p| **p).count();
    if target <= already {
        return pruned;
    }
    let mut alive: Vec<f32> = scores.iter().copied().filter(|s| *s != f32::NEG_INFINITY).collect();
    let wanted = target - already;
    let (_, threshold, _) = alive.select_nth_unstable_by(wanted - 1, f32::total_cmp);
    // Zero and minus zero are one score.
    let threshold = *threshold + 0.0;
    let mut left = wanted;
    for (p, s) in pruned.iter_mut().zip(scores) {
        if *s < threshold && !*p {
            *p = true;
            left -= 1;
        }
    }
    for (p, s) in pruned.iter_mut().zip(scores).rev() {
        if left > 0 && *s == threshold && !*p {
            *p = true;
            left -= 1;
        }
    }
    pruned
}

/// [`lowest`] for entries of different `sizes`: selects the lowest scores until the sum of their sizes is as near to
/// `target` as whole entries allow.
///
/// # Panics
/// If a score is NaN.
pub fn lowest_sized(scores: &[f32], sizes: &[usize], target: usize) -> Vec<bool> {
    assert!(!scores.iter().any(|s| s.is_nan()), "a score that is not a number");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a)));
    let mut pruned = vec![false; scores.len()];
    let mut gone = 0;
    for index in order {
        let already = scores[index] == f32::NEG_INFINITY;
        if !already && 2 * gone + sizes[index] >= 2 * target {
            break;
        }
        pruned[index] = true;
        gone += sizes[index];
    }
    pruned
}

/// Selects all but the `keep` highest of every `of` consecutive entries (N:M sparsity); of equal ones the later is
/// pruned.
pub fn n_of_m(scores: &[f32], keep: usize, of: usize) -> Vec<bool> {
    let mut pruned = vec![false; scores.len()];
    for (run, pruned) in scores.chunks(of).zip(pruned.chunks_mut(of)) {
        let mut order: Vec<usize> = (0..run.len()).collect();
        order.sort_by(|a, b| run[*b].total_cmp(&run[*a]).then(a.cmp(b)));
        for index in order.into_iter().skip(keep) {
            pruned[index] = true;
        }
    }
    pruned
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_round_half_to_even() {
        assert_eq!(target_count(5, 0.5), 2);
        assert_eq!(target_count(7, 0.5), 4);
        assert_eq!(target_count(10, 0.97), 10);
        assert_eq!(target_count(3, 1.0), 3);
    }

    #[test]
    fn the_last_of_equal_scores_goes_first() {
        assert_eq!(lowest(&[1.0, 1.0, 1.0, 0.5], 2), [false, false, true, true]);
        assert_eq!(lowest(&[0.0, -0.0, 1.0], 1), [false, true, false]);
    }

    #[test]
    fn two_of_four_keeps_the_highest_of_each_run() {
        let scores = [4.0, 1.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(n_of_m(&scores, 2, 4), [false, true, false, true, false, false, true, true]);
    }

    proptest! {
        #[test]
        fn exactly_the_target_is_pruned_and_nothing_better_than_what_stays(
            scores in prop::collection::vec(prop_oneof![Just(f32::NEG_INFINITY), -3.0f32..3.0, Just(0.5)], 1..80),
            share in 0.0f64..=1.0,
        ) {
            let target = target_count(scores.len(), share);
            let already = scores.iter().filter(|s| **s == f32::NEG_INFINITY).count();
            let pruned = lowest(&scores, target);
            prop_assert_eq!(pruned.iter().filter(|p| **p).count(), target.max(already));
            let worst_pruned = scores.iter().zip(&pruned).filter(|(_, p)| **p).map(|(s, _)| *s).fold(f32::MIN, f32::max);
            let best_kept = scores.iter().zip(&pruned).filter(|(_, p)| !**p).map(|(s, _)| *s).fold(f32::MAX, f32::min);
            prop_assert!(worst_pruned <= best_kept || target <= already);
        }
    }
}
