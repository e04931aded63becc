//! Layer-wise reconstruction after pruning: the remaining weights of a linear layer are fitted by least squares to the
//! outputs that the layer had in the unpruned model.
//!
//! Let `x` be an input of the layer in the pruned model, `x'` the input at the same token in the unpruned model, `W'`
//! and `b'` the unpruned weight `[out, in]` and bias, and M the mask. The weight and bias minimise
//!
//! ```text
//! Σ ‖W x + b − (W' x' + b')‖² + λ ‖W − W₀‖²    over W with W = M ∘ W
//! ```
//!
//! where W₀ is the pruned weight and λ a share of the mean diagonal of `Σ x xᵀ` (about the mean, where the
//! layer has a bias). The sum over tokens is kept as the
//! moments `Σ x xᵀ` and `Σ x x'ᵀ`, so that its cost does not grow with the number of tokens. As the outputs of the unpruned
//! model are the target and the inputs come from the pruned one, a layer also corrects the errors of the layers before
//! it.
//!
//! All rows of W are solved at the same time by conjugate gradients on the weights that the mask keeps, with the diagonal as
//! preconditioner and W₀ as the first iterate.

use burn::tensor::Tensor;

/// λ relative to the mean diagonal of the second moments.
const DAMP: f32 = 1e-2;

/// The least λ relative to the mean diagonal of the moments about zero.
const ROUNDING: f32 = 1e-5;

/// The most iterations of conjugate gradients.
const ITERATIONS: usize = 100;

/// Iterations end where no row's residual, in the norm of the preconditioner, is larger than this share of its first.
const TOLERANCE: f32 = 1e-4;

/// The moments of a layer's inputs.
pub struct Moments {
    /// `Σ x xᵀ`, `[in, in]`.
    own: Tensor<2>,
    /// `Σ x x'ᵀ`, `[in, in]`.
    cross: Tensor<2>,
    /// `Σ x' x'ᵀ`, `[in, in]`.
    unpruned: Tensor<2>,
    /// `Σ x` and `Σ x'`, `[1, in]`.
    sums: [Tensor<2>; 2],
    tokens: usize,
}

/// A reconstructed layer.
pub struct Reconstructed {
    /// W, `[out, in]`.
    pub weight: Tensor<2>,
    /// `b − b'`, `[1, out]`; `None` for a layer without a bias.
    pub bias_change: Option<Tensor<2>>,
    /// The squared error of the outputs relative to their variance (for a layer without a bias: to their mean square)
    /// before and after.
    pub errors: [f64; 2],
}

impl Moments {
    /// The moments of inputs `[tokens, in]` of the pruned and the unpruned model.
    pub fn of(x: Tensor<2>, unpruned: Tensor<2>) -> Self {
        let [tokens, _] = x.dims();
        Moments {
            own: x.clone().transpose().matmul(x.clone()),
            cross: x.clone().transpose().matmul(unpruned.clone()),
            unpruned: unpruned.clone().transpose().matmul(unpruned.clone()),
            sums: [x.sum_dim(0), unpruned.sum_dim(0)],
            tokens,
        }
    }

    /// The moments of both.
    pub fn and(self, other: Self) -> Self {
        let ([a, b], [c, d]) = (self.sums, other.sums);
        Moments {
            own: self.own + other.own,
            cross: self.cross + other.cross,
            unpruned: self.unpruned + other.unpruned,
            sums: [a + c, b + d],
            tokens: self.tokens + other.tokens,
        }
    }

    /// The moments about the means, with which the best bias is already subtracted.
    fn centered(&self) -> Self {
        let [own, unpruned] = &self.sums;
        let product = |a: &Tensor<2>, b: &Tensor<2>| {
            a.clone().transpose().matmul(b.clone()) / self.tokens.max(1) as f32
        };
        Moments {
            own: self.own.clone() - product(own, own),
            cross: self.cross.clone() - product(own, unpruned),
            unpruned: self.unpruned.clone() - product(unpruned, unpruned),
            sums: self.sums.clone(),
            tokens: self.tokens,
        }
    }

    /// Fits the weight of a layer: `pruned` is W₀, `unpruned` is W', and `mask` is 1 for weights that remain, each
    /// `[out, in]`.
    pub fn reconstruct(
        &self,
        pruned: Tensor<2>,
        unpruned: Tensor<2>,
        mask: Tensor<2>,
        has_bias: bool,
    ) -> Reconstructed {
        let centered = has_bias.then(|| self.centered());
        let Moments { own, cross, unpruned: targets, .. } = centered.as_ref().unwrap_or(self);
        let [_, inputs] = pruned.dims();
        let identity = Tensor::<2>::eye(inputs, &own.device());
        let diagonal = |moments: &Tensor<2>| (moments.clone() * identity.clone()).sum_dim(0);
        let mean = |diagonal: Tensor<2>| diagonal.mean().into_scalar::<f32>();
        // Of constant inputs only rounding errors are left about the mean: they must not move the weights.
        let rounding = mean(diagonal(&self.own)) * ROUNDING;
        let diagonal = diagonal(own);
        let damp = (mean(diagonal.clone()) * DAMP).max(rounding).max(f32::MIN_POSITIVE);
        // `Σ y xᵀ`, `[out, in]`.
        let outputs = unpruned.clone().matmul(cross.clone().transpose());
        let total = (unpruned.clone().matmul(targets.clone()) * unpruned.clone()).sum();
        let total = f64::from(total.into_scalar::<f32>()).max(f64::MIN_POSITIVE);
        let error = |weight: &Tensor<2>| {
            let fitted = (weight.clone().matmul(own.clone()) * weight.clone()).sum();
            let common = (weight.clone() * outputs.clone()).sum();
            (total + f64::from((fitted - common * 2.0).into_scalar::<f32>())) / total
        };
        let residual = (outputs.clone() - pruned.clone().matmul(own.clone())) * mask.clone();
        let weight = solve(own, diagonal + damp, damp, residual, pruned.clone(), &mask);
        let [mean, unpruned_mean] = self.sums.clone().map(|sum| sum / self.tokens.max(1) as f32);
        let bias_change = has_bias.then(|| {
            let of = |mean: Tensor<2>, weight: Tensor<2>| mean.matmul(weight.transpose());
            of(unpruned_mean, unpruned) - of(mean, weight.clone())
        });
        Reconstructed { errors: [error(&pruned), error(&weight)], weight, bias_change }
    }
}

/// `weight` plus the masked solution D of `D (own + damp I) = residual`, by rows.
fn solve(
    own: &Tensor<2>,
    diagonal: Tensor<2>,
    damp: f32,
    residual: Tensor<2>,
    mut weight: Tensor<2>,
    mask: &Tensor<2>,
) -> Tensor<2> {
    let dot = |a: &Tensor<2>, b: &Tensor<2>| (a.clone() * b.clone()).sum_dim(1);
    // A row without an error has no direction: 0 in place of 0 / 0.
    let ratio = |a: &Tensor<2>, b: &Tensor<2>| a.clone() / b.clone().clamp_min(f32::MIN_POSITIVE);
    let mut residual = residual;
    let mut direction = residual.clone() / diagonal.clone();
    let mut norm = dot(&residual, &direction);
    let first = norm.clone();
    for _ in 0..ITERATIONS {
        let largest = ratio(&norm, &first).max().into_scalar::<f32>();
        if largest.is_nan() || largest <= TOLERANCE * TOLERANCE {
            break;
        }
        let product = (direction.clone().matmul(own.clone()) + direction.clone() * damp) * mask.clone();
        let step = ratio(&norm, &dot(&direction, &product));
        weight = weight + direction.clone() * step.clone();
        residual = residual - product * step;
        let conditioned = residual.clone() / diagonal.clone();
        let next = dot(&residual, &conditioned);
        direction = conditioned + direction * ratio(&next, &norm);
        norm = next;
    }
    weight
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    const TOKENS: usize = 40;
    const INPUTS: usize = 6;
    const OUTPUTS: usize = 3;

    fn values(seed: u32, count: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    fn tensor(values: &[f64], columns: usize) -> Tensor<2> {
        let shape = [values.len() / columns, columns];
        let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::default())
    }

    struct Case {
        x: Vec<f64>,
        unpruned_x: Vec<f64>,
        unpruned: Vec<f64>,
        pruned: Vec<f64>,
        mask: Vec<f64>,
    }

    fn case() -> Case {
        let x: Vec<f64> = values(1, TOKENS * INPUTS).iter().map(|v| v + 0.3).collect();
        let noise = values(2, TOKENS * INPUTS);
        let unpruned_x = x.iter().zip(&noise).map(|(x, n)| x + 0.2 * n).collect();
        let unpruned = values(3, OUTPUTS * INPUTS);
        let mask: Vec<f64> = (0..OUTPUTS * INPUTS).map(|k| f64::from(u8::from(k * 7 % 5 < 2))).collect();
        let pruned = unpruned.iter().zip(&mask).map(|(w, m)| w * m).collect();
        Case { x, unpruned_x, unpruned, pruned, mask }
    }

    fn solved(case: &Case, has_bias: bool) -> Reconstructed {
        let half = TOKENS / 2 * INPUTS;
        let moments = |part: std::ops::Range<usize>| {
            Moments::of(tensor(&case.x[part.clone()], INPUTS), tensor(&case.unpruned_x[part], INPUTS))
        };
        let moments = moments(0..half).and(moments(half..TOKENS * INPUTS));
        let of = |values: &[f64]| tensor(values, INPUTS);
        moments.reconstruct(of(&case.pruned), of(&case.unpruned), of(&case.mask), has_bias)
    }

    /// The penalised squared error in float64, with the bias given or absent, and that of the outputs alone.
    fn objective(case: &Case, weight: &[f64], bias_change: Option<&[f64]>) -> (f64, f64) {
        let mut mean_square = 0.0;
        let mut error = 0.0;
        let mean = |i: usize| match bias_change {
            Some(_) => (0..TOKENS).map(|t| case.x[t * INPUTS + i]).sum::<f64>() / TOKENS as f64,
            None => 0.0,
        };
        for t in 0..TOKENS {
            mean_square += (0..INPUTS).map(|i| (case.x[t * INPUTS + i] - mean(i)).powi(2)).sum::<f64>();
            for o in 0..OUTPUTS {
                let output = |weight: &[f64], x: &[f64]| {
                    (0..INPUTS).map(|i| weight[o * INPUTS + i] * x[t * INPUTS + i]).sum::<f64>()
                };
                let difference = output(weight, &case.x) + bias_change.map_or(0.0, |b| b[o])
                    - output(&case.unpruned, &case.unpruned_x);
                error += difference * difference;
            }
        }
        let damp = f64::from(DAMP) * mean_square / INPUTS as f64;
        let away: f64 = weight.iter().zip(&case.pruned).map(|(w, p)| (w - p) * (w - p)).sum();
        (error + damp * away, error)
    }

    fn of(tensor: Tensor<2>) -> Vec<f64> {
        tensor.into_data().iter::<f32>().map(f64::from).collect()
    }

    #[test]
    fn the_solution_is_the_minimum_over_the_remaining_weights_and_the_bias() {
        for has_bias in [true, false] {
            let case = case();
            let found = solved(&case, has_bias);
            let (weight, bias) = (of(found.weight), found.bias_change.map(of));
            let (least, error) = objective(&case, &weight, bias.as_deref());
            for (k, kept) in case.mask.iter().enumerate() {
                assert!(*kept == 1.0 || weight[k] == 0.0, "a pruned weight stays zero");
                for change in [-0.01, 0.01] {
                    let mut other = weight.clone();
                    other[k] += change * kept;
                    assert!(objective(&case, &other, bias.as_deref()).0 >= least - 1e-6);
                }
            }
            if let Some(bias) = &bias {
                for (o, change) in (0..OUTPUTS).flat_map(|o| [(o, -0.01), (o, 0.01)]) {
                    let mut other = bias.clone();
                    other[o] += change;
                    assert!(objective(&case, &weight, Some(&other)).0 > least);
                }
            }
            let before = objective(&case, &case.pruned, bias.as_ref().map(|b| vec![0.0; b.len()]).as_deref());
            assert!(error < 0.8 * before.1, "{error} {before:?}");
            assert!(found.errors[1] < found.errors[0], "{:?}", found.errors);
        }
    }

    /// `tests/oracle/reconstruct.py`.
    #[test]
    fn the_solution_equals_that_of_numpys_least_squares() {
        let expected = [
            (vec![-0.451406, 0.0, 0.0, 0.267632, 0.0, 0.023778], 0.014052),
            (vec![0.0, 0.0, 0.089418, 0.0, 0.490767, 0.0], 0.193268),
            (vec![0.0, 0.032763, 0.0, 0.024409, 0.0, 0.0], 0.133927),
        ];
        let found = solved(&case(), true);
        let (weight, bias) = (of(found.weight), of(found.bias_change.unwrap()));
        for ((expected, expected_bias), (row, bias)) in expected.iter().zip(weight.chunks(INPUTS).zip(bias)) {
            assert!((bias - expected_bias).abs() < 1e-4, "{bias} {expected_bias}");
            for (found, expected) in row.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_layer_that_is_not_pruned_and_has_the_same_inputs_stays_as_it_is() {
        let same = case();
        let case = Case {
            unpruned_x: same.x.clone(),
            pruned: same.unpruned.clone(),
            mask: vec![1.0; OUTPUTS * INPUTS],
            ..same
        };
        let found = solved(&case, true);
        for (found, expected) in of(found.weight).iter().zip(&case.unpruned) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        assert!(found.bias_change.is_some_and(|b| of(b).iter().all(|b| b.abs() < 1e-4)));
        assert!(found.errors.iter().all(|e| e.abs() < 1e-4), "{:?}", found.errors);
    }

    #[test]
    fn constant_inputs_change_the_bias_alone() {
        let case = Case { x: vec![0.5; TOKENS * INPUTS], ..case() };
        let found = solved(&case, true);
        assert!(of(found.weight).iter().zip(&case.pruned).all(|(a, b)| (a - b).abs() < 0.02));
        assert!(found.bias_change.is_some_and(|b| of(b).iter().all(|b| b.is_finite())));
    }
}
