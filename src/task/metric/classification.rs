//! Accuracy and F1 of predicted labels, as scikit-learn defines them.

use super::Metrics;

/// Which F1 a classifier is evaluated by, beside its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum F1 {
    /// None: MNLI has accuracy alone.
    Unmeasured,
    /// That of one label: the positive class.
    Of(usize),
    /// The mean over the labels.
    Mean,
}

/// Of more labels the F1 of each is not listed.
const MOST_LABELS: usize = 20;

/// `accuracy`; `f1`, that of the positive class or the mean; `macro_f1`; and `f1_NAME` of each of `names`, the
/// labels in the order of the outputs.
pub fn metrics(predicted: &[usize], labels: &[usize], names: &[String], wanted: F1) -> Metrics {
    let mut metrics = Metrics::from([("accuracy".to_owned(), accuracy(predicted, labels))]);
    let mean = macro_f1(predicted, labels);
    let own = match wanted {
        F1::Unmeasured => return metrics,
        F1::Of(positive) => f1(predicted, labels, positive),
        F1::Mean => mean,
    };
    metrics.insert("f1".to_owned(), own);
    metrics.insert("macro_f1".to_owned(), mean);
    if names.len() <= MOST_LABELS {
        let each = names.iter().enumerate();
        metrics.extend(each.map(|(i, name)| (format!("f1_{name}"), f1(predicted, labels, i))));
    }
    metrics
}

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
