//! Correlations of predicted with true scores, as scipy computes them.

/// Pearson's correlation, in -1..=1 (`scipy.stats.pearsonr`); 0 if either list is constant, where scipy has no number.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let count = x.len().min(y.len()).max(1) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - mean_x, y - mean_y);
        (xy, xx, yy) = (xy + x * y, xx + x * x, yy + y * y);
    }
    let scale = (xx * yy).sqrt();
    if scale > 0.0 { (xy / scale).clamp(-1.0, 1.0) } else { 0.0 }
}

/// Spearman's rank correlation, in -1..=1 (`scipy.stats.spearmanr`): Pearson's of the ranks, where equal values share the
/// mean of their ranks.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

/// The rank of each value from 1; equal values have the mean of their ranks (`scipy.stats.rankdata`).
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = first as f64 + (group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|i| ranks[*i] = rank);
        first += group.len();
    }
    ranks
}
