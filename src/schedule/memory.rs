//! The memory of a Fisher estimate, and the passes over the gradients by which it stays within a limit.
//!
//! The Fisher blocks of a parameter are held until its weights are updated. Gradients are collected in a
//! chunk of rows and added to the blocks together. If the blocks of all parameters exceed the limit, the
//! parameters are divided among passes, each of which computes the same gradients again.

use super::ir::{Obs, Precision, Prune};

/// A pass over the gradients, for some of the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The parameters, by their indices among the statement's targets.
    pub targets: std::ops::Range<usize>,
    /// Gradients in a chunk.
    pub rows: usize,
    /// Bytes of the Fisher blocks.
    pub fisher: u64,
    /// Bytes of the chunk of gradients.
    pub chunk: u64,
}

/// Maximum memory, in bytes, of the float64 QR factors of ill-conditioned blocks if the recipe gives no `memory`.
pub const FACTOR_MEMORY: u64 = 2 << 30;

/// The minimum number of gradients in a chunk; where fewer would fit, the parameters are divided among more passes,
/// because small chunks make accumulation slow.
const FEW_ROWS: usize = 8;

impl Obs {
    /// Bytes of the Fisher blocks of a parameter: the lower triangle of each, in float32.
    pub fn fisher_bytes(&self, weights: usize) -> u64 {
        weights.div_ceil(self.block) as u64 * (self.block * (self.block + 1) / 2 * 4) as u64
    }

    /// The largest block size with which the estimate for a parameter of `weights` weights fits into `bytes`.
    pub fn largest_block(&self, weights: usize, bytes: u64) -> usize {
        (1..=self.block)
            .rev()
            .find(|block| Obs { block: *block, ..self.clone() }.least_bytes(weights) <= bytes)
            .unwrap_or(1)
    }

    /// The least bytes of the estimate for one parameter: its Fisher blocks and one gradient, or all
    /// gradients where they are fewer than a block's weights.
    pub fn least_bytes(&self, weights: usize) -> u64 {
        self.bytes(weights, 1)
    }

    /// Gradients in a chunk if memory is not limited: about as many bytes as the Fisher blocks.
    pub fn chunk_rows(&self) -> usize {
        self.block.div_ceil(2).clamp(FEW_ROWS, 64).min(self.gradients.max(1))
    }

    /// Whether all gradients are stored instead of Fisher blocks: where they are fewer than a block's weights.
    pub fn keeps_gradients(&self) -> bool {
        self.gradients < self.block
    }

    /// The bytes of the estimates of all these parameters in one pass: what a measured allocation needs.
    pub fn bytes_at_a_time(&self, counts: &[usize]) -> u64 {
        counts.iter().map(|n| self.bytes(*n, FEW_ROWS.min(self.chunk_rows()))).sum()
    }

    /// The passes for parameters with these numbers of weights. `None` if one of them exceeds the memory
    /// limit alone.
    pub fn passes(&self, counts: &[usize]) -> Option<Vec<Pass>> {
        let most = self.memory.unwrap_or(u64::MAX);
        let mut passes = Vec::new();
        let mut first = 0;
        while first < counts.len() {
            let total =
                |end: usize, rows| counts[first..end].iter().map(|n| self.bytes(*n, rows)).sum::<u64>();
            let few = FEW_ROWS.min(self.chunk_rows());
            let mut end = first + 1;
            while end < counts.len() && total(end + 1, few) <= most {
                end += 1;
            }
            let rows = (1..=self.chunk_rows()).rev().find(|rows| total(end, *rows) <= most)?;
            let rows = if self.keeps_gradients() { self.gradients } else { rows };
            let fisher = counts[first..end].iter().map(|n| self.sums_bytes(*n)).sum();
            passes.push(Pass { targets: first..end, rows, fisher, chunk: total(end, rows) - fisher });
            first = end;
        }
        Some(passes)
    }

    /// The most bytes of the QR factors if all blocks of `weights` weights are ill-conditioned: for each block
    /// `[3B, B]` float64, R and up to 2B gradients. Blocks are recomputed in groups that fit into `memory` or
    /// [`FACTOR_MEMORY`], at least one block at a time.
    pub fn factor_bytes(&self, weights: usize) -> u64 {
        if self.keeps_gradients() {
            return 0;
        }
        let one = (3 * self.block * self.block * size_of::<f64>()) as u64;
        let all = one * weights.div_ceil(self.block) as u64;
        all.min(self.memory.unwrap_or(FACTOR_MEMORY).max(one))
    }

    fn sums_bytes(&self, weights: usize) -> u64 {
        if self.keeps_gradients() { 0 } else { self.fisher_bytes(weights) }
    }

    /// Bytes of the estimate for one parameter with `rows` gradients in a chunk.
    pub fn bytes(&self, weights: usize, rows: usize) -> u64 {
        let (rows, number) = match (self.keeps_gradients(), self.precision) {
            (true, _) => (self.gradients, 4),
            (false, Precision::F32) => (rows, 4),
            (false, Precision::Bf16) => (rows, 2),
        };
        // Rows start on cache lines; the stride of long rows avoids conflicts in the caches' sets.
        let spaced = weights + if weights < 1 << 16 { 31 } else { 1039 };
        self.sums_bytes(weights) + (rows * spaced * number) as u64
    }
}

/// Distributes parameters with these numbers of weights over ranks, as evenly as their sizes allow: the largest first,
/// each to the rank with the fewest weights (longest processing time first). Returns the rank of each.
pub fn owners(counts: &[usize], ranks: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(counts[*i]));
    let (mut owners, mut loads) = (vec![0; counts.len()], vec![0; ranks.max(1)]);
    for i in order {
        let least = (0..loads.len()).min_by_key(|rank| loads[*rank]).unwrap_or(0);
        owners[i] = least;
        loads[least] += counts[i];
    }
    owners
}

impl Prune {
    /// The most forward passes of a measured allocation for one estimate: they take about as long as the estimate,
    /// whose backward passes take twice the time of its forward passes.
    pub fn evaluations(&self, obs: &Obs) -> usize {
        if self.is_measured() { 3 * obs.gradients } else { 0 }
    }

    /// How many times all gradients are computed for one estimate in `passes` passes. With global ranking, every
    /// parameter must be scored before the first is updated, so all passes but the last are repeated for the update.
    pub fn sweeps(&self, passes: usize) -> usize {
        if self.ranks_together() { (2 * passes).saturating_sub(1) } else { passes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obs(memory: Option<u64>) -> Obs {
        Obs { gradients: 64, block: 16, batch: 1, memory, ..Obs::default() }
    }

    #[test]
    fn parameters_are_distributed_evenly_and_in_the_same_way_every_time() {
        // The encoder of BERT-base: four square matrices and two of four times the size in each of 12 layers.
        let layer = [589_824, 589_824, 589_824, 589_824, 2_359_296, 2_359_296];
        let counts = layer.repeat(12);
        for ranks in [1, 2, 3, 4, 8, 16] {
            let owners = owners(&counts, ranks);
            let load = |r: usize| -> usize {
                owners.iter().zip(&counts).filter(|(o, _)| **o == r).map(|(_, n)| n).sum()
            };
            let most = (0..ranks).map(load).max().unwrap();
            let mean = counts.iter().sum::<usize>() / ranks;
            assert!(most - mean <= 2_359_296 / 2, "{most} of {mean} with {ranks} ranks");
        }
        assert_eq!(owners(&[5, 5, 5], 2), [0, 1, 0]);
        assert_eq!(owners(&[7], 4), [0]);
    }

    #[test]
    fn without_a_limit_there_is_one_pass() {
        let passes = obs(None).passes(&[1000, 2000, 3000]).unwrap();
        assert_eq!(passes.len(), 1);
        assert_eq!(passes[0].targets, 0..3);
        assert_eq!(passes[0].rows, 8);
        assert_eq!(passes[0].fisher, (63 + 125 + 188) * 136 * 4);
    }

    #[test]
    fn factors_of_all_blocks_take_no_more_than_is_allowed_and_no_less_than_one_block() {
        let one = 3 * 16 * 16 * 8;
        assert_eq!(obs(None).factor_bytes(1000), 63 * one);
        assert_eq!(obs(None).factor_bytes(1 << 30), 2 << 30);
        assert_eq!(obs(Some(10 * one)).factor_bytes(1000), 10 * one);
        assert_eq!(obs(Some(1)).factor_bytes(1000), one);
        let few = Obs { gradients: 15, ..obs(None) };
        assert_eq!(few.factor_bytes(1000), 0, "the gradients themselves are stored");
    }

    #[test]
    fn what_is_allowed_is_kept_first_by_fewer_rows_and_then_by_more_passes() {
        let counts = [1000, 2000, 3000];
        let mut last = 1;
        for allowed in (150_000..450_000u64).rev().step_by(1000) {
            let obs = obs(Some(allowed));
            let Some(passes) = obs.passes(&counts) else {
                assert!(obs.least_bytes(3000) > allowed, "{allowed} would do");
                continue;
            };
            assert!(passes.iter().all(|p| p.fisher + p.chunk <= allowed), "{allowed}: {passes:?}");
            assert!(passes.iter().all(|p| p.rows >= 1));
            assert!(passes.len() >= last, "less memory never needs fewer passes");
            last = passes.len();
            let covered: Vec<usize> = passes.iter().flat_map(|p| p.targets.clone()).collect();
            assert_eq!(covered, [0, 1, 2]);
        }
        assert_eq!(last, 3);
    }
}
