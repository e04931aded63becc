//! Saliencies: by how much the loss rises when a weight or a group is removed and the others of its
//! block move to make up for it.

use super::dual::DualBlock;
use super::lanes::{Group, LANES, Lane};

/// SparseML adds single precision's epsilon to every divisor.
const EPSILON: f32 = f32::EPSILON;

/// What is known of one block's weights.
#[derive(Clone, Debug, Default)]
pub struct BlockScores {
    /// One saliency for each group, -∞ where a weight of it is pruned.
    pub scores: Vec<f32>,
    /// For each weight, what the independent update multiplies F⁻¹ with: `w_i / [F⁻¹]_ii`, or
    /// `([F⁻¹]_QQ)⁻¹ w_Q`.
    pub pull: Vec<f32>,
    /// The diagonal of F⁻¹.
    pub diagonal: Vec<f32>,
}

/// Scores of a factored group, block by block. `weights` and `kept` are `[block][lane]`.
///
/// A single weight: `ρ = w² / (2 [F⁻¹]_ii)`. A group Q: `ρ = ½ w_Qᵀ z` with
/// `[F⁻¹]_QQ z = w_Q`.
pub fn of_group(group: &Group, weights: &[Lane], kept: &[Lane], size: usize) -> Vec<BlockScores> {
    let mut result = vec![BlockScores::default(); LANES];
    for first in (0..group.block).step_by(size) {
        let columns = group.inverse_columns(first, size);
        if size == 1 {
            let diagonal = squares(&columns[0]);
            for (lane, block) in result.iter_mut().enumerate() {
                block.push_single(weights[first][lane], diagonal[lane], kept[first][lane] != 0.0);
            }
            continue;
        }
        // [F⁻¹]_QQ = X_Qᵀ X_Q; column a of X begins at row first + a.
        for (lane, block) in result.iter_mut().enumerate() {
            let entry = |a: usize, b: usize| -> f64 {
                let (low, high) = (a.min(b), a.max(b));
                let shift = high - low;
                let (x, y) = (&columns[low][shift..], &columns[high]);
                x.iter().zip(y).map(|(x, y)| f64::from(x[lane]) * f64::from(y[lane])).sum()
            };
            let matrix: Vec<Vec<f64>> = (0..size).map(|a| (0..size).map(|b| entry(a, b)).collect()).collect();
            let w: Vec<f64> = (0..size).map(|a| f64::from(weights[first + a][lane])).collect();
            let whole = (0..size).all(|a| kept[first + a][lane] != 0.0);
            block.push_group(&matrix, &w, whole);
        }
    }
    result
}

/// Scores of a dual block.
pub fn of_dual(dual: &DualBlock, weights: &[f32], kept: &[bool], size: usize) -> BlockScores {
    let mut result = BlockScores::default();
    for first in (0..weights.len()).step_by(size) {
        let size = size.min(weights.len() - first);
        let matrix = dual.inverse_block(first, size);
        if size == 1 {
            result.push_single(weights[first], matrix[0][0] as f32, kept[first]);
        } else {
            let w: Vec<f64> = weights[first..first + size].iter().map(|w| f64::from(*w)).collect();
            result.push_group(&matrix, &w, kept[first..first + size].iter().all(|k| *k));
        }
    }
    result
}

impl BlockScores {
    fn push_single(&mut self, weight: f32, diagonal: f32, kept: bool) {
        self.scores.push(if kept { weight * weight / (2.0 * diagonal + EPSILON) } else { f32::NEG_INFINITY });
        self.pull.push(weight / (diagonal + EPSILON));
        self.diagonal.push(diagonal);
    }

    fn push_group(&mut self, matrix: &[Vec<f64>], weights: &[f64], kept: bool) {
        let z = solve_small(matrix, weights);
        let saliency: f64 = 0.5 * weights.iter().zip(&z).map(|(w, z)| w * z).sum::<f64>();
        self.scores.push(if kept { saliency as f32 } else { f32::NEG_INFINITY });
        self.pull.extend(z.iter().map(|z| *z as f32));
        self.diagonal.extend((0..weights.len()).map(|i| matrix[i][i] as f32));
    }
}

fn squares(column: &[Lane]) -> Lane {
    let mut sum = [0.0; LANES];
    for x in column {
        for l in 0..LANES {
            sum[l] = x[l].mul_add(x[l], sum[l]);
        }
    }
    sum
}

/// Solves a small symmetric positive system by Cholesky in double precision.
fn solve_small(matrix: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut l = vec![vec![0.0; n]; n];
    let mut x = b.to_vec();
    for i in 0..n {
        for j in 0..=i {
            let sum = matrix[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            // A principal block of an inverse is positive; rounding may only bring it to zero.
            l[i][j] = if i == j { sum.max(f64::MIN_POSITIVE).sqrt() } else { sum / l[j][j] };
        }
        x[i] = (x[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    for i in (0..n).rev() {
        x[i] = (x[i] - (i + 1..n).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    x
}
