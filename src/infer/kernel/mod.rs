//! The arithmetic of the runtime, written once for all instruction sets. Tokens lie in the lanes:
//! a tile of activations is `[features][groups]` of sixteen tokens each, so that everything but
//! attention stays within a tile, and nothing is ever transposed.
//!
//! - [`product`]: dense and block-sparse products, of floats and of bytes;
//! - [`affine`]: floats to bytes and back, with fixed or measured scales;
//! - [`curves`]: exp and GELU;
//! - [`norm`]: layer normalisation;
//! - [`attention`]: the attention of one head over one sequence.

pub mod affine;
pub mod attention;
pub mod curves;
pub mod norm;
pub mod product;
