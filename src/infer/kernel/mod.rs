//! The kernels of the runtime, written once for all instruction sets.
//!
//! Activations are stored as tiles `[features][groups]`, where a group is one vector with sixteen tokens in its lanes. All
//! layers but attention work within a tile, and no activation is transposed.
//!
//! - [`product`]: dense and block-sparse products, in float32 and int8;
//! - [`quantize`]: static and dynamic quantization of activations to int8;
//! - [`rows`]: the rows of a group of tokens in a tile;
//! - [`activation`]: exp, GELU, SiLU and ReLU;
//! - [`norm`]: layer normalization;
//! - [`attention`]: the attention of one head over one sequence.

pub mod activation;
pub mod attention;
pub mod norm;
pub mod product;
pub mod quantize;
pub mod rows;
