//! Accuracy and F1 of predicted labels, as scikit-learn defines them.

/// The share of predictions that are right, in percent.
pub fn accuracy(predicted: &[usize], labels: &[usize]) -> f64 {
    let right = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
    100.0 * right as f64 / labels.len().max(1) as f64
}

/// The harmonic mean of precision and recall of one label, in percent; 0 where neither a prediction
/// nor a label is it.
pub fn f1(predicted: &[usize], labels: &[usize], positive: usize) -> f64 {
    let count = |of: &[usize]| of.iter().filter(|l| **l == positive).count();
    let both = predicted.iter().zip(labels).filter(|(p, l)| p == l && **p == positive).count();
    let all = count(predicted) + count(labels);
    if all == 0 { 0.0 } else { 100.0 * 2.0 * both as f64 / all as f64 }
}

/// The mean of [`f1`] over every label that is predicted or occurs, in percent.
pub fn macro_f1(predicted: &[usize], labels: &[usize]) -> f64 {
    let mut present: Vec<usize> = predicted.iter().chain(labels).copied().collect();
    present.sort_unstable();
    present.dedup();
    present.iter().map(|label| f1(predicted, labels, *label)).sum::<f64>() / present.len().max(1) as f64
}
