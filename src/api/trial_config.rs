//! The inputs of one-shot pruning trials.

use std::path::PathBuf;

use super::recipe::{Recipe, RecipeOptions};

/// What [`oneshot`](crate::oneshot) and [`sweep`](crate::sweep) prune, and what they evaluate it on.
///
/// The parameters, pattern, ranking and OBS settings are those of the recipe's first `prune` statement with
/// `by: obs`, else of its first `prune` statement; the statement's window and sparsity are ignored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrialConfig {
    /// The recipe.
    pub recipe: Recipe,
    /// Values of the recipe's parameters, and the model that is pruned in place of the recipe's.
    pub options: RecipeOptions,
    /// The sparsities, as `50%,70%`.
    pub sparsities: String,
    /// The folder of data files, or the file of the training data.
    pub data: Option<PathBuf>,
    /// The dev file or folder, in place of that in [`data`](TrialConfig::data).
    pub dev: Option<PathBuf>,
    /// Whether rows that cannot be used are left out.
    pub skip_bad: bool,
    /// Whether the network is not used: the model is a folder or cached.
    pub offline: bool,
    /// The device: `cpu`, `wgpu` or `cuda`.
    pub device: String,
    /// The seed, in place of the recipe's.
    pub seed: Option<u64>,
    /// Maximum number of examples for gradients, and for evaluation.
    pub limit_examples: Option<usize>,
    /// Maximum sequence length in tokens, in place of the recipe's.
    pub max_length: Option<usize>,
}

impl TrialConfig {
    /// Trials of a recipe at these sparsities, as `obertc oneshot RECIPE --at SPARSITIES` prunes.
    pub fn new(recipe: Recipe, sparsities: impl Into<String>) -> Self {
        TrialConfig {
            recipe,
            options: RecipeOptions::default(),
            sparsities: sparsities.into(),
            data: None,
            dev: None,
            skip_bad: false,
            offline: false,
            device: "cpu".to_owned(),
            seed: None,
            limit_examples: None,
            max_length: None,
        }
    }
}
