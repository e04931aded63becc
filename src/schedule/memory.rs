//! How much memory an estimate of the Fisher matrix takes, and in how many passes over the gradients
//! it fits into what is allowed.
//!
//! The Fisher blocks of a parameter are there until its weights are updated; its gradients wait in a
//! chunk until they are summed. What does not fit at once is estimated parameter by parameter, from
//! the same gradients each time.

use super::ir::{Obs, Pattern, Precision, Prune, Rank};

/// Parameters that are estimated together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Which of the statement's targets, in their order.
    pub targets: std::ops::Range<usize>,
    /// Gradients that wait until they are summed.
    pub rows: usize,
    /// Bytes of the Fisher blocks.
    pub fisher: u64,
    /// Bytes of the gradients that wait.
    pub chunk: u64,
}

/// Fewer gradients at a time make sums slow.
const FEW_ROWS: usize = 8;

impl Obs {
    /// Bytes of the Fisher blocks of so many weights: the lower triangle of each, in float32.
    pub fn fisher_bytes(&self, weights: usize) -> u64 {
        weights.div_ceil(self.block) as u64 * (self.block * (self.block + 1) / 2 * 4) as u64
    }

    /// The largest block whose estimate for one parameter of so many weights fits into `bytes`.
    pub fn largest_block(&self, weights: usize, bytes: u64) -> usize {
        (1..=self.block)
            .rev()
            .find(|block| Obs { block: *block, ..self.clone() }.least_bytes(weights) <= bytes)
            .unwrap_or(1)
    }

    /// The least bytes that the estimate of one parameter takes: its Fisher blocks and one gradient,
    /// or all gradients where they are fewer than a block's weights.
    pub fn least_bytes(&self, weights: usize) -> u64 {
        self.bytes(weights, 1)
    }

    /// Gradients held back until they are summed together, where memory is not limited: memory for
    /// them is about that of the Fisher blocks.
    pub fn chunk_rows(&self) -> usize {
        self.block.div_ceil(2).clamp(FEW_ROWS, 64).min(self.gradients.max(1))
    }

    /// Whether the gradients themselves are kept, being fewer than the weights of a block.
    pub fn keeps_gradients(&self) -> bool {
        self.gradients < self.block
    }

    /// The passes that targets of these numbers of weights need. `None` if not even one of them fits
    /// into the allowed memory by itself.
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

    fn sums_bytes(&self, weights: usize) -> u64 {
        if self.keeps_gradients() { 0 } else { self.fisher_bytes(weights) }
    }

    fn bytes(&self, weights: usize, rows: usize) -> u64 {
        let (rows, number) = match (self.keeps_gradients(), self.precision) {
            (true, _) => (self.gradients, 4),
            (false, Precision::F32) => (rows, 4),
            (false, Precision::Bf16) => (rows, 2),
        };
        // Rows begin with whole cache lines; long ones are spread over the caches.
        let spaced = weights + if weights < 1 << 16 { 31 } else { 1039 };
        self.sums_bytes(weights) + (rows * spaced * number) as u64
    }
}

impl Prune {
    /// How often all gradients are computed for one estimate in so many passes. Parameters that are
    /// ranked together must all be scored before the first of them is updated, and those whose Fisher
    /// blocks had to go are estimated again for that.
    pub fn sweeps(&self, passes: usize) -> usize {
        let together = self.rank == Rank::Global && !matches!(self.pattern, Pattern::NofM { .. });
        if together { (2 * passes).saturating_sub(1) } else { passes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obs(memory: Option<u64>) -> Obs {
        Obs { gradients: 64, block: 16, batch: 1, memory, ..Obs::default() }
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
