//! How the weights that stay make up for those that go.

use super::fisher::Fisher;
use super::lanes::{BlockBatch, LANES, Lane, ZERO, gather, scatter};
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// What happens to a parameter's weights: for each weight.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// As they are.
    pub weights: &'a [f32],
    /// Not pruned before.
    pub kept: &'a [bool],
    /// Pruned now.
    pub newly: &'a [bool],
    /// The multipliers of every weight, for the independent update.
    pub multipliers: &'a [f32],
}

/// Memory for a group of blocks, used again and again by one thread.
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

    /// δ of sixteen blocks from `first` on, to be subtracted from the weights. Returns for each lane
    /// whether it could be factored.
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

    /// The paper's: every removed weight (or group) moves the others as if it were removed alone,
    /// `δ = F⁻¹ v` with v the multipliers of what is removed.
    fn independent(&mut self, damp: f32) -> [bool; LANES] {
        self.batch.restrict(&self.kept, damp);
        let sound = self.batch.factor();
        self.batch.solve(&mut self.result);
        sound
    }

    /// The joint update of all weights Q removed from a block: `δ_K = -F_KK⁻¹ F_KQ w_Q`, the minimum
    /// of the quadratic form over the weights K that stay.
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

/// δ of a block that is known by its gradients or its root, in double precision: `woodbury` gives the
/// block restricted to some weights. `change` is the block's alone. `None` if it cannot be factored.
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
    // F_KQ has no damp: K and Q are disjoint.
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
    /// Of some of the weights.
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
