//! Settings, result and errors of the OBS pruner, of one parameter.

use crate::method::mask::Mask;

/// How the Fisher matrix is estimated and used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Weights of a block.
    pub block: usize,
    /// λ, added to the diagonal.
    pub damp: f64,
    /// m, by which sums of gradients are divided.
    pub divisor: usize,
    /// All weights removed from a block together (true), or each as if alone: the paper's (false).
    pub exact: bool,
    /// Consecutive weights that go together.
    pub group: usize,
    /// Whether saliencies are refreshed after every removal from a block.
    pub correlated: bool,
}

/// What stands in the way of a pruning event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObsError {
    /// A gradient is not finite.
    #[error("a gradient is not finite")]
    GradientNotFinite,
    /// The loss does not depend on the parameter, as far as its gradients tell.
    #[error("its gradients are zero, or too small to be squared")]
    NoGradient,
    /// A block has a pivot that is not positive, or lost too many digits.
    #[error("Fisher block {block} (weights {first}..{last}) cannot be factored")]
    NotFactored {
        /// The block.
        block: usize,
        /// Its first weight.
        first: usize,
        /// One past its last weight.
        last: usize,
    },
}

/// What goes from a parameter, and how the others make up for it.
#[derive(Clone, Debug)]
pub struct PruningUpdate {
    /// Weight by weight whether it is pruned, before or now.
    pub pruned: Vec<bool>,
    /// What is to be subtracted from the weights.
    pub delta: Vec<f32>,
}

impl PruningUpdate {
    /// Carries it out; `step` is the length of the compensation, 1 for all of it.
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

/// The error of a block of `size` weights.
pub(super) fn not_factored(block: usize, size: usize, count: usize) -> ObsError {
    ObsError::NotFactored { block, first: block * size, last: ((block + 1) * size).min(count) }
}
