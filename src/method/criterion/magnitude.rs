//! Magnitude pruning: the baseline criterion `|w|`.

use crate::method::mask::Mask;

/// The mean of `|w|` over each group of `group` consecutive weights; -∞ where a weight of the group is pruned.
pub fn scores(weights: &[f32], mask: &Mask, group: usize) -> Vec<f32> {
    super::group_means(weights, mask, group, f32::abs)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::method::mask::select::{Selection, select, spread};

    /// The minimum, over all sets of `count` groups that are not pruned yet, of the sum of their weights' absolute
    /// values, by brute force. Each entry of `groups` is such a sum, and whether the group is pruned already.
    fn least(groups: &[(f64, bool)], count: usize) -> f64 {
        (0..1u32 << groups.len())
            .filter(|set| set.count_ones() as usize == count)
            .filter_map(|set| {
                let chosen = groups.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
                chosen.map(|(_, (sum, gone))| (!gone).then_some(*sum)).sum::<Option<f64>>()
            })
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn no_other_choice_of_as_many_weights_or_groups_has_a_smaller_sum_of_absolute_values() {
        // Two parameters of six groups; one group is pruned, in part or whole.
        for group in [1, 2, 4] {
            let value = |i: usize| ((i * 37 + 11 * group) % 53) as f32 / 53.0 - 0.4;
            let weights: Vec<Vec<f32>> =
                (0..2).map(|p| (0..6 * group).map(|i| value(100 * p + i)).collect()).collect();
            let masks: Vec<Mask> = (0..2)
                .map(|p| Mask::new((0..6 * group).map(|i| p == 1 || i != 2 * group).collect()))
                .collect();
            let scored: Vec<Vec<f32>> =
                weights.iter().zip(&masks).map(|(w, m)| scores(w, m, group)).collect();
            let sums: Vec<Vec<(f64, bool)>> = weights
                .iter()
                .zip(&masks)
                .map(|(w, m)| {
                    let groups = w.chunks(group).zip(m.kept().chunks(group));
                    let sum = |w: &[f32]| w.iter().map(|w| f64::from(w.abs())).sum();
                    groups.map(|(w, kept)| (sum(w), kept.contains(&false))).collect()
                })
                .collect();
            let removed = |pruned: &[Vec<bool>], parameters: std::ops::Range<usize>| -> f64 {
                let of = |p: usize| {
                    let spread = spread(&pruned[p], group, 6 * group);
                    let gone: Vec<bool> =
                        sums[p].iter().flat_map(|(_, gone)| std::iter::repeat_n(*gone, group)).collect();
                    let chosen = weights[p].iter().zip(spread).zip(gone).filter(|((_, s), g)| *s && !*g);
                    chosen.map(|((w, _), _)| f64::from(w.abs())).sum::<f64>()
                };
                parameters.map(of).sum()
            };
            // Half of twelve groups are six, of which one is pruned before; of six groups three.
            let global = select(&scored, Selection::Global(0.5));
            assert!((removed(&global, 0..2) - least(&sums.concat(), 5)).abs() < 1e-6, "groups of {group}");
            let layer = select(&scored, Selection::Layer(0.5));
            assert!((removed(&layer, 0..1) - least(&sums[0], 2)).abs() < 1e-6, "groups of {group}");
            assert!((removed(&layer, 1..2) - least(&sums[1], 3)).abs() < 1e-6, "groups of {group}");
        }
    }

    #[test]
    fn a_group_is_as_important_as_its_mean_and_not_at_all_once_pruned() {
        let mask = Mask::new(vec![true, true, true, false]);
        assert_eq!(scores(&[1.0, -3.0, 9.0, 0.0], &mask, 2), [2.0, f32::NEG_INFINITY]);
    }
}
