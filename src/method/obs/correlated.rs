//! Saliencies that take account of each other: weights of a block are removed one by one, the least
//! salient first, and after each the others move and their saliencies are computed anew, as in the
//! Correlation Aware Pruner (arXiv 2210.09223).
//!
//! A removal of Q turns F⁻¹ into `F⁻¹ - F⁻¹_:Q ([F⁻¹]_QQ)⁻¹ F⁻¹_Q:` and w into
//! `w - F⁻¹_:Q ([F⁻¹]_QQ)⁻¹ w_Q`. After all removals w is where the exact update of all of them
//! together leads, so only the order is new, and the score of a weight says when it went.

/// In each run of `of` weights only so many may go that `keep` stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NOfM {
    /// Weights that stay.
    pub keep: usize,
    /// Weights in a run.
    pub of: usize,
}

/// For each group of `size` consecutive weights of a block the rise of the loss when its turn came,
/// made to rise strictly with the order of removal. -∞ where a weight was pruned before; ∞ where a
/// run has lost all that it may.
///
/// `inverse` is F⁻¹, row by row.
pub fn scores(
    mut inverse: Vec<f64>,
    mut weights: Vec<f64>,
    kept: &[bool],
    size: usize,
    pattern: Option<NOfM>,
) -> Vec<f32> {
    let block = weights.len();
    let groups: Vec<std::ops::Range<usize>> =
        (0..block).step_by(size).map(|first| first..(first + size).min(block)).collect();
    let mut scores: Vec<f32> = groups
        .iter()
        .map(|q| if kept[q.clone()].contains(&false) { f32::NEG_INFINITY } else { f32::INFINITY })
        .collect();
    let mut open: Vec<usize> = (0..groups.len()).filter(|g| scores[*g] == f32::INFINITY).collect();
    let mut last = f32::NEG_INFINITY;
    while !open.is_empty() {
        if let Some(pattern) = pattern {
            // A run is closed once only `keep` of it are left; its last one may be cut short.
            let gone = |run: usize| {
                let end = ((run + 1) * pattern.of).min(block);
                let pruned = |i: &usize| !kept[*i] || scores[*i].is_finite();
                (run * pattern.of..end).filter(pruned).count()
            };
            let room: Vec<bool> = open
                .iter()
                .map(|g| {
                    let run = groups[*g].start / pattern.of;
                    let length = pattern.of.min(block - run * pattern.of);
                    gone(run) + pattern.keep < length
                })
                .collect();
            let mut room = room.iter();
            open.retain(|_| room.next() == Some(&true));
            if open.is_empty() {
                break;
            }
        }
        let mut best: Option<(usize, f64)> = None;
        for (at, g) in open.iter().enumerate() {
            let rise = match size {
                1 => 0.5 * weights[*g] * weights[*g] / inverse[*g * block + *g].max(f64::MIN_POSITIVE),
                _ => group_saliency(&principal(&inverse, block, &groups[*g]), &weights[groups[*g].clone()]).0,
            };
            if best.is_none_or(|(_, least)| rise < least) {
                best = Some((at, rise));
            }
        }
        // A rise that is not a number is less than nothing: none is left to compare.
        let Some((at, rise)) = best else { break };
        let g = open.remove(at);
        let (_, z) = group_saliency(&principal(&inverse, block, &groups[g]), &weights[groups[g].clone()]);
        let score = (rise as f32).max(last.next_up());
        scores[g] = score;
        last = score;
        remove(&mut inverse, &mut weights, groups[g].clone(), &z);
    }
    scores
}

/// `[F⁻¹]_QQ`, row by row.
fn principal(inverse: &[f64], block: usize, q: &std::ops::Range<usize>) -> Vec<f64> {
    q.clone().flat_map(|a| inverse[a * block..][q.clone()].to_vec()).collect()
}

/// `½ w_Qᵀ z` and z with `[F⁻¹]_QQ z = w_Q`, by Cholesky.
pub fn group_saliency(matrix: &[f64], weights: &[f64]) -> (f64, Vec<f64>) {
    let n = weights.len();
    let l = cholesky(matrix, n);
    let mut z = weights.to_vec();
    for i in 0..n {
        z[i] = (z[i] - (0..i).map(|k| l[i * n + k] * z[k]).sum::<f64>()) / l[i * n + i];
    }
    let saliency = 0.5 * z.iter().map(|z| z * z).sum::<f64>();
    for i in (0..n).rev() {
        z[i] = (z[i] - (i + 1..n).map(|k| l[k * n + i] * z[k]).sum::<f64>()) / l[i * n + i];
    }
    (saliency, z)
}

/// The Cholesky factor of a principal block of an inverse, which is positive; rounding may only
/// bring a pivot to zero.
fn cholesky(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let sum = matrix[i * n + j] - (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum::<f64>();
            l[i * n + j] = if i == j { sum.max(f64::MIN_POSITIVE).sqrt() } else { sum / l[j * n + j] };
        }
    }
    l
}

/// Takes Q out of F⁻¹ and moves the others.
fn remove(inverse: &mut [f64], weights: &mut [f64], q: std::ops::Range<usize>, z: &[f64]) {
    let block = weights.len();
    let columns: Vec<f64> = q.clone().flat_map(|a| inverse[a * block..(a + 1) * block].to_vec()).collect();
    for (i, w) in weights.iter_mut().enumerate() {
        *w -= z.iter().enumerate().map(|(a, z)| columns[a * block + i] * z).sum::<f64>();
    }
    // Y = L⁻¹ F⁻¹_Q:, so that F⁻¹ loses Yᵀ Y.
    let n = z.len();
    let matrix: Vec<f64> = (0..n).flat_map(|a| columns[a * block..][q.clone()].to_vec()).collect();
    let l = cholesky(&matrix, n);
    let mut y = columns;
    for a in 0..n {
        let (known, rest) = y.split_at_mut(a * block);
        let row = &mut rest[..block];
        for k in 0..a {
            for (v, known) in row.iter_mut().zip(&known[k * block..]) {
                *v -= l[a * n + k] * known;
            }
        }
        row.iter_mut().for_each(|v| *v /= l[a * n + a]);
    }
    for row in y.chunks_exact(block) {
        for (i, a) in row.iter().enumerate() {
            for (f, b) in inverse[i * block..(i + 1) * block].iter_mut().zip(row) {
                *f -= a * b;
            }
        }
    }
    // Exactly, so that what is gone cannot come back by rounding.
    for a in q {
        weights[a] = 0.0;
        for i in 0..block {
            inverse[a * block + i] = 0.0;
            inverse[i * block + a] = 0.0;
        }
    }
}
