//! Metrics, as the data sets' official scripts define them.

pub mod classification;
pub mod correlation;
pub mod entities;
pub mod language_model;
pub mod multi_label;
pub mod ranking;
pub mod retrieval;
pub mod similarity;
pub mod squad;

use std::collections::BTreeMap;

/// Metrics by name, such as `f1`, in the unit of their definition.
pub type Metrics = BTreeMap<String, f64>;

/// The metric that stands for a task: F1, else Spearman's correlation, NDCG, MRR, accuracy, exact match, loss, or the
/// first. Empty without metrics.
pub fn main_metric(metrics: &Metrics) -> &str {
    let known = ["f1", "micro_f1", "spearman", "ndcg_10", "mrr_10", "accuracy", "em", "loss"];
    let name = known.into_iter().find(|name| metrics.contains_key(*name));
    name.or_else(|| metrics.keys().next().map(String::as_str)).unwrap_or("")
}

/// Whether lower values of a metric are better: losses and perplexities.
pub fn less_is_better(metric: &str) -> bool {
    ["loss", "perplexity", "mse"].iter().any(|word| metric.split('_').any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use super::less_is_better;

    #[test]
    fn losses_fall_and_the_rest_rises() {
        assert!(["loss", "perplexity", "loss_mm", "mse"].iter().all(|m| less_is_better(m)));
        assert!(["f1", "em", "accuracy_mm", "glossiness"].iter().all(|m| !less_is_better(m)));
    }
}
