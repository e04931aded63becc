//! Batched linear algebra on sixteen Fisher blocks, one in each lane of a vector.
//!
//! Every scalar of the textbook algorithm is a vector over the blocks. Each is one chain of fused multiply-adds in
//! a fixed order, so that all machines give the same bits; four independent chains are interleaved to hide
//! their latency.

use pulp::{Arch, Simd};

use super::fisher::{Fisher, triangle};
use super::prefetch::prefetch;

/// The number of blocks in a batch.
pub const LANES: usize = 16;

/// One scalar of each block.
pub type Lane = [f32; LANES];

/// Zero for each block.
pub const ZERO: Lane = [0.0; LANES];

/// The prefetch distance in each of sixteen triangles, in elements.
const AHEAD: usize = 8 * LANES;

/// The number of independent chains of multiply-adds that are interleaved.
pub(super) const CHAINS: usize = 4;

/// Sixteen blocks F of one parameter.
#[derive(Clone, Debug)]
pub struct BlockBatch {
    /// B, the weights in a block.
    pub block: usize,
    /// The lower triangles of F, row by row, `[B (B + 1) / 2]`; after [`BlockBatch::factor`] those of L, `F = LLᵀ`.
    pub(super) matrix: Vec<Lane>,
    /// `1 / L_ii` after [`BlockBatch::factor`], `[B]`.
    pub(super) inverse: Vec<Lane>,
}

impl BlockBatch {
    /// Memory for blocks of `block` weights.
    pub fn new(block: usize) -> Self {
        BlockBatch { block, matrix: vec![ZERO; triangle(block)], inverse: vec![ZERO; block] }
    }

    /// Loads `F = scale · Σ g gᵀ + damp · I` of the blocks `first..first + 16`; `damp · I` for those beyond the
    /// last block.
    pub fn load(&mut self, fisher: &Fisher, first: usize, blocks: usize, scale: f32, damp: f32) {
        let empty = vec![0.0; if blocks < first + LANES { self.matrix.len() } else { 0 }];
        let sources: [&[f32]; LANES] = std::array::from_fn(|lane| match first + lane < blocks {
            true => fisher.triangle(first + lane),
            false => &empty,
        });
        interleave(&mut self.matrix, sources, scale);
        for i in 0..self.block {
            for v in &mut self.matrix[index(i, i)] {
                *v += damp;
            }
        }
    }

    /// Copies the diagonal of F, before [`BlockBatch::factor`].
    pub fn diagonal(&self, out: &mut [Lane]) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.matrix[index(i, i)];
        }
    }

    /// Replaces F by `MFM + diagonal · (I − M)` with `M = diag(kept)`, `kept` 0 or 1, before
    /// [`BlockBatch::factor`].
    pub fn restrict(&mut self, kept: &[Lane], diagonal: f32) {
        if kept.iter().all(|k| *k == [1.0; LANES]) {
            return;
        }
        restrict(&mut self.matrix, kept, diagonal);
    }

    /// Computes `y = F x`, before [`BlockBatch::factor`] (BLAS `ssymv`).
    pub fn times(&self, x: &[Lane], y: &mut [Lane]) {
        times(y, &self.matrix, x);
    }

    /// Computes the columns `first..first + columns.len() / B` of `X = L⁻¹` (LAPACK `strtri`), `[columns][B]` with
    /// the zeros above the diagonal.
    pub fn inverse_columns(&self, first: usize, columns: &mut [Lane]) {
        inverse_columns(columns, &self.matrix, &self.inverse, first, self.block);
    }

    /// Solves `LLᵀx = b` in place (LAPACK `spotrs`, `torch.cholesky_solve`).
    pub fn solve(&self, b: &mut [Lane]) {
        solve(b, &self.matrix, &self.inverse);
    }
}

/// Transposes the values of the blocks `first..first + 16` into `[B][lane]`; zero beyond the end of `values`.
pub fn gather<T>(out: &mut [Lane], values: &[T], first: usize, read: impl Fn(&T) -> f32) {
    let block = out.len();
    let start = (first * block).min(values.len());
    let end = ((first + LANES) * block).min(values.len());
    if end - start < LANES * block {
        out.fill(ZERO);
    }
    for (lane, values) in values[start..end].chunks(block).enumerate() {
        for (out, value) in out.iter_mut().zip(values) {
            out[lane] = read(value);
        }
    }
}

/// The inverse of [`gather`]: writes consecutive blocks, the last of which may be incomplete.
pub fn scatter(out: &mut [f32], values: &[Lane]) {
    for (lane, out) in out.chunks_mut(values.len()).enumerate() {
        for (out, value) in out.iter_mut().zip(values) {
            *out = value[lane];
        }
    }
}

/// The index of (i, j), j ≤ i, in a lower triangle.
#[inline(always)]
pub(super) fn index(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// Loads a machine vector from lane `part` on.
#[inline(always)]
pub(super) fn get<S: Simd>(lane: &Lane, part: usize) -> S::f32s {
    S::as_simd_f32s(&lane[part..part + S::F32_LANES]).0[0]
}

/// Stores a machine vector from lane `part` on.
#[inline(always)]
pub(super) fn set<S: Simd>(lane: &mut Lane, part: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut lane[part..part + S::F32_LANES]).0[0] = value;
}

/// The first lane of each machine vector of a [`Lane`].
#[inline(always)]
pub(super) fn parts<S: Simd>() -> impl Iterator<Item = usize> {
    (0..LANES).step_by(S::F32_LANES)
}

/// `sum - a · b`.
#[inline(always)]
pub(super) fn less<S: Simd>(simd: S, sum: S::f32s, a: S::f32s, b: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.neg_f32s(a), b, sum)
}

/// `Σ xᵢ yᵢ`, lane by lane.
#[inline(always)]
#[pulp::with_simd(dot = Arch::new())]
pub fn dot_simd<'a, S: Simd>(simd: S, x: &'a [Lane], y: &'a [Lane]) -> Lane {
    let mut out = ZERO;
    for part in parts::<S>() {
        let mut sum = simd.splat_f32s(0.0);
        for (x, y) in x.iter().zip(y) {
            sum = simd.mul_add_f32s(get::<S>(x, part), get::<S>(y, part), sum);
        }
        set::<S>(&mut out, part, sum);
    }
    out
}

#[inline(always)]
#[pulp::with_simd(interleave = Arch::new())]
fn interleave_simd<'a, S: Simd>(_simd: S, out: &'a mut [Lane], sources: [&'a [f32]; LANES], scale: f32) {
    let whole = out.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let tile: [Lane; LANES] = std::array::from_fn(|lane| {
            let mut part = ZERO;
            part.copy_from_slice(&sources[lane][start..start + LANES]);
            prefetch(sources[lane], start + AHEAD);
            part
        });
        for (e, out) in out[start..start + LANES].iter_mut().enumerate() {
            for l in 0..LANES {
                out[l] = tile[l][e] * scale;
            }
        }
    }
    for (e, out) in out.iter_mut().enumerate().skip(whole) {
        for l in 0..LANES {
            out[l] = sources[l][e] * scale;
        }
    }
}

#[inline(always)]
#[pulp::with_simd(restrict = Arch::new())]
fn restrict_simd<'a, S: Simd>(simd: S, matrix: &'a mut [Lane], kept: &'a [Lane], diagonal: f32) {
    for i in 0..kept.len() {
        let row = &mut matrix[index(i, 0)..=index(i, i)];
        for part in parts::<S>() {
            let own = get::<S>(&kept[i], part);
            for (at, other) in row[..i].iter_mut().zip(kept) {
                let both = simd.mul_f32s(own, get::<S>(other, part));
                set::<S>(at, part, simd.mul_f32s(get::<S>(at, part), both));
            }
        }
        for (v, kept) in row[i].iter_mut().zip(&kept[i]) {
            *v = if *kept == 0.0 { diagonal } else { *v };
        }
    }
}

#[inline(always)]
#[pulp::with_simd(times = Arch::new())]
fn times_simd<'a, S: Simd>(simd: S, y: &'a mut [Lane], matrix: &'a [Lane], x: &'a [Lane]) {
    y.fill(ZERO);
    for i in 0..x.len() {
        let row = &matrix[index(i, 0)..=index(i, i)];
        for part in parts::<S>() {
            let own = get::<S>(&x[i], part);
            let mut sum = simd.mul_f32s(get::<S>(&row[i], part), own);
            for ((f, x), y) in row[..i].iter().zip(x).zip(y.iter_mut()) {
                let f = get::<S>(f, part);
                sum = simd.mul_add_f32s(f, get::<S>(x, part), sum);
                set::<S>(y, part, simd.mul_add_f32s(f, own, get::<S>(y, part)));
            }
            let total = simd.add_f32s(get::<S>(&y[i], part), sum);
            set::<S>(&mut y[i], part, total);
        }
    }
}

/// X_cc = 1/L_cc, X_ic = -(Σ_{k=c}^{i-1} L_ik X_kc) / L_ii.
#[inline(always)]
#[pulp::with_simd(inverse_columns = Arch::new())]
fn inverse_columns_simd<'a, S: Simd>(
    simd: S,
    columns: &'a mut [Lane],
    matrix: &'a [Lane],
    inverse: &'a [Lane],
    first: usize,
    block: usize,
) {
    columns.fill(ZERO);
    let count = columns.len() / block;
    for start in (0..count).step_by(CHAINS) {
        let width = CHAINS.min(count - start);
        let part_of = &mut columns[start * block..(start + width) * block];
        let first = first + start;
        for i in first..block {
            let row = &matrix[index(i, first)..index(i, i)];
            for part in parts::<S>() {
                let mut sums = [simd.splat_f32s(0.0); CHAINS];
                if width == CHAINS {
                    let [a, b, c, d]: [&[Lane]; CHAINS] =
                        std::array::from_fn(|c| &part_of[c * block + first..c * block + i]);
                    for ((((l, a), b), c), d) in row.iter().zip(a).zip(b).zip(c).zip(d) {
                        let l = get::<S>(l, part);
                        sums[0] = less(simd, sums[0], l, get::<S>(a, part));
                        sums[1] = less(simd, sums[1], l, get::<S>(b, part));
                        sums[2] = less(simd, sums[2], l, get::<S>(c, part));
                        sums[3] = less(simd, sums[3], l, get::<S>(d, part));
                    }
                } else {
                    for (c, sum) in sums.iter_mut().enumerate().take(width) {
                        for (l, x) in row.iter().zip(&part_of[c * block + first..]) {
                            *sum = less(simd, *sum, get::<S>(l, part), get::<S>(x, part));
                        }
                    }
                }
                if i < first + width {
                    sums[i - first] = simd.splat_f32s(1.0);
                }
                let scale = get::<S>(&inverse[i], part);
                for (c, sum) in sums.iter().enumerate().take(width) {
                    set::<S>(&mut part_of[c * block + i], part, simd.mul_f32s(*sum, scale));
                }
            }
        }
    }
}

#[inline(always)]
#[pulp::with_simd(solve = Arch::new())]
fn solve_simd<'a, S: Simd>(simd: S, b: &'a mut [Lane], matrix: &'a [Lane], inverse: &'a [Lane]) {
    let block = b.len();
    for part in parts::<S>() {
        for i in 0..block {
            // L x = b column by column: the additions to different rows are independent.
            let value = simd.mul_f32s(get::<S>(&b[i], part), get::<S>(&inverse[i], part));
            set::<S>(&mut b[i], part, value);
            for (k, b) in b.iter_mut().enumerate().skip(i + 1) {
                let l = get::<S>(&matrix[index(k, i)], part);
                set::<S>(b, part, less(simd, get::<S>(b, part), l, value));
            }
        }
        for i in (0..block).rev() {
            let value = simd.mul_f32s(get::<S>(&b[i], part), get::<S>(&inverse[i], part));
            set::<S>(&mut b[i], part, value);
            let row = &matrix[index(i, 0)..index(i, i)];
            for (b, l) in b.iter_mut().zip(row) {
                set::<S>(b, part, less(simd, get::<S>(b, part), get::<S>(l, part), value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cholesky::factor_simd;
    use super::*;

    fn group(block: usize) -> BlockBatch {
        let mut fisher = Fisher::new(block * LANES, block);
        let rows: Vec<Vec<f32>> = (0..2 * block)
            .map(|r| {
                (0..block * LANES)
                    .map(|i| ((i * 31 + r * 17 + i * r % 7) % 101) as f32 / 50.0 - 1.0)
                    .collect()
            })
            .collect();
        fisher.add(rows.as_slice());
        let mut group = BlockBatch::new(block);
        group.load(&fisher, 0, LANES, 0.1, 1.0);
        group
    }

    #[test]
    fn solving_with_the_factor_inverts_the_multiplication() {
        for block in [1, 3, 4, 5, 8, 17, 50] {
            let mut group = group(block);
            let x: Vec<Lane> =
                (0..block).map(|i| std::array::from_fn(|l| ((i * 7 + l) % 5) as f32 - 2.0)).collect();
            let mut b = vec![ZERO; block];
            group.times(&x, &mut b);
            assert_eq!(group.factor(), [true; LANES]);
            group.solve(&mut b);
            for (b, x) in b.iter().flatten().zip(x.iter().flatten()) {
                assert!((b - x).abs() < 1e-4, "{b} is not {x} in blocks of {block}");
            }
            // X b is L⁻¹ b: its square is bᵀ F⁻¹ b.
            let mut columns = vec![ZERO; block * block];
            group.inverse_columns(0, &mut columns);
            let mut unit = vec![ZERO; block];
            unit[0] = [1.0; LANES];
            group.solve(&mut unit);
            let first = dot(&columns[..block], &columns[..block]);
            for l in 0..LANES {
                assert!((first[l] - unit[0][l]).abs() < 1e-4 * unit[0][l]);
            }
        }
    }

    #[test]
    fn vectors_of_every_width_give_the_same_bits() {
        let group = group(11);
        let (mut a, mut b) = (group.clone(), group);
        a.factor();
        factor_simd(pulp::Scalar::new(), &mut b.matrix, &mut b.inverse, 11);
        assert_eq!(a.matrix, b.matrix);
        let (mut x, mut y) = (vec![ZERO; 11 * 6], vec![ZERO; 11 * 6]);
        a.inverse_columns(5, &mut x);
        inverse_columns_simd(pulp::Scalar::new(), &mut y, &b.matrix, &b.inverse, 5, 11);
        assert_eq!(x, y);
    }
}
