//! The ill-conditioned blocks of one parameter, recomputed in float64.

use std::collections::BTreeMap;

use super::qr::QrFactors;
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// QR factors of the gradients of those blocks that float32 could not factor accurately enough.
#[derive(Clone, Debug)]
pub struct IllConditioned {
    count: usize,
    block: usize,
    finite: bool,
    /// R `[rows][block]` by the block's index, `RᵀR = Σ g gᵀ`.
    factors: BTreeMap<usize, Vec<f64>>,
}

impl IllConditioned {
    /// No block yet, for a parameter of `count` weights in blocks of `block`.
    pub fn new(count: usize, block: usize) -> Self {
        IllConditioned { count, block, finite: true, factors: BTreeMap::new() }
    }

    /// Adds the blocks of `factors`.
    pub fn extend(&mut self, factors: QrFactors) {
        self.finite &= factors.is_finite();
        self.factors.extend(factors.finish());
    }

    /// Removes all blocks.
    pub fn clear(&mut self) {
        self.finite = true;
        self.factors.clear();
    }

    /// Whether a block was recomputed.
    pub fn contains(&self, block: usize) -> bool {
        self.factors.contains_key(&block)
    }

    /// Whether all their gradients were finite.
    pub fn is_finite(&self) -> bool {
        self.finite
    }

    /// The Woodbury form of a block, restricted to the weights whose `kept` is true. `None` if the block was not
    /// recomputed, or cannot be factored.
    pub fn woodbury(&self, block: usize, kept: &[bool], settings: &Settings) -> Option<WoodburyBlock> {
        let width = self.block.min(self.count - block * self.block);
        let factor = self.factors.get(&block)?;
        let rows =
            factor.chunks(self.block).map(|row| restricted(row.iter().copied(), kept, width)).collect();
        WoodburyBlock::new(rows, settings.divisor as f64, settings.damp, width)
    }
}

/// The first `width` values, with those of pruned weights set to zero.
pub fn restricted(values: impl Iterator<Item = f64>, kept: &[bool], width: usize) -> Vec<f64> {
    values.take(width).zip(kept).map(|(g, k)| if *k { g } else { 0.0 }).collect()
}
