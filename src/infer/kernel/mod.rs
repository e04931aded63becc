//! The kernels of the runtime, written once for all instruction sets.
//!
//! Activations are stored as tiles `[features][groups]`, where a group is one vector with sixteen tokens in its lanes. All
//! layers but attention work within a tile, and no activation is transposed.
//!
//! - [`product`]: dense and block-sparse products, of floats and of bytes;
//! - [`quantize`]: floats to bytes and back, with fixed or measured scales;
//! - [`activation`]: exp and GELU;
//! - [`norm`]: layer normalisation;
//! - [`attention`]: the attention of one head over one sequence.

pub mod activation;
pub mod attention;
pub mod norm;
pub mod product;
pub mod quantize;
