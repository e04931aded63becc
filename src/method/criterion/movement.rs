//! Movement pruning (Sanh et al., arXiv 2005.07683; SparseML's `MovementPruningModifier`).
//!
//! The score of a weight is accumulated while the model trains, `S ← S − η w ∂L/∂w` at every step (the paper's
//! equation 4): it grows for weights that gradient descent moves away from zero, and falls for those that move towards
//! zero. η is a positive constant, 0.01 as in SparseML, and does not change the ranking.

use burn::tensor::Tensor;

use crate::method::mask::Mask;

/// η.
const RATE: f64 = 0.01;

/// The scores after another step, `S − η w g`. A pruned weight is zero, so that its score does not change.
pub fn accumulate<const D: usize>(scores: Tensor<D>, weights: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
    scores - weights * gradient * RATE
}

/// The mean score over each group of `group` consecutive weights; -∞ where a weight of the group is pruned.
pub fn scores(accumulated: &[f32], mask: &Mask, group: usize) -> Vec<f32> {
    super::group_means(accumulated, mask, group, |score| score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_sum_over_steps_agrees_with_the_definition_in_double_precision() {
        let device = Device::flex();
        let steps = [([0.5f32, -1.0, 2.0], [0.1f32, 0.2, -0.3]), ([0.4, -1.1, 0.0], [-0.7, 0.3, 5.0])];
        let mut sum = Tensor::<1>::zeros([3], &device);
        let mut expected = [0.0f64; 3];
        for (w, g) in steps {
            sum = accumulate(sum, Tensor::from_data(w, &device), Tensor::from_data(g, &device));
            for ((e, w), g) in expected.iter_mut().zip(w).zip(g) {
                *e += -0.01 * f64::from(w) * f64::from(g);
            }
        }
        let got = sum.into_data().try_to_vec::<f32>().unwrap();
        for (got, expected) in got.iter().zip(expected) {
            assert!((f64::from(*got) - expected).abs() < 1e-8, "{got} {expected}");
        }
        assert_eq!(
            scores(&[1.0, 3.0, 5.0, 7.0], &Mask::new(vec![true, true, false, true]), 2),
            [2.0, f32::NEG_INFINITY]
        );
    }
}
