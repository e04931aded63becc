//! Sixteen blocks side by side: every number of the textbook algorithm is a vector with one lane
//! for each block, so that plain loops become full-width vector code.
//!
//! Each number is one chain of fused multiply-adds in a fixed order, on every machine the same;
//! four independent chains run together, which hides their latency.

use pulp::{Arch, Simd};

use super::fisher::{Fisher, triangle};

/// Blocks in a group.
pub const LANES: usize = 16;

/// One number for each block.
pub type Lane = [f32; LANES];

/// Zero for each block.
pub const ZERO: Lane = [0.0; LANES];

/// Numbers that run together.
const CHAINS: usize = 4;

/// A group of blocks of one parameter.
#[derive(Clone, Debug)]
pub struct Group {
    /// Weights in a block.
    pub block: usize,
    /// Lower triangles, row by row; after [`Group::factor`], their Cholesky factors.
    matrix: Vec<Lane>,
    /// 1 / Lᵢᵢ, after [`Group::factor`].
    inverse: Vec<Lane>,
}

impl Group {
    /// Space for blocks of `block` weights.
    pub fn new(block: usize) -> Self {
        Group { block, matrix: vec![ZERO; triangle(block)], inverse: vec![ZERO; block] }
    }

    /// Loads `scale · Σ g gᵀ + damp · I` of the blocks from `first` on. Lanes beyond the last
    /// block hold `damp · I`.
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

    /// The diagonal of F, before [`Group::factor`].
    pub fn diagonal(&self, out: &mut [Lane]) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.matrix[index(i, i)];
        }
    }

    /// Keeps rows and columns where `kept` is 1 and puts `diagonal` on the diagonal of the others:
    /// `M F M` with the given diagonal outside.
    pub fn restrict(&mut self, kept: &[Lane], diagonal: f32) {
        if kept.iter().all(|k| *k == [1.0; LANES]) {
            return;
        }
        restrict(&mut self.matrix, kept, diagonal);
    }

    /// `y = F x`, before [`Group::factor`].
    pub fn times(&self, x: &[Lane], y: &mut [Lane]) {
        times(y, &self.matrix, x);
    }

    /// Cholesky's factorisation in place. Returns for each lane whether every pivot was positive;
    /// the numbers of a lane without are finite and mean nothing.
    pub fn factor(&mut self) -> [bool; LANES] {
        factor(&mut self.matrix, &mut self.inverse, self.block).map(|failed| failed == 0.0)
    }

    /// The columns `first..first + columns.len() / block` of `X = L⁻¹`, one after the other and
    /// with the zeros above the diagonal.
    pub fn inverse_columns(&self, first: usize, columns: &mut [Lane]) {
        inverse_columns(columns, &self.matrix, &self.inverse, first, self.block);
    }

    /// Solves `L Lᵀ x = b` in place.
    pub fn solve(&self, b: &mut [Lane]) {
        solve(b, &self.matrix, &self.inverse);
    }
}

/// The values of sixteen blocks from block `first` on, `[block][lane]`; zero beyond the end.
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

/// The inverse of [`gather`]: `out` are consecutive blocks, the last of which may be cut short.
pub fn scatter(out: &mut [f32], values: &[Lane]) {
    for (lane, out) in out.chunks_mut(values.len()).enumerate() {
        for (out, value) in out.iter_mut().zip(values) {
            *out = value[lane];
        }
    }
}

/// The place of (i, j), j <= i, in a lower triangle.
#[inline(always)]
fn index(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// `sum -= a · b`, lane by lane.
#[inline(always)]
fn subtract(sum: &mut Lane, a: &Lane, b: &Lane) {
    for l in 0..LANES {
        sum[l] = (-a[l]).mul_add(b[l], sum[l]);
    }
}

/// `sum += a · b`, lane by lane.
#[inline(always)]
fn add(sum: &mut Lane, a: &Lane, b: &Lane) {
    for l in 0..LANES {
        sum[l] = a[l].mul_add(b[l], sum[l]);
    }
}

#[inline(always)]
fn scaled(a: &Lane, b: &Lane) -> Lane {
    std::array::from_fn(|l| a[l] * b[l])
}

/// `Σ xᵢ yᵢ`, lane by lane.
#[inline(always)]
#[pulp::with_simd(dot = Arch::new())]
pub fn dot_simd<'a, S: Simd>(_simd: S, x: &'a [Lane], y: &'a [Lane]) -> Lane {
    let mut sum = ZERO;
    for (x, y) in x.iter().zip(y) {
        add(&mut sum, x, y);
    }
    sum
}

#[inline(always)]
#[pulp::with_simd(interleave = Arch::new())]
fn interleave_simd<'a, S: Simd>(_simd: S, out: &'a mut [Lane], sources: [&'a [f32]; LANES], scale: f32) {
    let whole = out.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let tile: [Lane; LANES] = std::array::from_fn(|lane| {
            let mut part = ZERO;
            part.copy_from_slice(&sources[lane][start..start + LANES]);
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
fn restrict_simd<'a, S: Simd>(_simd: S, matrix: &'a mut [Lane], kept: &'a [Lane], diagonal: f32) {
    for i in 0..kept.len() {
        for j in 0..i {
            let both = scaled(&kept[i], &kept[j]);
            let at = &mut matrix[index(i, j)];
            *at = scaled(at, &both);
        }
        let at = &mut matrix[index(i, i)];
        for l in 0..LANES {
            at[l] = if kept[i][l] == 0.0 { diagonal } else { at[l] };
        }
    }
}

#[inline(always)]
#[pulp::with_simd(times = Arch::new())]
fn times_simd<'a, S: Simd>(_simd: S, y: &'a mut [Lane], matrix: &'a [Lane], x: &'a [Lane]) {
    y.fill(ZERO);
    for i in 0..x.len() {
        let row = &matrix[index(i, 0)..index(i, 0) + i];
        let mut own = scaled(&matrix[index(i, i)], &x[i]);
        for (j, f) in row.iter().enumerate() {
            add(&mut own, f, &x[j]);
            add(&mut y[j], f, &x[i]);
        }
        for l in 0..LANES {
            y[i][l] += own[l];
        }
    }
}

/// L_ij = (F_ij - Σ_{k<j} L_ik L_jk) / L_jj, row by row; L_ii² = F_ii - Σ L_ik².
#[inline(always)]
#[pulp::with_simd(factor = Arch::new())]
fn factor_simd<'a, S: Simd>(_simd: S, matrix: &'a mut [Lane], inverse: &'a mut [Lane], block: usize) -> Lane {
    let mut failed = ZERO;
    for i in 0..block {
        let (above, rest) = matrix.split_at_mut(index(i, 0));
        let row = &mut rest[..i + 1];
        // Four columns of row i against four rows above it, then what they owe each other.
        for first in (0..i).step_by(CHAINS) {
            let width = CHAINS.min(i - first);
            let mut sums: [Lane; CHAINS] = std::array::from_fn(|c| row[first + c.min(width - 1)]);
            if width == CHAINS {
                let rows: [&[Lane]; CHAINS] =
                    std::array::from_fn(|c| &above[index(first + c, 0)..index(first + c, 0) + first]);
                for k in 0..first {
                    for c in 0..CHAINS {
                        subtract(&mut sums[c], &row[k], &rows[c][k]);
                    }
                }
            } else {
                for (c, sum) in sums.iter_mut().enumerate().take(width) {
                    for k in 0..first {
                        subtract(sum, &row[k], &above[index(first + c, k)]);
                    }
                }
            }
            for c in 0..width {
                for k in 0..c {
                    let known = row[first + k];
                    subtract(&mut sums[c], &known, &above[index(first + c, first + k)]);
                }
                row[first + c] = scaled(&sums[c], &inverse[first + c]);
            }
        }
        let mut pivot = row[i];
        for k in 0..i {
            let v = row[k];
            subtract(&mut pivot, &v, &v);
        }
        for l in 0..LANES {
            let sound = pivot[l] > 0.0 && pivot[l] < f32::INFINITY;
            failed[l] = if sound { failed[l] } else { 1.0 };
            let root = if sound { pivot[l] } else { 1.0 }.sqrt();
            row[i][l] = root;
            inverse[i][l] = 1.0 / root;
        }
    }
    failed
}

/// X_cc = 1/L_cc, X_ic = -(Σ_{k=c}^{i-1} L_ik X_kc) / L_ii.
#[inline(always)]
#[pulp::with_simd(inverse_columns = Arch::new())]
fn inverse_columns_simd<'a, S: Simd>(
    _simd: S,
    columns: &'a mut [Lane],
    matrix: &'a [Lane],
    inverse: &'a [Lane],
    first: usize,
    block: usize,
) {
    columns.fill(ZERO);
    let count = columns.len() / block;
    for start in (0..count).step_by(CHAINS) {
        let part = &mut columns[start * block..(start + CHAINS).min(count) * block];
        let width = part.len() / block;
        let first = first + start;
        for i in first..block {
            let row = &matrix[index(i, 0)..];
            let mut sums = [ZERO; CHAINS];
            if width == CHAINS {
                for k in first..i {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        subtract(sum, &row[k], &part[c * block + k]);
                    }
                }
            } else {
                for (c, sum) in sums.iter_mut().enumerate().take(width) {
                    for k in first..i {
                        subtract(sum, &row[k], &part[c * block + k]);
                    }
                }
            }
            if i < first + width {
                sums[i - first] = [1.0; LANES];
            }
            for (c, sum) in sums.iter().enumerate().take(width) {
                part[c * block + i] = scaled(sum, &inverse[i]);
            }
        }
    }
}

#[inline(always)]
#[pulp::with_simd(solve = Arch::new())]
fn solve_simd<'a, S: Simd>(_simd: S, b: &'a mut [Lane], matrix: &'a [Lane], inverse: &'a [Lane]) {
    let block = b.len();
    for i in 0..block {
        // L x = b column by column: the additions to different rows do not wait for each other.
        let value = scaled(&b[i], &inverse[i]);
        b[i] = value;
        for (k, b) in b.iter_mut().enumerate().skip(i + 1) {
            subtract(b, &matrix[index(k, i)], &value);
        }
    }
    for i in (0..block).rev() {
        let value = scaled(&b[i], &inverse[i]);
        b[i] = value;
        for k in 0..i {
            subtract(&mut b[k], &matrix[index(i, k)], &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(block: usize) -> Group {
        let mut fisher = Fisher::new(block * LANES, block);
        let rows: Vec<Vec<f32>> = (0..2 * block)
            .map(|r| {
                (0..block * LANES)
                    .map(|i| ((i * 31 + r * 17 + i * r % 7) % 101) as f32 / 50.0 - 1.0)
                    .collect()
            })
            .collect();
        fisher.add(rows.as_slice());
        let mut group = Group::new(block);
        group.load(&fisher, 0, LANES, 0.1, 1.0);
        group
    }

    #[test]
    fn solving_with_the_factor_gives_back_what_the_matrix_was_multiplied_with() {
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
