//! Square roots of badly conditioned blocks, in double precision.
//!
//! Where a block's gradients have few directions and F is λ in all others, `Σ g gᵀ` in single
//! precision loses what λ carries. An upper triangle R with `Rᵀ R = Σ g gᵀ` does not: it is carried
//! on gradient by gradient, `R = qr([R; G])`, and then stands for all gradients in the dual form
//! ([`super::woodbury`]).

use std::collections::BTreeMap;

use rayon::prelude::*;

/// The square roots of some blocks of a parameter, fed with the same gradients as its Fisher matrix.
#[derive(Clone, Debug)]
pub struct QrFactors {
    count: usize,
    block: usize,
    parts: Vec<Part>,
    finite: bool,
}

#[derive(Clone, Debug)]
struct Part {
    index: usize,
    /// `[rows][block]`: R, then gradients that came since.
    rows: Vec<f64>,
}

impl QrFactors {
    /// For the blocks of these indices, of a parameter of `count` weights.
    pub fn new(count: usize, block: usize, blocks: &[usize]) -> Self {
        let parts = blocks.iter().map(|index| Part { index: *index, rows: Vec::new() }).collect();
        QrFactors { count, block, parts, finite: true }
    }

    /// Bytes for each block: R and twice as many gradients.
    pub fn bytes_of_block(block: usize) -> u64 {
        (3 * block * block * size_of::<f64>()) as u64
    }

    /// Takes in one gradient in the Hugging Face layout.
    ///
    /// # Panics
    /// If it has another number of elements than the parameter.
    pub fn add(&mut self, gradient: &[f32]) {
        assert_eq!(gradient.len(), self.count, "elements of a gradient");
        let (block, count) = (self.block, self.count);
        self.finite &= self
            .parts
            .par_iter_mut()
            .map(|part| {
                let slice = &gradient[part.index * block..((part.index + 1) * block).min(count)];
                part.rows.extend(slice.iter().map(|g| f64::from(*g)));
                part.rows.resize(part.rows.len().next_multiple_of(block), 0.0);
                if part.rows.len() >= 3 * block * block {
                    triangularise(&mut part.rows, block);
                }
                slice.iter().all(|g| g.is_finite())
            })
            .reduce(|| true, |a, b| a && b);
    }

    /// Whether all gradients were finite.
    pub fn is_finite(&self) -> bool {
        self.finite
    }

    /// The rows of R for each block, by its index.
    pub fn finish(mut self) -> BTreeMap<usize, Vec<f64>> {
        let block = self.block;
        self.parts.par_iter_mut().for_each(|part| triangularise(&mut part.rows, block));
        self.parts.into_iter().map(|part| (part.index, part.rows)).collect()
    }
}

/// Householder's reflections: replaces rows A by the upper triangle R with `Rᵀ R = Aᵀ A`, where there
/// are more rows than columns.
fn triangularise(rows: &mut Vec<f64>, columns: usize) {
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
    fn a_root_stands_for_all_its_gradients() {
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
