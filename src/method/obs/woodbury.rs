//! The inverse of a Fisher block by the Woodbury identity, in float64.
//!
//! With G the gradients of a block, `[R, B]`, or any other matrix with the same `GᵀG`:
//! `F⁻¹ = (I − Gᵀ (mλI + GGᵀ)⁻¹ G) / λ`. Only the matrix `[R, R]` is factored. For x orthogonal to all
//! gradients `Fx = λx` holds exactly; in a float32 matrix `[B, B]` rounding errors can exceed λ.

/// One block: its rows G and the Cholesky factor of `mλI + GGᵀ`.
pub struct WoodburyBlock {
    /// G, `[R][B]`.
    rows: Vec<Vec<f64>>,
    /// L, `[R][R]`, with `LLᵀ = mλI + GGᵀ`.
    factor: Vec<Vec<f64>>,
    damp: f64,
    /// m.
    divisor: f64,
    block: usize,
}

impl WoodburyBlock {
    /// Factors `mλI + GGᵀ` for the rows G `[R][block]`, with `divisor` m and `damp` λ.
    ///
    /// `None` if a pivot is not positive, which happens only where `GGᵀ` overflows or is NaN.
    pub fn new(rows: Vec<Vec<f64>>, divisor: f64, damp: f64, block: usize) -> Option<Self> {
        let size = rows.len();
        let mut factor = vec![vec![0.0; size]; size];
        for i in 0..size {
            for j in 0..=i {
                let mut sum = dot(&rows[i], &rows[j]) + if i == j { divisor * damp } else { 0.0 };
                sum -= dot(&factor[i][..j], &factor[j][..j]);
                factor[i][j] = if i == j {
                    if !(sum > 0.0 && sum.is_finite()) {
                        return None;
                    }
                    sum.sqrt()
                } else {
                    sum / factor[j][j]
                };
            }
        }
        Some(WoodburyBlock { rows, factor, damp, divisor, block })
    }

    /// `[F⁻¹]_QQ`, `[size][size]`, for the weights `Q = first..first + size`.
    pub fn inverse_block(&self, first: usize, size: usize) -> Vec<Vec<f64>> {
        let columns: Vec<Vec<f64>> = (first..first + size).map(|c| self.factor_column(c)).collect();
        (0..size)
            .map(|a| {
                (0..size)
                    .map(|b| (f64::from(u8::from(a == b)) - dot(&columns[a], &columns[b])) / self.damp)
                    .collect()
            })
            .collect()
    }

    /// `F⁻¹ x`, by forward and back substitution.
    pub fn solve(&self, x: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> = self.rows.iter().map(|row| dot(row, x)).collect();
        self.forward(&mut y);
        for i in (0..y.len()).rev() {
            y[i] /= self.factor[i][i];
            for k in 0..i {
                y[k] -= self.factor[i][k] * y[i];
            }
        }
        let mut out = x.to_vec();
        for (row, y) in self.rows.iter().zip(&y) {
            for (o, g) in out.iter_mut().zip(row) {
                *o -= g * y;
            }
        }
        out.iter_mut().for_each(|o| *o /= self.damp);
        out
    }

    /// `1/m GᵀG x`: F without its dampening, times x.
    pub fn fisher_times(&self, x: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.block];
        for row in &self.rows {
            let along = dot(row, x) / self.divisor;
            for (o, g) in out.iter_mut().zip(row) {
                *o += g * along;
            }
        }
        out
    }

    /// `F_ii = λ + 1/m Σ g_i²`.
    pub fn fisher_diagonal(&self, i: usize) -> f64 {
        self.rows.iter().map(|row| row[i] * row[i]).sum::<f64>() / self.divisor + self.damp
    }

    /// A column of `L⁻¹ G`.
    fn factor_column(&self, column: usize) -> Vec<f64> {
        let mut y: Vec<f64> = self.rows.iter().map(|row| row[column]).collect();
        self.forward(&mut y);
        y
    }

    /// `y ← L⁻¹ y`.
    fn forward(&self, y: &mut [f64]) {
        for i in 0..y.len() {
            for k in 0..i {
                y[i] -= self.factor[i][k] * y[k];
            }
            y[i] /= self.factor[i][i];
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
