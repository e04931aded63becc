//! The absolute value as importance: the baseline.

use crate::method::mask::Mask;

/// The mean absolute value of each group of consecutive weights; -∞ where one of it is pruned.
pub fn scores(weights: &[f32], mask: &Mask, group: usize) -> Vec<f32> {
    let groups = weights.chunks(group).zip(mask.kept().chunks(group));
    groups
        .map(|(weights, kept)| match kept.contains(&false) {
            true => f32::NEG_INFINITY,
            false => weights.iter().map(|w| w.abs()).sum::<f32>() / weights.len() as f32,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_as_important_as_its_mean_and_not_at_all_once_pruned() {
        let mask = Mask::new(vec![true, true, true, false]);
        assert_eq!(scores(&[1.0, -3.0, 9.0, 0.0], &mask, 2), [2.0, f32::NEG_INFINITY]);
    }
}
