//! Movement towards zero while training as the sign of unimportance (Sanh et al., arXiv 2005.07683,
//! soft accumulation).
//!
//! A weight that gradient descent moves away from zero has `w · g < 0` and gains; one that moves
//! towards zero loses: `S -= η w g` at every step (the paper's equation 4). The η of SparseML, 0.01,
//! changes no order.

use burn::tensor::Tensor;

use crate::method::mask::Mask;

/// η.
const RATE: f64 = 0.01;

/// The scores after one more step, `S - η w g`. A pruned weight is zero, so its score rests.
pub fn accumulate<const D: usize>(scores: Tensor<D>, weights: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
    scores - weights * gradient * RATE
}

/// The mean score of each group of consecutive weights; -∞ where one of it is pruned.
pub fn scores(accumulated: &[f32], mask: &Mask, group: usize) -> Vec<f32> {
    let groups = accumulated.chunks(group).zip(mask.kept().chunks(group));
    groups
        .map(|(scores, kept)| match kept.contains(&false) {
            true => f32::NEG_INFINITY,
            false => scores.iter().sum::<f32>() / scores.len() as f32,
        })
        .collect()
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
