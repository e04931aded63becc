//! Accuracy and F1 of predicted labels, as in scikit-learn.

use super::Metrics;

/// The F1 of a classifier, reported beside its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum F1 {
    /// None, as MNLI has accuracy alone.
    Unmeasured,
    /// The F1 of the positive label (`average="binary"`).
    Of(usize),
    /// The mean of the labels' F1 (`average="macro"`).
    Mean,
}

/// The maximum number of labels whose F1 is reported one by one.
const MOST_LABELS: usize = 20;

/// Computes `accuracy`, `f1` as `wanted`, `macro_f1`, and `f1_NAME` for each of the labels `names`, which are in the
/// order of the logits.
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

/// The percentage of correct predictions.
pub fn accuracy(predicted: &[usize], labels: &[usize]) -> f64 {
    let right = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
    100.0 * right as f64 / labels.len().max(1) as f64
}

/// The F1 of one label in percent; 0 if the label neither occurs nor is predicted.
pub fn f1(predicted: &[usize], labels: &[usize], positive: usize) -> f64 {
    let count = |of: &[usize]| of.iter().filter(|l| **l == positive).count();
    let both = predicted.iter().zip(labels).filter(|(p, l)| p == l && **p == positive).count();
    let all = count(predicted) + count(labels);
    if all == 0 { 0.0 } else { 100.0 * 2.0 * both as f64 / all as f64 }
}

/// The mean of [`f1`] over all labels that occur or are predicted.
pub fn macro_f1(predicted: &[usize], labels: &[usize]) -> f64 {
    let mut present: Vec<usize> = predicted.iter().chain(labels).copied().collect();
    present.sort_unstable();
    present.dedup();
    present.iter().map(|label| f1(predicted, labels, *label)).sum::<f64>() / present.len().max(1) as f64
}

/// The predicted label: the index of the largest logit, of equal ones the first.
pub fn argmax(values: &[f32]) -> usize {
    (0..values.len()).rev().max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0)
}
