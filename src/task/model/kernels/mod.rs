//! The operations of a transformer block, fused for the CPU, each with its own backward pass.
//!
//! With autodiff Burn decomposes attention, layer normalization and dropout into elementary operations, most of
//! them single-threaded. On the CPU these kernels replace them: matrix products by the `gemm` crate, elementwise
//! work vectorized at run time (`pulp`), threads over rows or heads, and sums in a fixed order, so that results
//! are the same bit for bit with any number of threads. Tensors on other devices use Burn's operations; tests
//! compare both forms.
//!
//! - [`mod@linear`], [`activation`], [`norm`] (layer normalization with residual and dropout), [`attention`];
//! - [`attention_products()`]: attention with terms of positions and fake quantization; [`position_terms`]: those terms;
//! - [`rotate`]: rotary position embeddings; [`disentangled_terms`]: terms of content and relative position;
//! - [`fake_quant`]: fake quantization with the straight-through estimator;
//! - [`autocast`]: matrix products in bfloat16, on devices that support it;
//! - [`dropout`]: masks computed from a hash;
//! - [`op`]: custom operations in Burn's autodiff graph; [`gemm`], [`math`]: matrix products and scalar functions.

// `pulp::with_simd` needs explicit lifetimes.
#![allow(clippy::needless_lifetimes)]

mod activation;
pub mod attention;
pub mod attention_products;
pub mod autocast;
mod disentangled;
pub mod dropout;
pub mod fake_quant;
mod gemm;
mod linear;
mod math;
pub mod norm;
mod op;
pub mod position_terms;
mod rotary;

#[cfg(test)]
mod agreement_tests;

pub use activation::{activate, gated};
pub use attention::{Projections, Sequences, self_attention};
pub use attention_products::attention_products;
pub use disentangled::disentangled_terms;
pub use dropout::Dropout;
pub use fake_quant::{fake_quantize, ranges};
pub use linear::linear;
pub use norm::{NormParams, add_norm};
pub use op::{is_cpu, is_on_cpu};
pub use position_terms::{BucketedBias, Buckets, PositionTerms};
pub use rotary::{Rotation, rotate};
