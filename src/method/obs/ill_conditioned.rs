//! Blocks of one parameter that are known by their square roots.

use std::collections::BTreeMap;

use super::qr::QrFactors;
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// The square roots of blocks whose Fisher matrix lost too many digits in single precision.
#[derive(Clone, Debug)]
pub struct IllConditioned {
    count: usize,
    block: usize,
    finite: bool,
    factors: BTreeMap<usize, Vec<f64>>,
}

impl IllConditioned {
    /// None yet, of a parameter of `count` weights.
    pub fn new(count: usize, block: usize) -> Self {
        IllConditioned { count, block, finite: true, factors: BTreeMap::new() }
    }

    /// Takes over what came of the gradients.
    pub fn extend(&mut self, factors: QrFactors) {
        self.finite &= factors.is_finite();
        self.factors.extend(factors.finish());
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.finite = true;
        self.factors.clear();
    }

    /// Whether a block is among them.
    pub fn contains(&self, block: usize) -> bool {
        self.factors.contains_key(&block)
    }

    /// Whether all gradients that went into them were finite.
    pub fn is_finite(&self) -> bool {
        self.finite
    }

    /// The dual of a block's root, restricted to the weights where `kept` holds. `None` if the block
    /// is not among them, or cannot be factored.
    pub fn woodbury(&self, block: usize, kept: &[bool], settings: &Settings) -> Option<WoodburyBlock> {
        let width = self.block.min(self.count - block * self.block);
        let root = self.factors.get(&block)?;
        let rows = root.chunks(self.block).map(|row| restricted(row.iter().copied(), kept, width)).collect();
        WoodburyBlock::new(rows, settings.divisor as f64, settings.damp, width)
    }
}

/// The first `width` numbers, zero where `kept` does not hold.
pub fn restricted(values: impl Iterator<Item = f64>, kept: &[bool], width: usize) -> Vec<f64> {
    values.take(width).zip(kept).map(|(g, k)| if *k { g } else { 0.0 }).collect()
}
