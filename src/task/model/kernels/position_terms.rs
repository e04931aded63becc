//! Terms that positions add to the scores of attention, and windows of tokens that attend to each other.

use std::sync::Arc;

use burn::tensor::{Bool, Int, Tensor, TensorData};

/// What positions do to the scores of attention besides the products of queries and keys.
#[derive(Clone, Debug, Default)]
pub struct PositionTerms {
    /// A learned bias for each bucket of distances and head.
    pub bias: Option<BucketedBias>,
    /// A term for every pair of a query and a key of each head, as [`super::disentangled_terms`] gives it. It needs
    /// attention without a window.
    pub pairs: Option<Tensor<2>>,
    /// A token attends to tokens at most this far away; to all tokens of its sequence if it is `None`.
    pub window: Option<usize>,
}

impl PositionTerms {
    /// Whether there is no bias, no pair terms and no window: the scores are `QKᵀ/√d` alone.
    pub fn is_none(&self) -> bool {
        self.bias.is_none() && self.pairs.is_none() && self.window.is_none()
    }
}

/// A bias that is added to the scaled scores: `table[bucket(j - i), head]` for query i and key j.
#[derive(Clone, Debug)]
pub struct BucketedBias {
    /// The learned biases, `[buckets, heads]`.
    pub table: Tensor<2>,
    /// The bucket of each distance `j - i`.
    pub buckets: Buckets,
}

/// The bucket of every distance from `-reach` to `reach`.
#[derive(Clone, Debug)]
pub struct Buckets {
    reach: usize,
    of: Arc<[u32]>,
}

impl Buckets {
    /// Computes the bucket of every distance that occurs in sequences of up to `longest` tokens.
    pub fn new(longest: usize, bucket: impl Fn(i64) -> u32) -> Self {
        let reach = longest.saturating_sub(1);
        let of = (-(reach as i64)..=reach as i64).map(bucket).collect();
        Buckets { reach, of }
    }

    /// The buckets of the distances of one query to a range of keys.
    pub(super) fn row(&self, query: usize, keys: std::ops::Range<usize>) -> &[u32] {
        let at = |key: usize| key + self.reach - query;
        &self.of[at(keys.start)..at(keys.end)]
    }
}

/// The block of consecutive queries, and the keys that at least one of them attends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) queries: std::ops::Range<usize>,
    pub(super) keys: std::ops::Range<usize>,
    /// The index of its first attention weight among those of the sequence.
    pub(super) weights: usize,
}

impl Tile {
    /// The number of its attention weights.
    pub(super) fn size(&self) -> usize {
        self.queries.len() * self.keys.len()
    }
}

/// Divides the attention weights of a sequence into tiles: one without a window; with one, tiles that cover the band
/// around the diagonal, so that time and memory are linear in the length.
pub(super) fn tiles(length: usize, window: Option<usize>) -> Vec<Tile> {
    let Some(window) = window.filter(|window| *window + 1 < length) else {
        return vec![Tile { queries: 0..length, keys: 0..length, weights: 0 }];
    };
    let block = window.clamp(32, 128);
    let mut weights = 0;
    let of_block = |start: usize| {
        let queries = start..(start + block).min(length);
        let keys = start.saturating_sub(window)..(queries.end + window).min(length);
        let tile = Tile { queries, keys, weights };
        weights += tile.size();
        tile
    };
    (0..length).step_by(block).map(of_block).collect()
}

/// The bias as a tensor `[1, heads, length, length]`, in Burn's operations.
pub(super) fn plain_bias(bias: &BucketedBias, length: usize) -> Tensor<4> {
    let [_, heads] = bias.table.dims();
    let rows: Vec<i32> =
        (0..length).flat_map(|query| bias.buckets.row(query, 0..length)).map(|b| *b as i32).collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [length * length]), &bias.table.device());
    let values = bias.table.clone().select(0, rows).reshape([length, length, heads]);
    values.permute([2, 0, 1]).reshape([1, heads, length, length])
}

/// Which pairs of a query and a key are too far apart, `[1, 1, length, length]`.
pub(super) fn outside(window: usize, length: usize, device: &burn::tensor::Device) -> Tensor<4, Bool> {
    let far: Vec<bool> =
        (0..length).flat_map(|i: usize| (0..length).map(move |j| i.abs_diff(j) > window)).collect();
    Tensor::from_data(TensorData::new(far, [1, 1, length, length]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_pair_within_the_window_once_and_grow_linearly() {
        for (length, window) in [(1, 0), (5, 4), (70, 3), (300, 64), (129, 40)] {
            let tiles = tiles(length, Some(window));
            let mut at = 0;
            let mut next = 0;
            for tile in &tiles {
                assert_eq!((tile.queries.start, tile.weights), (next, at));
                (next, at) = (tile.queries.end, at + tile.size());
                for query in tile.queries.clone() {
                    let first = query.saturating_sub(window);
                    assert!(tile.keys.start <= first && tile.keys.end >= (query + window + 1).min(length));
                }
            }
            assert_eq!(next, length);
        }
        let weights = |length| tiles(length, Some(64)).iter().map(Tile::size).sum::<usize>();
        assert!(weights(8192) < 5 * weights(2048), "linear in the length");
        assert_eq!(tiles(9, None), [Tile { queries: 0..9, keys: 0..9, weights: 0 }]);
    }

    #[test]
    fn a_row_has_the_buckets_of_its_distances() {
        let buckets = Buckets::new(5, |distance| (distance + 4) as u32);
        assert_eq!(buckets.row(0, 0..5), [4, 5, 6, 7, 8]);
        assert_eq!(buckets.row(4, 1..4), [1, 2, 3]);
    }
}
