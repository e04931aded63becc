//! Saliencies `ρ_Q = ½ w_Qᵀ ([F⁻¹]_QQ)⁻¹ w_Q`: the rise of the loss when a weight or group Q is set to zero and the
//! other weights of its block are updated (the paper's section 3; SparseML's `OBSPruningParamsScorer`).

use super::correlated::{self, NOfM};
use super::fisher::Fisher;
use super::lanes::{BlockBatch, LANES, Lane, ZERO, dot, gather};
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// ε, which is added to divisors as in SparseML: `torch.finfo(torch.float32).eps`.
pub const EPSILON: f32 = f32::EPSILON;

/// The largest accepted estimate `ε max_i F_ii [F⁻¹]_ii` of the relative error of `diag F⁻¹` in float32. It is an
/// estimate, not a bound: the true errors of diagonals and saliencies were mostly below four times the estimate,
/// and once seven times. With this limit none of 6,000 random cases exceeded the golden cases' tolerance of 2e-4.
pub const LARGEST_ERROR: f64 = 5e-5;

/// The same for float64. There is no more precise fallback: a block beyond this limit is an error.
const LARGEST_ERROR_IN_F64: f64 = 1e-3;

/// The saliencies of one parameter.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// ρ for each group, -∞ where a weight of the group is pruned.
    pub scores: Vec<f32>,
    /// The Lagrange multipliers of the constraints `w_Q = 0`, for each weight: `w_i / [F⁻¹]_ii` or
    /// `([F⁻¹]_QQ)⁻¹ w_Q`. The independent update is F⁻¹ times those of the pruned weights. Empty for the exact
    /// update, which does not need them.
    pub multipliers: Vec<f32>,
    /// The indices of blocks that are too ill-conditioned for float32, and have to be recomputed in float64. Their
    /// scores and multipliers are meaningless.
    pub ill_conditioned: Vec<usize>,
}

/// The output buffers for some consecutive blocks.
pub struct Out<'a> {
    /// ρ, `[groups]`.
    pub scores: &'a mut [f32],
    /// The Lagrange multipliers, `[weights]`, or empty if they are not wanted.
    pub multipliers: &'a mut [f32],
    /// `diag F⁻¹`, `[weights]`, or empty if it is not wanted.
    pub diagonal: &'a mut [f32],
}

impl<'a> Out<'a> {
    /// Splits the buffers of a parameter into parts of `weights` weights.
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

    /// Part `index` of the buffers, where each part holds `weights` weights.
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

/// The buffers of one thread for a batch of blocks.
pub struct Workspace {
    batch: BlockBatch,
    weights: Vec<Lane>,
    kept: Vec<Lane>,
    /// `diag F`, `[B]`.
    fisher_diagonal: Vec<Lane>,
    /// Columns of `X = L⁻¹`, `[columns][B]`.
    columns: Vec<Lane>,
    /// `F⁻¹ = XᵀX`, `[B][B]`.
    square: Vec<Lane>,
    /// L and z of a group, `[size][size]` and `[size]`.
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

    /// Computes the saliencies of the blocks `first..first + 16`. Returns for each lane whether its block is
    /// ill-conditioned: it has a pivot that is not positive, or an error estimate `ε max_i F_ii [F⁻¹]_ii` above
    /// [`LARGEST_ERROR`]. The outputs of such a block are meaningless.
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
        // Columns of L⁻¹ are computed four at a time; a run of them holds whole groups.
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

    /// For single weights: `ρ_i = w_i² / (2 [F⁻¹]_ii + ε)`.
    fn singles(&self, i: usize, diagonal: &Lane, out: &mut Out) {
        let block = self.batch.block;
        for (l, diagonal) in diagonal.iter().enumerate() {
            let w = self.weights[i][l];
            put(out.scores, l * block + i, single(w, *diagonal, self.kept[i][l] != 0.0));
            put(out.multipliers, l * block + i, w / (diagonal + EPSILON));
        }
    }

    /// For a group Q: `[F⁻¹]_QQ = X_{:,Q}ᵀ X_{:,Q} = LLᵀ`, the multipliers z solve `LLᵀz = w_Q`, and
    /// `ρ_Q = ½ w_Qᵀz = ½ |L⁻¹ w_Q|²`, which is not negative after rounding.
    fn group_of(&mut self, start: usize, q: usize, size: usize, out: &mut Out) {
        let block = self.batch.block;
        let first = start + q;
        // Computes L row by row, and L⁻¹ w; then z.
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
                    // A principal submatrix of F⁻¹ is positive definite; rounding may make a pivot zero.
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

    /// Saliencies that are refreshed after every pruned group, from `F⁻¹ = XᵀX` with all columns of X.
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

/// Computes the saliencies of one block in float64 by the Woodbury form. `None` if it is too ill-conditioned for
/// float64.
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

/// The saliency of a single weight, `w² / (2 [F⁻¹]_ii + ε)`; -∞ for a pruned one.
pub fn single(weight: f32, diagonal: f32, kept: bool) -> f32 {
    if kept { weight * weight / (2.0 * diagonal + EPSILON) } else { f32::NEG_INFINITY }
}

/// Writes a value if the index exists: it does not for an empty buffer, and beyond the last weight.
#[inline(always)]
fn put(out: &mut [f32], index: usize, value: f32) {
    if let Some(out) = out.get_mut(index) {
        *out = value;
    }
}
