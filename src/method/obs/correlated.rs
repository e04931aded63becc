//! Saliencies that are refreshed after every pruned group, as in the Correlation Aware Pruner (CAP, arXiv
//! 2210.09223).
//!
//! The groups of a block are pruned in turn, each time the one with the least ρ_Q. Pruning Q replaces F⁻¹ by
//! `F⁻¹ − F⁻¹_{:,Q} ([F⁻¹]_QQ)⁻¹ F⁻¹_{Q,:}` and w by `w − F⁻¹_{:,Q} ([F⁻¹]_QQ)⁻¹ w_Q`. After k groups w equals
//! the weights after the exact update for all k jointly. Compared with saliencies that are computed once, only the
//! order of pruning changes.

/// An N:M pattern: of `of` consecutive weights, `keep` remain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NOfM {
    /// Remaining weights of a run.
    pub keep: usize,
    /// Weights of a run.
    pub of: usize,
}

/// For each group of `size` consecutive weights of a block its ρ_Q when it was pruned, raised where necessary so that
/// scores increase strictly in the order of pruning. -∞ where a weight was pruned before; ∞ for groups that remain
/// because of the N:M pattern.
///
/// `inverse` is F⁻¹, `[B][B]`.
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
            // A run is full once only `keep` of it remain; the last run may be incomplete.
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
        // `open` is not empty, and so there is one.
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

/// `[F⁻¹]_QQ`, `[q][q]`.
fn principal(inverse: &[f64], block: usize, q: &std::ops::Range<usize>) -> Vec<f64> {
    q.clone().flat_map(|a| inverse[a * block..][q.clone()].to_vec()).collect()
}

/// `ρ_Q = ½ w_Qᵀz` and the multipliers z of `[F⁻¹]_QQ z = w_Q`, by Cholesky factorization of `matrix`, `[n][n]`.
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

/// The Cholesky factor of a principal submatrix of F⁻¹, `[n][n]`. It is positive definite, though rounding may make a
/// pivot zero.
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

/// Prunes Q: updates F⁻¹ and w.
fn remove(inverse: &mut [f64], weights: &mut [f64], q: std::ops::Range<usize>, z: &[f64]) {
    let block = weights.len();
    let columns: Vec<f64> = q.clone().flat_map(|a| inverse[a * block..(a + 1) * block].to_vec()).collect();
    for (i, w) in weights.iter_mut().enumerate() {
        *w -= z.iter().enumerate().map(|(a, z)| columns[a * block + i] * z).sum::<f64>();
    }
    // Y = L⁻¹ F⁻¹_{Q,:}, and F⁻¹ − YᵀY is the new F⁻¹.
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
    // Exactly zero, so that rounding cannot bring back pruned weights.
    for a in q {
        weights[a] = 0.0;
        for i in 0..block {
            inverse[a * block + i] = 0.0;
            inverse[i * block + a] = 0.0;
        }
    }
}
