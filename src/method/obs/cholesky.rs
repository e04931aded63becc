//! The Cholesky factorization of sixteen blocks at once.

use pulp::{Arch, Simd};

use super::lanes::{BlockBatch, CHAINS, LANES, Lane, ZERO, get, index, less, parts, set};

impl BlockBatch {
    /// Factors `F = LLᵀ` in place (LAPACK `spotrf`). Returns for each lane whether all pivots were positive and
    /// finite; where one was not, L is finite and meaningless.
    pub fn factor(&mut self) -> [bool; LANES] {
        factor(&mut self.matrix, &mut self.inverse, self.block).map(|failed| failed == 0.0)
    }
}

/// `L_ij = (F_ij − Σ_{k<j} L_ik L_jk) / L_jj` and `L_ii² = F_ii − Σ_{k<i} L_ik²`, two rows at a time.
#[inline(always)]
#[pulp::with_simd(factor = Arch::new())]
pub(super) fn factor_simd<'a, S: Simd>(
    simd: S,
    matrix: &'a mut [Lane],
    inverse: &'a mut [Lane],
    block: usize,
) -> Lane {
    let mut failed = ZERO;
    for i in (0..block).step_by(2) {
        if i + 1 < block {
            factor_columns::<S, 2>(simd, matrix, inverse, i);
            factor_rest(simd, matrix, inverse, i, &mut failed);
            factor_rest(simd, matrix, inverse, i + 1, &mut failed);
        } else {
            factor_columns::<S, 1>(simd, matrix, inverse, i);
            factor_rest(simd, matrix, inverse, i, &mut failed);
        }
    }
    failed
}

/// Computes R rows of L from the even row i on, in panels of four columns, without the last `i mod 4` columns before
/// i. In each panel the terms `L_ik L_jk` of earlier columns k are subtracted first, then those of columns k in the
/// panel.
#[inline(always)]
fn factor_columns<S: Simd, const R: usize>(simd: S, matrix: &mut [Lane], inverse: &[Lane], i: usize) {
    let (above, below) = matrix.split_at_mut(index(i, 0));
    for first in (0..i / CHAINS * CHAINS).step_by(CHAINS) {
        let rows: [&[Lane]; CHAINS] =
            std::array::from_fn(|c| &above[index(first + c, 0)..=index(first + c, first + c)]);
        let own: [usize; R] = std::array::from_fn(|r| index(i + r, 0) - index(i, 0));
        for part in parts::<S>() {
            let mut sums: [[S::f32s; CHAINS]; R] =
                std::array::from_fn(|r| std::array::from_fn(|c| get::<S>(&below[own[r] + first + c], part)));
            let known: [&[Lane]; R] = std::array::from_fn(|r| &below[own[r]..own[r] + first]);
            let [w, x, y, z] = rows;
            for (k, (((w, x), y), z)) in w[..first].iter().zip(x).zip(y).zip(z).enumerate() {
                let b = [w, x, y, z].map(|b| get::<S>(b, part));
                for (sums, known) in sums.iter_mut().zip(known) {
                    let a = get::<S>(&known[k], part);
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = less(simd, *sum, a, b);
                    }
                }
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                for c in 0..CHAINS {
                    for k in 0..c {
                        sums[c] = less(simd, sums[c], sums[k], get::<S>(&rows[c][first + k], part));
                    }
                    sums[c] = simd.mul_f32s(sums[c], get::<S>(&inverse[first + c], part));
                    set::<S>(&mut below[own[r] + first + c], part, sums[c]);
                }
            }
        }
    }
}

/// Computes the columns of row i of L that [`factor_columns`] leaves, up to the diagonal.
#[inline(always)]
fn factor_rest<S: Simd>(simd: S, matrix: &mut [Lane], inverse: &mut [Lane], i: usize, failed: &mut Lane) {
    let (above, rest) = matrix.split_at_mut(index(i, 0));
    let row = &mut rest[..i + 1];
    for part in parts::<S>() {
        for j in i / 2 * 2 / CHAINS * CHAINS..i {
            let (known, own) = row.split_at_mut(j);
            let mut sum = get::<S>(&own[0], part);
            for (a, b) in known.iter().zip(&above[index(j, 0)..]) {
                sum = less(simd, sum, get::<S>(a, part), get::<S>(b, part));
            }
            set::<S>(&mut own[0], part, simd.mul_f32s(sum, get::<S>(&inverse[j], part)));
        }
        let (known, own) = row.split_at_mut(i);
        let mut sum = get::<S>(&own[0], part);
        for a in known.iter() {
            let a = get::<S>(a, part);
            sum = less(simd, sum, a, a);
        }
        set::<S>(&mut own[0], part, sum);
    }
    for l in 0..LANES {
        let pivot = row[i][l];
        let sound = pivot > 0.0 && pivot < f32::INFINITY;
        failed[l] = if sound { failed[l] } else { 1.0 };
        let root = if sound { pivot } else { 1.0 }.sqrt();
        row[i][l] = root;
        inverse[i][l] = 1.0 / root;
    }
}
