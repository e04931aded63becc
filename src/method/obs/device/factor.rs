//! Batched Cholesky factorization in tensor operations.
//!
//! A tensor `[row][column][matrix]` has the batch as its last dimension, so that every operation reads contiguous
//! memory, like the vector lanes of the CPU kernels.

use burn::tensor::Tensor;

/// The batch is padded to a multiple of this, so that slices of a tensor are aligned and need no copy.
pub const ALIGNED: usize = 128;

/// The inverse Cholesky factors of a batch.
pub struct Factored {
    /// `X = L⁻¹` with `A = LLᵀ`, and zeros above the diagonal, `[B][B][matrix]`.
    pub inverse: Tensor<3>,
    /// The least pivot of each matrix, `[matrix]`. If it is not positive, X is meaningless.
    pub least_pivot: Tensor<1>,
}

/// `KAK + damp · K + outside · (I − K)` with `K = diag(kept)`; `kept` `[B][matrix]` is 0 or 1.
pub fn restrict(matrix: Tensor<3>, kept: Tensor<2>, damp: f64, outside: f64) -> Tensor<3> {
    let (size, device) = (kept.dims()[0], kept.device());
    // Not as `outside + (damp − outside) · kept`: a small damp would be rounded away.
    let diagonal = kept.clone() * damp as f32 + (-kept.clone() + 1.0) * outside as f32;
    let rows = kept.clone().unsqueeze_dim::<3>(1);
    let columns = kept.unsqueeze_dim::<3>(0);
    let one = Tensor::<2>::eye(size, &device).unsqueeze_dim::<3>(2);
    matrix * rows * columns + one * diagonal.unsqueeze_dim::<3>(0)
}

/// Factors `A = LLᵀ` and inverts L in one Gaussian elimination of `[A | I]`, in place.
///
/// Step j divides row j of the remaining rows by √pivot. Right of the diagonal the row is column j of L, by symmetry.
/// Left of it, in the memory of eliminated columns, it is row j of L⁻¹. The row times the column of L is subtracted
/// from the rows below.
pub fn inverse_factor(matrix: Tensor<3>) -> Factored {
    let [size, _, lanes] = matrix.dims();
    let device = matrix.device();
    let mut rows = Vec::with_capacity(size);
    let mut least = matrix.clone().narrow(0, 0, 1).narrow(1, 0, 1);
    let mut left = matrix;
    for j in 0..size {
        let pivot = left.clone().slice([0..1, j..j + 1, 0..lanes]);
        let scale = pivot.clone().clamp_min(f32::MIN_POSITIVE).sqrt().recip();
        least = least.min_pair(pivot);
        let row = left.clone().narrow(0, 0, 1) * scale.clone();
        let row = row.slice_assign([0..1, j..j + 1, 0..lanes], scale.clone());
        rows.push(row.clone());
        let below = size - j - 1;
        if below == 0 {
            break;
        }
        let rest = left.narrow(0, 1, below);
        let column = rest.clone().narrow(1, j, 1) * scale.clone();
        let update = column.clone() * row;
        left = (rest - update).slice_assign([0..below, j..j + 1, 0..lanes], -(column * scale));
    }
    let lower = Tensor::<2>::ones([size, size], &device).tril(0).unsqueeze_dim::<3>(2);
    Factored { inverse: Tensor::cat(rows, 0) * lower, least_pivot: least.reshape([lanes]) }
}

/// `y = A x`; `x` and `y` are `[B][matrix]`.
pub fn times(matrix: Tensor<3>, x: Tensor<2>) -> Tensor<2> {
    (matrix * x.unsqueeze_dim::<3>(0)).sum_dim(1).squeeze_dim(1)
}

/// `A⁻¹ b = XᵀX b`, given `X = L⁻¹` (`torch.cholesky_solve`).
pub fn solve(inverse: Tensor<3>, b: Tensor<2>) -> Tensor<2> {
    let half = times(inverse.clone(), b);
    (inverse * half.unsqueeze_dim::<3>(1)).sum_dim(0).squeeze_dim(0)
}

/// The diagonal of `A⁻¹ = XᵀX`, `[B][matrix]`.
pub fn inverse_diagonal(inverse: Tensor<3>) -> Tensor<2> {
    inverse.square().sum_dim(0).squeeze_dim(0)
}

/// The principal submatrices `[A⁻¹]_QQ` of all groups Q of `size` consecutive rows, `[size][size][groups · matrix]`.
pub fn principal_blocks(inverse: Tensor<3>, size: usize) -> Tensor<3> {
    let [block, _, lanes] = inverse.dims();
    let groups = block / size;
    let columns = inverse.reshape([block, groups, size, lanes]);
    let rows: Vec<Tensor<4>> =
        (0..size).map(|a| (columns.clone() * columns.clone().narrow(2, a, 1)).sum_dim(0)).collect();
    Tensor::cat(rows, 0).permute([0, 2, 1, 3]).reshape([size, size, groups * lanes])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    const LANES: usize = 5;

    /// Positive definite test matrices `MMᵀ + I`, one for each lane, row by row.
    fn matrices(size: usize) -> Vec<Vec<f64>> {
        (0..LANES)
            .map(|lane| {
                let m = |i: usize, k: usize| ((i * 31 + k * 17 + lane * 7 + i * k) % 23) as f64 / 11.0 - 1.0;
                let entry = |i: usize, j: usize| {
                    (0..size).map(|k| m(i, k) * m(j, k)).sum::<f64>() + f64::from(u8::from(i == j))
                };
                (0..size * size).map(|place| entry(place / size, place % size)).collect()
            })
            .collect()
    }

    fn tensor(matrices: &[Vec<f64>], size: usize) -> Tensor<3> {
        let values: Vec<f32> =
            (0..size * size).flat_map(|i| matrices.iter().map(move |m| m[i] as f32)).collect();
        Tensor::from_data(TensorData::new(values, [size, size, matrices.len()]), &Device::flex())
    }

    /// The elements of a tensor in float64; consecutive ones belong to consecutive lanes.
    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        let values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
        values.into_iter().map(f64::from).collect()
    }

    #[test]
    fn the_inverse_times_the_matrix_is_the_identity() {
        for size in [1, 2, 3, 7, 16] {
            let matrices = matrices(size);
            let factored = inverse_factor(tensor(&matrices, size));
            assert!(values(factored.least_pivot).iter().all(|p| *p > 0.0));
            let x = values(factored.inverse.clone());
            let diagonal = values(inverse_diagonal(factored.inverse.clone()));
            let at = |i: usize, j: usize, lane: usize| x[(i * size + j) * LANES + lane];
            for (lane, matrix) in matrices.iter().enumerate() {
                let inverse =
                    |i: usize, j: usize| -> f64 { (0..size).map(|k| at(k, i, lane) * at(k, j, lane)).sum() };
                for i in 0..size {
                    assert!((i + 1..size).all(|j| at(i, j, lane) == 0.0), "a lower triangle");
                    assert!((diagonal[i * LANES + lane] - inverse(i, i)).abs() < 1e-5);
                    for j in 0..size {
                        let product: f64 = (0..size).map(|k| matrix[i * size + k] * inverse(k, j)).sum();
                        let expected = f64::from(u8::from(i == j));
                        assert!((product - expected).abs() < 1e-3, "{size}: {product} at {i}, {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_solution_and_the_blocks_of_the_inverse_are_those_of_the_whole_inverse() {
        let (size, group) = (6, 3);
        let matrices = matrices(size);
        let inverse = inverse_factor(tensor(&matrices, size)).inverse;
        let numbers: Vec<f32> = (0..size * LANES).map(|i| (i % 7) as f32 - 3.0).collect();
        let b = Tensor::from_data(TensorData::new(numbers.clone(), [size, LANES]), &Device::flex());
        let solved = values(solve(inverse.clone(), b));
        let blocks = values(principal_blocks(inverse.clone(), group));
        let x = values(inverse);
        for lane in 0..LANES {
            let at = |i: usize, j: usize| -> f64 {
                (0..size).map(|k| x[(k * size + i) * LANES + lane] * x[(k * size + j) * LANES + lane]).sum()
            };
            for i in 0..size {
                let expected: f64 = (0..size).map(|j| at(i, j) * f64::from(numbers[j * LANES + lane])).sum();
                assert!((solved[i * LANES + lane] - expected).abs() < 1e-4);
            }
            for (q, a, c) in
                (0..2).flat_map(|q| (0..group).flat_map(move |a| (0..group).map(move |c| (q, a, c))))
            {
                let got = blocks[((a * group + c) * 2 + q) * LANES + lane];
                assert!((got - at(q * group + a, q * group + c)).abs() < 1e-5, "{q} {a} {c}");
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_reported_and_affects_no_other_one() {
        let (size, mut matrices) = (4, matrices(4));
        let sound = values(inverse_factor(tensor(&matrices, size)).inverse);
        matrices[2][5] = -1.0;
        let factored = inverse_factor(tensor(&matrices, size));
        let pivots = values(factored.least_pivot);
        let expected: Vec<bool> = (0..LANES).map(|lane| lane != 2).collect();
        assert_eq!(pivots.iter().map(|p| *p > 0.0).collect::<Vec<_>>(), expected);
        for (i, (a, b)) in values(factored.inverse).iter().zip(&sound).enumerate() {
            assert!(i % LANES == 2 || a == b);
        }
    }

    #[test]
    fn rows_that_are_not_kept_are_those_of_a_diagonal_matrix() {
        let matrix = tensor(&matrices(3), 3);
        let kept: Vec<f32> = [1.0, 0.0, 1.0].iter().flat_map(|k| [*k; LANES]).collect();
        let kept = Tensor::from_data(TensorData::new(kept, [3, LANES]), &Device::flex());
        let before = values(matrix.clone());
        let after = values(restrict(matrix, kept, 0.5, 2.0));
        for (place, (before, after)) in before.iter().zip(after).enumerate() {
            let (i, j) = (place / LANES / 3, place / LANES % 3);
            let expected = match (i == 1 || j == 1, i == j) {
                (true, true) => 2.0,
                (true, false) => 0.0,
                (false, true) => before + 0.5,
                (false, false) => *before,
            };
            assert!((after - expected).abs() < 1e-6);
        }
    }
}
