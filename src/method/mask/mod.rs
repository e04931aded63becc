//! Which weights stay: those of a [`rank`] among groups of weights ([`grouping`]), over several
//! parameters at once ([`select`]).

pub mod grouping;
pub mod rank;
pub mod select;

/// A mask over one parameter in the Hugging Face layout: `true` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    kept: Vec<bool>,
}

impl Mask {
    /// Everything stays.
    pub fn ones(count: usize) -> Self {
        Mask { kept: vec![true; count] }
    }

    /// What is not zero stays.
    pub fn of_nonzeros(weights: &[f32]) -> Self {
        Mask { kept: weights.iter().map(|w| *w != 0.0).collect() }
    }

    /// A mask of the given bits.
    pub fn new(kept: Vec<bool>) -> Self {
        Mask { kept }
    }

    /// Weight by weight.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// Weights in all.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are no weights at all.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Weights that are pruned.
    pub fn pruned(&self) -> usize {
        self.kept.iter().filter(|k| !**k).count()
    }

    /// The share that is pruned, `0..=1`.
    pub fn sparsity(&self) -> f64 {
        self.pruned() as f64 / self.len().max(1) as f64
    }

    /// Sets what is pruned to exact zero.
    pub fn apply(&self, weights: &mut [f32]) {
        for (w, kept) in weights.iter_mut().zip(&self.kept) {
            if !kept {
                *w = 0.0;
            }
        }
    }

    /// Prunes one more weight.
    pub fn prune(&mut self, index: usize) {
        self.kept[index] = false;
    }
}
