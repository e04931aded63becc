//! Sixteen blocks side by side: every number of the textbook algorithm is a vector with one lane
//! for each block, so that plain loops become full-width vector code.

use pulp::{Arch, Simd};

use super::fisher::{Fisher, triangle};

/// Blocks in a group.
pub const LANES: usize = 16;

/// One number for each block.
pub type Lane = [f32; LANES];

const ZERO: Lane = [0.0; LANES];

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

/// Which lanes could not be factored, or lost too many digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trouble {
    /// The first lane with a pivot that is not positive.
    pub unfactored: Option<usize>,
}

impl Group {
    /// Loads `scale · Σ g gᵀ + damp · I` of the blocks from `first` on. Lanes beyond the last
    /// block hold `damp · I`.
    pub fn load(fisher: &Fisher, first: usize, blocks: usize, scale: f32, damp: f32) -> Self {
        let block = fisher.block();
        let mut matrix = vec![ZERO; triangle(block)];
        for lane in 0..LANES.min(blocks - first) {
            let source = fisher.triangle(first + lane);
            for (to, from) in matrix.iter_mut().zip(source) {
                to[lane] = from * scale;
            }
        }
        for i in 0..block {
            for v in &mut matrix[index(i, i)] {
                *v += damp;
            }
        }
        Group { block, matrix, inverse: Vec::new() }
    }

    /// Keeps rows and columns where `kept` is 1 and puts `diagonal` on the diagonal of the others:
    /// `M F M` with the given diagonal outside.
    pub fn restrict(&mut self, kept: &[Lane], diagonal: f32) {
        for i in 0..self.block {
            for j in 0..i {
                let at = &mut self.matrix[index(i, j)];
                for l in 0..LANES {
                    at[l] *= kept[i][l] * kept[j][l];
                }
            }
            let at = &mut self.matrix[index(i, i)];
            for l in 0..LANES {
                at[l] = if kept[i][l] == 0.0 { diagonal } else { at[l] };
            }
        }
    }

    /// `F x`.
    pub fn times(&self, x: &[Lane]) -> Vec<Lane> {
        let mut y = vec![ZERO; self.block];
        for i in 0..self.block {
            for j in 0..=i {
                let f = &self.matrix[index(i, j)];
                for l in 0..LANES {
                    y[i][l] += f[l] * x[j][l];
                    if i != j {
                        y[j][l] += f[l] * x[i][l];
                    }
                }
            }
        }
        y
    }

    /// Cholesky's factorisation in place.
    pub fn factor(&mut self) -> Trouble {
        self.inverse = vec![ZERO; self.block];
        let failed = factor(&mut self.matrix, &mut self.inverse, self.block);
        Trouble { unfactored: failed.iter().position(|f| *f != 0.0) }
    }

    /// Columns of `X = L⁻¹`: column c has its entries from row c on. `columns` are consecutive.
    pub fn inverse_columns(&self, first: usize, columns: usize) -> Vec<Vec<Lane>> {
        (first..first + columns)
            .map(|c| {
                let mut column = vec![ZERO; self.block - c];
                inverse_column(&mut column, &self.matrix, &self.inverse, c, self.block);
                column
            })
            .collect()
    }

    /// Solves `L Lᵀ x = b` in place.
    pub fn solve(&self, b: &mut [Lane]) {
        solve(b, &self.matrix, &self.inverse, self.block);
    }
}

/// The place of (i, j), j <= i, in a lower triangle.
#[inline(always)]
fn index(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

#[inline(always)]
#[pulp::with_simd(factor = Arch::new())]
fn factor_simd<'a, S: Simd>(_simd: S, matrix: &'a mut [Lane], inverse: &'a mut [Lane], block: usize) -> Lane {
    let mut failed = ZERO;
    for i in 0..block {
        // Row i against every row above it, then its own pivot.
        for j in 0..i {
            let mut sum = matrix[index(i, j)];
            for k in 0..j {
                subtract(&mut sum, &matrix[index(i, k)], &matrix[index(j, k)]);
            }
            for l in 0..LANES {
                sum[l] *= inverse[j][l];
            }
            matrix[index(i, j)] = sum;
        }
        let mut pivot = matrix[index(i, i)];
        for k in 0..i {
            let v = matrix[index(i, k)];
            subtract(&mut pivot, &v, &v);
        }
        for l in 0..LANES {
            let sound = pivot[l] > 0.0 && pivot[l] < f32::INFINITY;
            failed[l] = if sound { failed[l] } else { 1.0 };
            let root = if sound { pivot[l] } else { 1.0 }.sqrt();
            matrix[index(i, i)][l] = root;
            inverse[i][l] = 1.0 / root;
        }
    }
    failed
}

#[inline(always)]
fn subtract(sum: &mut Lane, a: &Lane, b: &Lane) {
    for l in 0..LANES {
        sum[l] = (-a[l]).mul_add(b[l], sum[l]);
    }
}

/// X_cc = 1/L_cc, X_ic = -(Σ_{k=c}^{i-1} L_ik X_kc) / L_ii.
#[inline(always)]
#[pulp::with_simd(inverse_column = Arch::new())]
fn inverse_column_simd<'a, S: Simd>(
    _simd: S,
    column: &'a mut [Lane],
    matrix: &'a [Lane],
    inverse: &'a [Lane],
    c: usize,
    block: usize,
) {
    column[0] = inverse[c];
    for i in c + 1..block {
        let mut sum = ZERO;
        for k in c..i {
            subtract(&mut sum, &matrix[index(i, k)], &column[k - c]);
        }
        for l in 0..LANES {
            sum[l] *= inverse[i][l];
        }
        column[i - c] = sum;
    }
}

#[inline(always)]
#[pulp::with_simd(solve = Arch::new())]
fn solve_simd<'a, S: Simd>(
    _simd: S,
    b: &'a mut [Lane],
    matrix: &'a [Lane],
    inverse: &'a [Lane],
    block: usize,
) {
    for i in 0..block {
        let mut sum = b[i];
        for k in 0..i {
            subtract(&mut sum, &matrix[index(i, k)], &b[k]);
        }
        for l in 0..LANES {
            b[i][l] = sum[l] * inverse[i][l];
        }
    }
    for i in (0..block).rev() {
        let mut value = b[i];
        for l in 0..LANES {
            value[l] *= inverse[i][l];
        }
        b[i] = value;
        for k in 0..i {
            subtract(&mut b[k], &matrix[index(i, k)], &value);
        }
    }
}
