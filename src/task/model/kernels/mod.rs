//! The operations of a transformer block, fused for the CPU, each with its own backward pass.
//!
//! Burn decomposes attention, layer normalisation and dropout under autodiff into elementary
//! operations, most of them on one thread. On the CPU these run instead: a matrix product through
//! `gemm` with all that belongs to it in the same pass, vectorised for the machine at run time
//! (`pulp`), threads over rows or heads, sums in a fixed order so that results repeat bit for bit.
//! Tensors on other devices take the plain form in Burn's operations, to which tests hold these.
//!
//! - [`mod@linear`], [`mod@gelu`], [`norm`] (with residual and dropout), [`attention`];
//! - [`fake_quant`] and [`rounded_attention()`]: the same with rounded values;
//! - [`autocast`]: products in bfloat16, on devices that have it;
//! - [`dropout`]: a hash in place of stored masks;
//! - [`op`]: how an own operation enters Burn's graph; [`gemm`], [`math`]: what they compute with.

// `pulp::with_simd` needs its lifetimes spelt out.
#![allow(clippy::needless_lifetimes)]

pub mod attention;
pub mod autocast;
pub mod dropout;
pub mod fake_quant;
mod gelu;
mod gemm;
mod linear;
mod math;
pub mod norm;
mod op;
pub mod rounded_attention;

#[cfg(test)]
mod checks;

pub use attention::{Projections, Sequences, self_attention};
pub use dropout::Dropout;
pub use fake_quant::{fake_quantize, ranges};
pub use gelu::gelu;
pub use linear::linear;
pub use norm::{NormParams, add_norm};
pub use op::is_on_cpu;
pub use rounded_attention::rounded_attention;
