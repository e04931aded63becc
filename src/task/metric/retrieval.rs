//! Metrics of retrieval, as `InformationRetrievalEvaluator` of sentence-transformers computes them.

use super::Metrics;
use super::similarity::cosine;

/// The number of nearest documents that are saved for each query.
const DEPTH: usize = 100;

/// The nearest documents of each query, updated document by document, so that no others are in memory.
#[derive(Debug)]
pub struct Nearest {
    queries: Vec<Vec<f32>>,
    /// For each query the cosines and indices of its nearest documents, best first; among equal cosines the smaller
    /// index first.
    found: Vec<Vec<(f64, usize)>>,
}

impl Nearest {
    /// No documents yet, for these embeddings of queries.
    pub fn new(queries: Vec<Vec<f32>>) -> Self {
        let found = vec![Vec::new(); queries.len()];
        Nearest { queries, found }
    }

    /// Compares a document's embedding with all queries.
    pub fn add(&mut self, document: usize, embedding: &[f32]) {
        for (query, found) in self.queries.iter().zip(&mut self.found) {
            let own = (cosine(query, embedding), document);
            let before = |other: &(f64, usize)| other.0 > own.0 || (other.0 == own.0 && other.1 < own.1);
            let place = found.partition_point(before);
            if place < DEPTH {
                found.insert(place, own);
                found.truncate(DEPTH);
            }
        }
    }

    /// In percent: `ndcg_10`, with a gain of 1 for every relevant document; `mrr_10`, the mean of the reciprocal rank of the
    /// first relevant document if that is at most 10; and `recall_10` and `recall_100`, the share of a query's relevant
    /// documents among the first 10 and 100. `relevant` are the sorted indices of each query's relevant documents.
    pub fn metrics(&self, relevant: &[Vec<usize>]) -> Metrics {
        let gain = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
        let mut sums = [0.0; 4];
        for (found, relevant) in self.found.iter().zip(relevant) {
            let hits: Vec<usize> =
                (0..found.len()).filter(|i| relevant.binary_search(&found[*i].1).is_ok()).collect();
            let ideal: f64 = (0..relevant.len().min(10)).map(gain).sum();
            let within = |most: usize| hits.iter().filter(|rank| **rank < most).count() as f64;
            sums[0] += hits.iter().filter(|rank| **rank < 10).map(|rank| gain(*rank)).sum::<f64>() / ideal;
            sums[1] += hits.first().filter(|rank| **rank < 10).map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
            sums[2] += within(10) / relevant.len() as f64;
            sums[3] += within(100) / relevant.len() as f64;
        }
        let percent = 100.0 / relevant.len().max(1) as f64;
        let names = ["ndcg_10", "mrr_10", "recall_10", "recall_100"];
        names.into_iter().zip(sums).map(|(name, sum)| (name.to_owned(), sum * percent)).collect()
    }
}
