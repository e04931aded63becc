//! Metrics of multi-label classification, as in scikit-learn.

use super::Metrics;

/// The maximum number of labels whose F1 is reported one by one.
const MOST_LABELS: usize = 20;

/// Computes, in percent, `micro_f1` over all decisions, `macro_f1` as the mean of the labels' F1, `f1_NAME` of each label,
/// and `accuracy`, the share of texts with exactly the right labels (`f1_score` with `average` and `zero_division=0`,
/// `accuracy_score`). Both lists have a decision for each label of each text.
pub fn metrics(predicted: &[Vec<bool>], gold: &[Vec<bool>], names: &[String]) -> Metrics {
    // For each label the numbers of true positives, predicted positives, and gold positives.
    let mut counts = vec![[0usize; 3]; names.len()];
    let mut exact = 0;
    for (predicted, gold) in predicted.iter().zip(gold) {
        exact += usize::from(predicted == gold);
        for ((count, predicted), gold) in counts.iter_mut().zip(predicted).zip(gold) {
            count[0] += usize::from(*predicted && *gold);
            count[1] += usize::from(*predicted);
            count[2] += usize::from(*gold);
        }
    }
    let f1 = |[both, predicted, gold]: [usize; 3]| match predicted + gold {
        0 => 0.0,
        whole => 200.0 * both as f64 / whole as f64,
    };
    let all = counts.iter().fold([0; 3], |sum, c| [sum[0] + c[0], sum[1] + c[1], sum[2] + c[2]]);
    let mut metrics = Metrics::from([
        ("micro_f1".to_owned(), f1(all)),
        ("macro_f1".to_owned(), counts.iter().map(|c| f1(*c)).sum::<f64>() / names.len().max(1) as f64),
        ("accuracy".to_owned(), 100.0 * exact as f64 / gold.len().max(1) as f64),
    ]);
    if names.len() <= MOST_LABELS {
        metrics.extend(names.iter().zip(&counts).map(|(name, count)| (format!("f1_{name}"), f1(*count))));
    }
    metrics
}
