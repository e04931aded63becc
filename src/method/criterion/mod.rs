//! Zeroth-order and first-order pruning criteria: magnitude and movement.

pub mod magnitude;
pub mod movement;

use crate::method::mask::Mask;

/// The mean of `score` over each group of `group` consecutive values; -∞ where a weight of the group is pruned.
fn group_means(values: &[f32], mask: &Mask, group: usize, score: impl Fn(f32) -> f32) -> Vec<f32> {
    let groups = values.chunks(group).zip(mask.kept().chunks(group));
    groups
        .map(|(values, kept)| match kept.contains(&false) {
            true => f32::NEG_INFINITY,
            false => values.iter().map(|v| score(*v)).sum::<f32>() / values.len() as f32,
        })
        .collect()
}
