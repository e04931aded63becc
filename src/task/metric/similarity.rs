//! Metrics of sentence embeddings: of pairs with scores, triplets, and pairs.

use super::{Metrics, correlation};

/// The cosine of two vectors; 0 if either is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

/// `spearman` and `pearson` of the cosines of pairs with their scores (`EmbeddingSimilarityEvaluator`), in -1..=1.
pub fn scored(a: &[Vec<f32>], b: &[Vec<f32>], scores: &[f64]) -> Metrics {
    let cosines: Vec<f64> = a.iter().zip(b).map(|(a, b)| cosine(a, b)).collect();
    Metrics::from([
        ("spearman".to_owned(), correlation::spearman(&cosines, scores)),
        ("pearson".to_owned(), correlation::pearson(&cosines, scores)),
    ])
}

/// `accuracy`: the percentage of triplets whose anchor is closer to the positive than to the negative
/// (`TripletEvaluator`, by cosine).
pub fn triplets(anchors: &[Vec<f32>], positives: &[Vec<f32>], negatives: &[Vec<f32>]) -> Metrics {
    let rows = anchors.iter().zip(positives).zip(negatives);
    let right = rows.filter(|((a, p), n)| cosine(a, p) > cosine(a, n)).count();
    Metrics::from([("accuracy".to_owned(), 100.0 * right as f64 / anchors.len().max(1) as f64)])
}

/// Retrieval of each second text among all distinct second texts by the first, with cosines: `mrr_10`, the mean of the
/// reciprocal rank if that is at most 10, and `recall_1` and `recall_10`, the percentages of ranks at most 1 and 10. Of
/// equal cosines the right text has the worse rank. `texts` are the token ids of the second texts; equal ones count once.
pub fn pairs(a: &[Vec<f32>], b: &[Vec<f32>], texts: &[&[u32]]) -> Metrics {
    let mut seen = std::collections::HashSet::new();
    let distinct: Vec<usize> = (0..b.len()).filter(|i| seen.insert(texts[*i])).collect();
    let (mut reciprocal, mut first, mut ten) = (0.0, 0usize, 0usize);
    for (row, query) in a.iter().enumerate() {
        let own = cosine(query, &b[row]);
        let others = distinct.iter().filter(|i| texts[**i] != texts[row]);
        let rank = 1 + others.filter(|i| cosine(query, &b[**i]) >= own).count();
        first += usize::from(rank == 1);
        ten += usize::from(rank <= 10);
        reciprocal += if rank <= 10 { 1.0 / rank as f64 } else { 0.0 };
    }
    let percent = |count: f64| 100.0 * count / a.len().max(1) as f64;
    Metrics::from([
        ("mrr_10".to_owned(), percent(reciprocal)),
        ("recall_1".to_owned(), percent(first as f64)),
        ("recall_10".to_owned(), percent(ten as f64)),
    ])
}
