//! The pruning update of the remaining weights, for all pruned weights of a block.

use super::fisher::Fisher;
use super::lanes::{BlockBatch, LANES, Lane, ZERO, gather, scatter};
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// The weights of a parameter or a block before and after a pruning step.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The weights before the step.
    pub weights: &'a [f32],
    /// Which of them were not pruned before this step.
    pub kept: &'a [bool],
    /// Which of them this step prunes.
    pub newly: &'a [bool],
    /// The Lagrange multipliers of every weight, for the independent update; empty for the exact one.
    pub multipliers: &'a [f32],
}

/// The buffers of one thread for a batch of blocks.
pub struct Workspace {
    batch: BlockBatch,
    kept: Vec<Lane>,
    right: Vec<Lane>,
    result: Vec<Lane>,
}

impl Workspace {
    /// For blocks of `block` weights.
    pub fn new(block: usize) -> Self {
        let lanes = || vec![ZERO; block];
        Workspace { batch: BlockBatch::new(block), kept: lanes(), right: lanes(), result: lanes() }
    }

    /// Computes δ of the blocks `first..first + 16`, to be subtracted from the weights. Returns for each lane
    /// whether its block could be factored.
    pub fn delta(
        &mut self,
        fisher: &Fisher,
        first: usize,
        change: &Change,
        settings: &Settings,
        out: &mut [f32],
    ) -> [bool; LANES] {
        let block = fisher.block();
        let blocks = change.kept.len().div_ceil(block);
        let scale = 1.0 / settings.divisor as f32;
        self.batch.load(fisher, first, blocks, scale, settings.damp as f32);
        let (start, end) = (first * block, (first * block + LANES * block).min(change.kept.len()));
        let newly = &change.newly[start..end];
        let one = |k: &bool| f32::from(u8::from(*k));
        let chosen = |values: &[f32]| -> Vec<f32> {
            values[start..end].iter().zip(newly).map(|(v, n)| if *n { *v } else { 0.0 }).collect()
        };
        let sound = if settings.exact {
            let stays: Vec<bool> =
                change.kept[start..end].iter().zip(newly).map(|(k, n)| *k && !*n).collect();
            gather(&mut self.kept, &stays, 0, one);
            gather(&mut self.right, &chosen(change.weights), 0, |w| *w);
            self.exact()
        } else {
            gather(&mut self.kept, change.kept, first, one);
            gather(&mut self.result, &chosen(change.multipliers), 0, |v| *v);
            self.independent(settings.damp as f32)
        };
        scatter(out, &self.result);
        sound
    }

    /// The independent update of the paper and SparseML, the sum of the updates for each pruned group alone:
    /// `δ = Σ_Q F⁻¹_{:,Q} ([F⁻¹]_QQ)⁻¹ w_Q = F⁻¹ v`, with v the multipliers of pruned weights and 0 elsewhere.
    fn independent(&mut self, damp: f32) -> [bool; LANES] {
        self.batch.restrict(&self.kept, damp);
        let sound = self.batch.factor();
        self.batch.solve(&mut self.result);
        sound
    }

    /// The exact update for all pruned weights Q of a block jointly: `δ_K = −F_KK⁻¹ F_KQ w_Q` for the remaining
    /// weights K, the minimum of `½ δᵀFδ`.
    fn exact(&mut self) -> [bool; LANES] {
        self.batch.times(&self.right, &mut self.result);
        for (r, s) in self.result.iter_mut().zip(&self.kept) {
            for l in 0..LANES {
                r[l] *= -s[l];
            }
        }
        self.batch.restrict(&self.kept, 1.0);
        let sound = self.batch.factor();
        self.batch.solve(&mut self.result);
        sound
    }
}

/// δ of one block in float64. `woodbury` returns the Woodbury form of the block restricted to some weights; `change`
/// has the weights of this block only. `None` if the block cannot be factored.
pub fn woodbury_delta(
    woodbury: impl Fn(&[bool]) -> Option<WoodburyBlock>,
    change: &Change,
    settings: &Settings,
) -> Option<Vec<f64>> {
    let chosen = |values: &[f32]| -> Vec<f64> {
        values.iter().zip(change.newly).map(|(v, n)| if *n { f64::from(*v) } else { 0.0 }).collect()
    };
    let whole = woodbury(change.kept)?;
    if !settings.exact {
        return Some(whole.solve(&chosen(change.multipliers)));
    }
    let stays: Vec<bool> = change.kept.iter().zip(change.newly).map(|(k, n)| *k && !*n).collect();
    let rest = woodbury(&stays)?;
    // F_KQ contains no dampening: K and Q are disjoint.
    let mut right = whole.fisher_times(&chosen(change.weights));
    for (r, s) in right.iter_mut().zip(&stays) {
        *r = if *s { -*r } else { 0.0 };
    }
    let mut delta = rest.solve(&right);
    for (d, s) in delta.iter_mut().zip(&stays) {
        *d = if *s { *d } else { 0.0 };
    }
    Some(delta)
}

impl Change<'_> {
    /// The change of a range of the weights.
    pub fn of(&self, range: std::ops::Range<usize>) -> Change<'_> {
        let multipliers = self.multipliers.get(range.clone()).unwrap_or_default();
        Change {
            weights: &self.weights[range.clone()],
            kept: &self.kept[range.clone()],
            newly: &self.newly[range],
            multipliers,
        }
    }
}
