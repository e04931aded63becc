//! QR factors of the gradients of ill-conditioned blocks, in float64.
//!
//! Where the gradients of a block span few directions, so that the other eigenvalues of F are λ, the rounding error of
//! `Σ g gᵀ` in float32 can exceed λ. That of the upper triangular R in float64 with `RᵀR = Σ g gᵀ`, updated by
//! `R ← qr([R; G])`, is smaller. R replaces the gradients G in the Woodbury form ([`super::woodbury`]).

use std::collections::BTreeMap;

use rayon::prelude::*;

/// R for some blocks of a parameter, updated gradient by gradient.
#[derive(Clone, Debug)]
pub struct QrFactors {
    count: usize,
    block: usize,
    factors: Vec<BlockFactor>,
    finite: bool,
}

#[derive(Clone, Debug)]
struct BlockFactor {
    /// The block's index.
    index: usize,
    /// `[rows][block]`: R, then the gradients since the last factorization.
    rows: Vec<f64>,
}

impl QrFactors {
    /// Factors without gradients for the blocks of these indices, of a parameter of `count` weights.
    pub fn new(count: usize, block: usize, blocks: &[usize]) -> Self {
        let factors = blocks.iter().map(|index| BlockFactor { index: *index, rows: Vec::new() }).collect();
        QrFactors { count, block, factors, finite: true }
    }

    /// Bytes of memory for each block: `[3B, B]` float64, R and up to 2B gradients.
    pub fn bytes_of_block(block: usize) -> u64 {
        (3 * block * block * size_of::<f64>()) as u64
    }

    /// Adds a gradient `[count]` in the Hugging Face layout.
    ///
    /// # Panics
    /// If it has not as many elements as the parameter.
    pub fn add(&mut self, gradient: &[f32]) {
        assert_eq!(gradient.len(), self.count, "elements of a gradient");
        let (block, count) = (self.block, self.count);
        self.finite &= self
            .factors
            .par_iter_mut()
            .map(|factor| {
                let slice = &gradient[factor.index * block..((factor.index + 1) * block).min(count)];
                factor.rows.extend(slice.iter().map(|g| f64::from(*g)));
                factor.rows.resize(factor.rows.len().next_multiple_of(block), 0.0);
                if factor.rows.len() >= 3 * block * block {
                    householder_qr(&mut factor.rows, block);
                }
                slice.iter().all(|g| g.is_finite())
            })
            .reduce(|| true, |a, b| a && b);
    }

    /// Whether all gradients were finite in these blocks.
    pub fn is_finite(&self) -> bool {
        self.finite
    }

    /// R of each block by its index, `[min(B, gradients)][B]`.
    pub fn finish(mut self) -> BTreeMap<usize, Vec<f64>> {
        let block = self.block;
        self.factors.par_iter_mut().for_each(|factor| householder_qr(&mut factor.rows, block));
        self.factors.into_iter().map(|factor| (factor.index, factor.rows)).collect()
    }
}

/// Replaces the rows A by the upper triangular R of their QR decomposition, `RᵀR = AᵀA`, by Householder
/// reflections: `numpy.linalg.qr(a, mode="r")`, up to the signs of rows.
fn householder_qr(rows: &mut Vec<f64>, columns: usize) {
    let count = rows.len() / columns;
    let mut along = vec![0.0; columns];
    for j in 0..columns.min(count) {
        let norm = (j..count).map(|r| rows[r * columns + j].powi(2)).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        let head = rows[j * columns + j];
        let pivot = if head > 0.0 { -norm } else { norm };
        // v = x - pivot e, and H = I - 2 v vᵀ / vᵀv.
        rows[j * columns + j] = head - pivot;
        let square = 2.0 * norm * (norm + head.abs());
        along.fill(0.0);
        for r in j..count {
            let row = &rows[r * columns..(r + 1) * columns];
            for (sum, a) in along[j..].iter_mut().zip(&row[j..]) {
                *sum += row[j] * a;
            }
        }
        for r in j..count {
            let row = &mut rows[r * columns..(r + 1) * columns];
            let factor = 2.0 * row[j] / square;
            for (a, sum) in row[j + 1..].iter_mut().zip(&along[j + 1..]) {
                *a -= factor * sum;
            }
            row[j] = 0.0;
        }
        rows[j * columns + j] = pivot;
    }
    rows.truncate(columns * columns);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_has_the_gram_matrix_of_all_gradients() {
        let (count, block) = (14, 5);
        let gradient = |r: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 13 + r * 7 + i * r) % 11) as f32 - 5.0).collect()
        };
        let mut factors = QrFactors::new(count, block, &[0, 2]);
        (0..40).for_each(|r| factors.add(&gradient(r)));
        for (index, rows) in factors.finish() {
            assert_eq!(rows.len(), block * block);
            for i in 0..block {
                for j in 0..block {
                    let at = |g: &[f32], k: usize| f64::from(*g.get(index * block + k).unwrap_or(&0.0));
                    let expected: f64 = (0..40).map(|r| at(&gradient(r), i) * at(&gradient(r), j)).sum();
                    let got: f64 = rows.chunks(block).map(|row| row[i] * row[j]).sum();
                    assert!((got - expected).abs() < 1e-9, "block {index} at {i}, {j}: {got} {expected}");
                }
            }
        }
    }
}
