//! Settings of second-order pruning.

use serde::{Deserialize, Serialize};

use super::is_default;
use super::train::Precision;
use crate::settings::{MayRaise, Type, choices, settings};

settings! {
    /// Settings of second-order pruning with OBS (arXiv 2203.07259).
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Obs, each ObsEach {
        /// The number of gradients in an estimate of the Fisher matrix.
        gradients: usize = Type::Count, default "1024" formerly ["num_grads"];
        /// The number of consecutive weights in a Fisher block.
        block: usize = Type::Count, default "50" formerly ["fisher_block_size"];
        /// The dampening λ added to the Fisher matrix's diagonal. With `or raise`, λ is multiplied by ten, repeatedly
        /// if necessary (up to 1), until every block can be factored; without it, a block that cannot be factored is an
        /// error.
        damp: f64 = Type::Damp, default "1e-7" formerly ["dampening", "dampening_frac"];
        /// The number of examples whose mean loss gives one gradient.
        batch: usize = Type::Count, default "8" formerly ["batch_size", "grad_sampler_kwargs"];
        /// The number of Fisher estimates in a pruning event. The event prunes in as many parts; before each, the
        /// matrix is estimated again at the current weights.
        recompute: usize = Type::Count, default "1" formerly ["num_recomputations"];
        /// How the remaining weights compensate for the pruned ones: the OBS weight update.
        update: Update = Type::Choice(Update::CHOICES), default "exact";
        /// The maximum memory for an estimate of the Fisher matrix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<u64> = Type::Bytes, optional;
        /// The precision in which gradients are stored until they are accumulated into Fisher blocks.
        #[serde(default, skip_serializing_if = "is_default")]
        precision: Precision = Type::Choice(Precision::CHOICES), default "f32";
        /// Whether the saliencies of a Fisher block are recomputed after every weight pruned from it (CAP, arXiv 2210.09223).
        #[serde(default, skip_serializing_if = "is_default")]
        correlated: bool = Type::Bool, default "false";
        derived {
            /// Whether `damp` is raised, and reported, where a block cannot be factored.
            #[serde(default, skip_serializing_if = "is_default")]
            raise_damp: bool = damp via MayRaise;
        }
    }
}

/// The defaults of the declaration; a test compares them.
impl Default for Obs {
    fn default() -> Self {
        Obs {
            gradients: 1024,
            block: 50,
            damp: 1e-7,
            batch: 8,
            recompute: 1,
            update: Update::Exact,
            memory: None,
            precision: Precision::F32,
            correlated: false,
            raise_damp: false,
        }
    }
}

choices! {
    /// How the remaining weights compensate for the pruned ones.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Update {
        /// The sum of the updates for each pruned weight alone, as in the paper and SparseML.
        Independent = "independent",
        /// One update for all weights Q pruned from a Fisher block: `δw = −F⁻¹[:, Q] (F⁻¹[Q, Q])⁻¹ w[Q]`.
        Exact = "exact",
    }
}
