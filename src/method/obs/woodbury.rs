//! Blocks with fewer gradients than weights, by the dual matrix.
//!
//! With G the gradients of a block (R × B, R < B) Woodbury's identity gives
//! `F⁻¹ = (I - Gᵀ (mλI + G Gᵀ)⁻¹ G) / λ`: only the small R × R matrix is factored. In the
//! directions that no gradient has, F is λ alone; here those stay exact, where the B × B matrix in
//! single precision would lose them.

/// The gradients of one block with the factor of their dual matrix, in double precision.
pub struct WoodburyBlock {
    /// `[R][B]`.
    rows: Vec<Vec<f64>>,
    /// The Cholesky factor of `mλI + G Gᵀ`.
    factor: Vec<Vec<f64>>,
    damp: f64,
    /// m.
    divisor: f64,
    block: usize,
}

impl WoodburyBlock {
    /// Factors the dual of the given gradients; `divisor` is m.
    ///
    /// `None` if a pivot is not positive, which only gradients that are not finite can bring about.
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

    /// `[F⁻¹]_QQ` for the consecutive weights Q, row by row.
    pub fn inverse_block(&self, first: usize, size: usize) -> Vec<Vec<f64>> {
        let columns: Vec<Vec<f64>> = (first..first + size).map(|c| self.half(c)).collect();
        (0..size)
            .map(|a| {
                (0..size)
                    .map(|b| (f64::from(u8::from(a == b)) - dot(&columns[a], &columns[b])) / self.damp)
                    .collect()
            })
            .collect()
    }

    /// `F⁻¹ x`.
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

    /// `1/m Σ g (gᵀ x)`, without the damp.
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

    /// F_ii.
    pub fn fisher_diagonal(&self, i: usize) -> f64 {
        self.rows.iter().map(|row| row[i] * row[i]).sum::<f64>() / self.divisor + self.damp
    }

    /// `L⁻¹ G` of one column.
    fn half(&self, column: usize) -> Vec<f64> {
        let mut y: Vec<f64> = self.rows.iter().map(|row| row[column]).collect();
        self.forward(&mut y);
        y
    }

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
