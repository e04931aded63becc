//! Saliencies: by how much the loss rises when a weight or a group is removed and the others of its
//! block move to make up for it.

use super::correlated::{self, NOfM};
use super::fisher::Fisher;
use super::lanes::{BlockBatch, LANES, Lane, ZERO, dot, gather};
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// SparseML adds single precision's epsilon to every divisor.
pub const EPSILON: f32 = f32::EPSILON;

/// The largest estimate `ε max F_ii [F⁻¹]_ii` of the relative error of F⁻¹'s diagonal that is accepted.
/// It is an estimate, not a bound: true errors, of diagonals and of saliencies, were mostly below four
/// times it and once seven times. With this limit none of 6,000 random cases exceeded the golden cases'
/// tolerance of 2e-4.
pub const LARGEST_ERROR: f64 = 5e-5;

/// The same in float64, where nothing more precise is left to fall back to and a block beyond it is an
/// error of the run.
const LARGEST_ERROR_IN_F64: f64 = 1e-3;

/// What is known of one parameter's weights.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// One saliency for each group, -∞ where a weight of it is pruned.
    pub scores: Vec<f32>,
    /// For each weight, what the independent update multiplies F⁻¹ with: `w_i / [F⁻¹]_ii`, or
    /// `([F⁻¹]_QQ)⁻¹ w_Q`. Empty if the update is exact, which does not ask for it.
    pub multipliers: Vec<f32>,
    /// Blocks whose single-precision Fisher matrix lost too many digits.
    pub ill_conditioned: Vec<usize>,
}

/// Where the saliencies of some consecutive blocks go.
pub struct Out<'a> {
    /// One for each group.
    pub scores: &'a mut [f32],
    /// One for each weight, or none.
    pub multipliers: &'a mut [f32],
    /// One for each weight, or none: the diagonal of F⁻¹.
    pub diagonal: &'a mut [f32],
}

impl<'a> Out<'a> {
    /// Cuts the places for a parameter into parts of `weights` weights.
    pub fn split(
        scores: &'a mut [f32],
        multipliers: &'a mut [f32],
        diagonal: &'a mut [f32],
        weights: usize,
        group: usize,
    ) -> Vec<Out<'a>> {
        let (mut multipliers, mut diagonal) = (multipliers.chunks_mut(weights), diagonal.chunks_mut(weights));
        scores
            .chunks_mut(weights / group)
            .map(|scores| {
                let (multipliers, diagonal) =
                    (multipliers.next().unwrap_or_default(), diagonal.next().unwrap_or_default());
                Out { scores, multipliers, diagonal }
            })
            .collect()
    }

    /// The `index`th part of `weights` weights.
    pub fn part(&mut self, index: usize, weights: usize, group: usize) -> Out<'_> {
        fn nth(values: &mut [f32], index: usize, size: usize) -> &mut [f32] {
            values.chunks_mut(size).nth(index).unwrap_or_default()
        }
        Out {
            scores: nth(self.scores, index, weights / group),
            multipliers: nth(self.multipliers, index, weights),
            diagonal: nth(self.diagonal, index, weights),
        }
    }
}

/// Memory for a group of blocks, used again and again by one thread.
pub struct Workspace {
    batch: BlockBatch,
    weights: Vec<Lane>,
    kept: Vec<Lane>,
    fisher_diagonal: Vec<Lane>,
    columns: Vec<Lane>,
    square: Vec<Lane>,
    small: Vec<Lane>,
}

impl Workspace {
    /// For blocks of `block` weights.
    pub fn new(block: usize) -> Self {
        let lanes = || vec![ZERO; block];
        Workspace {
            batch: BlockBatch::new(block),
            weights: lanes(),
            kept: lanes(),
            fisher_diagonal: lanes(),
            columns: Vec::new(),
            square: Vec::new(),
            small: Vec::new(),
        }
    }

    /// Scores of sixteen blocks from `first` on. Returns which lanes lost too many digits: a pivot
    /// that is not positive, or a large a-posteriori estimate `ε max F_ii [F⁻¹]_ii`. Their numbers
    /// mean nothing.
    #[allow(clippy::too_many_arguments)]
    pub fn score(
        &mut self,
        fisher: &Fisher,
        first: usize,
        weights: &[f32],
        kept: &[bool],
        settings: &Settings,
        pattern: Option<NOfM>,
        out: &mut Out,
    ) -> [bool; LANES] {
        let block = fisher.block();
        let blocks = weights.len().div_ceil(block);
        let scale = 1.0 / settings.divisor as f32;
        self.batch.load(fisher, first, blocks, scale, settings.damp as f32);
        gather(&mut self.weights, weights, first, |w| *w);
        gather(&mut self.kept, kept, first, |k| f32::from(u8::from(*k)));
        self.batch.restrict(&self.kept, settings.damp as f32);
        self.batch.diagonal(&mut self.fisher_diagonal);
        let sound = self.batch.factor();
        let mut worst = ZERO;
        let size = settings.group;
        // Columns of L⁻¹ are found four at a time; a run holds whole groups.
        let run = if settings.correlated { block } else { size * (4 / size).max(1) };
        for start in (0..block).step_by(run) {
            let width = run.min(block - start);
            self.columns.resize(width * block, ZERO);
            self.batch.inverse_columns(start, &mut self.columns);
            for c in 0..width {
                let column = &self.columns[c * block + start + c..(c + 1) * block];
                let diagonal = dot(column, column);
                for l in 0..LANES {
                    worst[l] = worst[l].max(self.fisher_diagonal[start + c][l] * diagonal[l]);
                    put(out.diagonal, l * block + start + c, diagonal[l]);
                }
                if size == 1 {
                    self.singles(start + c, &diagonal, out);
                }
            }
            if size > 1 {
                for q in (0..width).step_by(size) {
                    self.group_of(start, q, size, out);
                }
            }
            if settings.correlated {
                self.correlated(size, pattern, out);
            }
        }
        std::array::from_fn(|l| {
            let error = f64::from(f32::EPSILON) * f64::from(worst[l]);
            !sound[l] || error.is_nan() || error > LARGEST_ERROR
        })
    }

    /// A single weight: `ρ = w² / (2 [F⁻¹]_ii)`.
    fn singles(&self, i: usize, diagonal: &Lane, out: &mut Out) {
        let block = self.batch.block;
        for (l, diagonal) in diagonal.iter().enumerate() {
            let w = self.weights[i][l];
            put(out.scores, l * block + i, single(w, *diagonal, self.kept[i][l] != 0.0));
            put(out.multipliers, l * block + i, w / (diagonal + EPSILON));
        }
    }

    /// A group Q: `ρ = ½ w_Qᵀ z` with `[F⁻¹]_QQ z = w_Q` and `[F⁻¹]_QQ = X_Qᵀ X_Q`, by Cholesky.
    /// With `[F⁻¹]_QQ = L Lᵀ` the saliency is `½ |L⁻¹ w|²`, which rounding cannot make negative.
    fn group_of(&mut self, start: usize, q: usize, size: usize, out: &mut Out) {
        let block = self.batch.block;
        let first = start + q;
        // L row by row, then z.
        self.small.resize(size * size + size, ZERO);
        let (l, z) = self.small.split_at_mut(size * size);
        let mut total = ZERO;
        for i in 0..size {
            for j in 0..=i {
                let from = first + i;
                let (x, y) = (&self.columns[(q + i) * block..], &self.columns[(q + j) * block..]);
                let mut sum = dot(&x[from..block], &y[from..block]);
                for k in 0..j {
                    for lane in 0..LANES {
                        sum[lane] -= l[i * size + k][lane] * l[j * size + k][lane];
                    }
                }
                l[i * size + j] = std::array::from_fn(|lane| match i == j {
                    // A principal block of an inverse is positive; rounding may bring it to zero.
                    true => sum[lane].max(f32::MIN_POSITIVE).sqrt(),
                    false => sum[lane] / l[j * size + j][lane],
                });
            }
            for lane in 0..LANES {
                let mut sum = self.weights[first + i][lane];
                for k in 0..i {
                    sum -= l[i * size + k][lane] * z[k][lane];
                }
                z[i][lane] = sum / l[i * size + i][lane];
                total[lane] += 0.5 * z[i][lane] * z[i][lane];
            }
        }
        for i in (0..size).rev() {
            for lane in 0..LANES {
                let mut sum = z[i][lane];
                for k in i + 1..size {
                    sum -= l[k * size + i][lane] * z[k][lane];
                }
                z[i][lane] = sum / l[i * size + i][lane];
            }
        }
        for lane in 0..LANES {
            let whole = (0..size).all(|a| self.kept[first + a][lane] != 0.0);
            let score = if whole { total[lane] } else { f32::NEG_INFINITY };
            put(out.scores, (lane * block + first) / size, score);
            for (a, z) in z.iter().enumerate() {
                put(out.multipliers, lane * block + first + a, z[lane]);
            }
        }
    }

    /// Saliencies that are refreshed after every removal; all columns of L⁻¹ are at hand.
    fn correlated(&mut self, size: usize, pattern: Option<NOfM>, out: &mut Out) {
        let block = self.batch.block;
        self.square.resize(block * block, ZERO);
        for i in 0..block {
            for j in 0..=i {
                let (x, y) = (&self.columns[i * block..], &self.columns[j * block..]);
                let entry = dot(&x[i..block], &y[i..block]);
                self.square[i * block + j] = entry;
                self.square[j * block + i] = entry;
            }
        }
        for lane in 0..LANES {
            let at = lane * block / size;
            let end = (at + block / size).min(out.scores.len());
            if at < end {
                let inverse: Vec<f64> = self.square.iter().map(|v| f64::from(v[lane])).collect();
                let weights: Vec<f64> = self.weights.iter().map(|w| f64::from(w[lane])).collect();
                let kept: Vec<bool> = self.kept.iter().map(|k| k[lane] != 0.0).collect();
                let scores = correlated::scores(inverse, weights, &kept, size, pattern);
                out.scores[at..end].copy_from_slice(&scores[..end - at]);
            }
        }
    }
}

/// Scores of a dual block; `None` if even double precision lost too many digits.
pub fn score_woodbury(
    woodbury: &WoodburyBlock,
    weights: &[f32],
    kept: &[bool],
    settings: &Settings,
    pattern: Option<NOfM>,
    out: &mut Out,
) -> Option<()> {
    let size = settings.group;
    let mut worst: f64 = 0.0;
    for first in (0..weights.len()).step_by(size) {
        let size = size.min(weights.len() - first);
        let matrix = woodbury.inverse_block(first, size);
        for (a, row) in matrix.iter().enumerate() {
            if row[a] <= 0.0 {
                return None;
            }
            worst = worst.max(woodbury.fisher_diagonal(first + a) * row[a]);
            put(out.diagonal, first + a, row[a] as f32);
        }
        let w: Vec<f64> = weights[first..first + size].iter().map(|w| f64::from(*w)).collect();
        if size == 1 {
            let diagonal = matrix[0][0] as f32;
            put(out.scores, first, single(weights[first], diagonal, kept[first]));
            put(out.multipliers, first, weights[first] / (diagonal + EPSILON));
            continue;
        }
        let (saliency, z) = correlated::group_saliency(&matrix.concat(), &w);
        let whole = kept[first..first + size].iter().all(|k| *k);
        put(out.scores, first / size, if whole { saliency as f32 } else { f32::NEG_INFINITY });
        for (a, z) in z.iter().enumerate() {
            put(out.multipliers, first + a, *z as f32);
        }
    }
    if settings.correlated {
        let inverse = woodbury.inverse_block(0, weights.len()).concat();
        let w = weights.iter().map(|w| f64::from(*w)).collect();
        let scores = correlated::scores(inverse, w, kept, size, pattern);
        out.scores.copy_from_slice(&scores);
    }
    (f64::EPSILON * worst <= LARGEST_ERROR_IN_F64).then_some(())
}

/// The saliency of a single weight, given `[F⁻¹]_ii`.
pub fn single(weight: f32, diagonal: f32, kept: bool) -> f32 {
    if kept { weight * weight / (2.0 * diagonal + EPSILON) } else { f32::NEG_INFINITY }
}

/// Writes one number, if its place was asked for: the tail of the last block lies beyond.
#[inline(always)]
fn put(out: &mut [f32], index: usize, value: f32) {
    if let Some(out) = out.get_mut(index) {
        *out = value;
    }
}
