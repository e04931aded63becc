//! Layer normalization over the features of each token.

use super::rows::Target;
use crate::infer::simd::{Floats, Simd};

/// Layer normalization of the tokens of one group of a tile `[features][groups]`
/// (`torch.nn.functional.layer_norm`): `(x − mean(x)) / √(var(x) + ε) · weight + bias` over the features of each token.
/// Stores the features in the rows of `out`.
///
/// # Panics
/// If a slice is too short.
#[inline(always)]
pub fn layer_norm<S: Simd>(
    simd: S,
    tile: &[Floats],
    (groups, group): (usize, usize),
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut impl Target<Floats>,
) {
    let features = weight.len();
    let tile = &tile[..features * groups];
    assert!(bias.len() == features && group < groups, "a normalization of another size");
    let share = simd.splat(1.0 / features as f32);
    let mut sums = [simd.splat(0.0); 4];
    let mut fours = tile.chunks_exact(4 * groups);
    for four in &mut fours {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = simd.add(*sum, simd.load(&four[i * groups + group]));
        }
    }
    for x in fours.remainder().iter().skip(group).step_by(groups) {
        sums[0] = simd.add(sums[0], simd.load(x));
    }
    let mean = simd.mul(total(simd, sums), share);
    let mut squares = [simd.splat(0.0); 4];
    let mut fours = tile.chunks_exact(4 * groups);
    for four in &mut fours {
        for (i, sum) in squares.iter_mut().enumerate() {
            let apart = simd.sub(simd.load(&four[i * groups + group]), mean);
            *sum = simd.fma(apart, apart, *sum);
        }
    }
    for x in fours.remainder().iter().skip(group).step_by(groups) {
        let apart = simd.sub(simd.load(x), mean);
        squares[0] = simd.fma(apart, apart, squares[0]);
    }
    let variance = simd.fma(total(simd, squares), share, simd.splat(epsilon));
    let inverse = simd.div(simd.splat(1.0), simd.sqrt(variance));
    for (row, (weight, bias)) in weight.iter().zip(bias).enumerate() {
        let normal = simd.mul(simd.sub(simd.load(&tile[row * groups + group]), mean), inverse);
        simd.store(simd.fma(normal, simd.splat(*weight), simd.splat(*bias)), out.row_mut(row));
    }
}

#[inline(always)]
fn total<S: Simd>(simd: S, sums: [S::F; 4]) -> S::F {
    simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]))
}
