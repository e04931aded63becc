//! The surgeon with tensors of a device: gradients are summed, blocks factored and weights updated
//! where the gradients are. Only numbers for each weight come to the host, where weights are chosen.
//!
//! - [`estimate`]: gradients in, blocks of the Fisher matrix;
//! - [`product`]: `Σ g gᵀ` of a chunk, also where a device rounds what it multiplies;
//! - [`factor`]: Cholesky's factors of all blocks at once, and their inverses;
//! - [`pruner`]: saliencies and updates.
//!
//! It is written in Burn's operations, so it runs on every device, the CPU's tensors included. Left
//! to the host's own estimate are fewer gradients than a block has weights, saliencies that are
//! refreshed after every removal, and gradients in sixteen bits.

mod estimate;
mod factor;
mod product;
mod pruner;

pub use estimate::DeviceEstimate;
pub use pruner::{inverse_diagonal, score, update};
