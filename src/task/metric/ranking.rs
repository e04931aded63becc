//! Metrics of reranking: the order of each query's candidates.

use std::collections::BTreeMap;

use super::Metrics;

/// In percent, the means over queries of `ndcg_10`, the normalized discounted cumulative gain of the first ten candidates
/// (scikit-learn's `ndcg_score` with k = 10), and of `mrr_10`, the reciprocal rank of the first relevant candidate if that
/// is at most 10. `queries` is the query of each candidate. Queries without relevant or without other candidates are left
/// out, as in `CrossEncoderRerankingEvaluator`. Of equal scores a relevant candidate has the worse rank.
pub fn metrics(scores: &[f32], relevant: &[bool], queries: &[usize]) -> Metrics {
    let mut candidates: BTreeMap<usize, Vec<(f32, bool)>> = BTreeMap::new();
    for ((score, relevant), query) in scores.iter().zip(relevant).zip(queries) {
        candidates.entry(*query).or_default().push((*score, *relevant));
    }
    let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
    let (mut ndcg, mut reciprocal, mut count) = (0.0, 0.0, 0usize);
    for list in candidates.values_mut() {
        let all = list.iter().filter(|(_, relevant)| *relevant).count();
        if all == 0 || all == list.len() {
            continue;
        }
        list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let hits: Vec<usize> = (0..list.len().min(10)).filter(|rank| list[*rank].1).collect();
        let ideal: f64 = (0..all.min(10)).map(gain).sum();
        ndcg += hits.iter().map(|rank| gain(*rank)).sum::<f64>() / ideal;
        reciprocal += hits.first().map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
        count += 1;
    }
    let percent = 100.0 / count.max(1) as f64;
    Metrics::from([("ndcg_10".to_owned(), ndcg * percent), ("mrr_10".to_owned(), reciprocal * percent)])
}
