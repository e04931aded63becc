//! Settings, result and errors of the OBS pruner for one parameter.

use crate::method::mask::Mask;

/// Settings of the OBS pruner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// B, the number of consecutive weights in a block of the Fisher matrix (SparseML's `fisher_block_size`).
    pub block: usize,
    /// The dampening λ on the diagonal of F.
    pub damp: f64,
    /// m, by which the sum of outer products is divided (SparseML's `num_grads`).
    pub divisor: usize,
    /// The update of the remaining weights: jointly for all pruned weights of a block (true), or the sum of the
    /// updates for each pruned group alone, as in the paper and SparseML (false).
    pub exact: bool,
    /// The number of consecutive weights that are pruned together: 1, or 4 for SparseML's `block4`.
    pub group: usize,
    /// Whether saliencies are refreshed after every pruned group, as in [`super::correlated`].
    pub correlated: bool,
}

/// Why a parameter cannot be pruned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObsError {
    /// A gradient has an infinite or NaN entry.
    #[error("a gradient is not finite")]
    GradientNotFinite,
    /// The gradients are all zero, or their squares underflow float32; for instance because the loss does not depend on
    /// the parameter.
    #[error("its gradients are zero, or too small to be squared")]
    NoGradient,
    /// The Cholesky factorization of a block met a pivot that is not positive, or the block is too
    /// ill-conditioned for float64.
    #[error("Fisher block {block} (weights {first}..{last}) cannot be factored")]
    NotFactored {
        /// The block's index.
        block: usize,
        /// Its first weight.
        first: usize,
        /// One past its last weight.
        last: usize,
    },
}

/// Why a pruning event has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The source of gradients stopped it.
    Stopped,
    /// The parameter of this index cannot be pruned, for this reason.
    Failed(usize, ObsError),
}

/// The pruned weights of a parameter, and the update of the remaining ones.
#[derive(Clone, Debug)]
pub struct PruningUpdate {
    /// For each weight whether it is pruned, in this step or an earlier one.
    pub pruned: Vec<bool>,
    /// δ for each weight, to be subtracted; empty for no update.
    pub delta: Vec<f32>,
}

impl PruningUpdate {
    /// Applies `w ← mask · (w − step · δ)`, with `step` the step size of the update in 0..=1.
    pub fn apply(&self, weights: &mut [f32], mask: &mut Mask, step: f32) {
        for (w, d) in weights.iter_mut().zip(&self.delta) {
            *w -= step * d;
        }
        for (index, _) in self.pruned.iter().enumerate().filter(|(_, pruned)| **pruned) {
            mask.prune(index);
        }
        mask.apply(weights);
    }
}

/// The error for a block that cannot be factored, by its index; blocks have `size` weights, the parameter `count`.
pub(super) fn not_factored(block: usize, size: usize, count: usize) -> ObsError {
    ObsError::NotFactored { block, first: block * size, last: ((block + 1) * size).min(count) }
}
