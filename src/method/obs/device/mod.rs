//! The OBS pruner with tensors of a device: gradients are summed, blocks factored and updates computed on the
//! device that trains. Saliencies and updates are copied to the host, where weights are selected.
//!
//! - [`estimate`]: blocks of the Fisher matrix from gradients;
//! - [`product`]: `Σ g gᵀ` of a chunk of gradients, also on devices that multiply in TF32;
//! - [`factor`]: batched Cholesky factorization, and inverse factors;
//! - [`pruner`]: saliencies and updates.
//!
//! It uses Burn's tensor operations only, so that it runs on every backend. The CPU kernels are used instead for
//! fewer gradients than weights in a block, for saliencies that are refreshed after every pruned group, and for
//! bfloat16 gradients.

mod estimate;
mod factor;
mod product;
mod pruner;

pub use estimate::DeviceEstimate;
pub use pruner::{inverse_diagonal, score, update};
