//! Pruning masks, and the selection of the weights to prune: groups of weights ([`grouping`]) are ranked by their
//! scores ([`rank`]), in each parameter or over several ([`select`]).

pub mod allocation;
pub mod grouping;
pub mod rank;
pub mod select;

/// The pruning mask of one parameter, `[count]` in the Hugging Face layout; `true` for remaining weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    kept: Vec<bool>,
}

impl Mask {
    /// A mask without pruned weights.
    pub fn ones(count: usize) -> Self {
        Mask { kept: vec![true; count] }
    }

    /// The mask of weights that are pruned already: those that are zero.
    pub fn of_nonzeros(weights: &[f32]) -> Self {
        Mask { kept: weights.iter().map(|w| *w != 0.0).collect() }
    }

    /// A mask of the given elements.
    pub fn new(kept: Vec<bool>) -> Self {
        Mask { kept }
    }

    /// For each weight whether it remains.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// The number of weights.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are no weights.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The number of pruned weights.
    pub fn pruned(&self) -> usize {
        self.kept.iter().filter(|k| !**k).count()
    }

    /// The fraction of pruned weights, in 0..=1.
    pub fn sparsity(&self) -> f64 {
        self.pruned() as f64 / self.len().max(1) as f64
    }

    /// Sets pruned weights to zero.
    pub fn apply(&self, weights: &mut [f32]) {
        for (w, kept) in weights.iter_mut().zip(&self.kept) {
            if !kept {
                *w = 0.0;
            }
        }
    }

    /// Prunes the weight of an index.
    pub fn prune(&mut self, index: usize) {
        self.kept[index] = false;
    }
}
