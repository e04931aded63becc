//! The methods of compression. They compute on slices and tensors, and depend on no recipe, schedule or file.
//!
//! - [`mask`]: pruning masks, and the selection of the weights to prune;
//! - [`obs`]: the Optimal BERT Surgeon (arXiv 2203.07259), second-order pruning;
//! - [`criterion`]: magnitude and movement pruning;
//! - [`reconstruct`]: layer-wise least squares for the remaining weights;
//! - [`distill`]: losses of knowledge distillation;
//! - [`qat`]: fake quantization.

pub mod criterion;
pub mod distill;
pub mod mask;
pub mod obs;
pub mod qat;
pub mod reconstruct;
