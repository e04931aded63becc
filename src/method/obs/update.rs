//! How the weights that stay make up for those that go.

use super::dual::DualBlock;
use super::lanes::{Group, LANES, Lane};

/// The paper's update of a factored group: every removed weight (or group) moves the others as if it
/// were removed alone, `δ = F⁻¹ v` with v the pull of what is removed. Returns δ, to be subtracted.
pub fn independent(group: &Group, pull_of_removed: &[Lane]) -> Vec<Lane> {
    let mut delta = pull_of_removed.to_vec();
    group.solve(&mut delta);
    delta
}

/// The joint update of all weights Q removed from a block: `δ_K = -F_KK⁻¹ F_KQ w_Q`, the minimum of
/// the quadratic form over the weights K that stay. `group` holds F, unfactored; `stays` and
/// `removed` are `[block][lane]`, the latter the removed weights and 0 elsewhere. Returns δ on K, to
/// be subtracted; `None` with the lane that cannot be factored.
pub fn exact(mut group: Group, stays: &[Lane], removed: &[Lane]) -> Result<Vec<Lane>, usize> {
    let mut right = group.times(removed);
    for (r, s) in right.iter_mut().zip(stays) {
        for l in 0..LANES {
            r[l] *= -s[l];
        }
    }
    group.restrict(stays, 1.0);
    if let Some(lane) = group.factor().unfactored {
        return Err(lane);
    }
    group.solve(&mut right);
    Ok(right)
}

/// The paper's update of a dual block.
pub fn independent_dual(dual: &DualBlock, pull_of_removed: &[f64]) -> Vec<f64> {
    dual.solve(pull_of_removed)
}

/// The joint update of a dual block. `stays_dual` is the dual of the gradients restricted to the
/// weights that stay, so that it solves with F_KK.
pub fn exact_dual(
    dual: &DualBlock,
    stays_dual: &DualBlock,
    stays: &[bool],
    removed: &[f64],
    divisor: f64,
) -> Vec<f64> {
    // F_KQ has no damp: K and Q are disjoint.
    let mut right = dual.fisher_times(removed, divisor);
    for (r, s) in right.iter_mut().zip(stays) {
        *r = if *s { -*r } else { 0.0 };
    }
    let mut delta = stays_dual.solve(&right);
    for (d, s) in delta.iter_mut().zip(stays) {
        *d = if *s { *d } else { 0.0 };
    }
    delta
}
