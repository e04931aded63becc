//! The runtime: BERT-like encoders with sparse weights and products of bytes, on CPUs.
//!
//! ```text
//!  model folder ─ pack ─▶ file (one packed file, mapped) ─ model ─▶ Session ─▶ logits ─ text ─▶ answers
//!                                                            │
//!                                                         kernel ─ simd
//! ```
//!
//! It knows no recipe, no schedule and no training; a folder in the Hugging Face layout is all it reads.
//!
//! - [`pack`]: a model folder, or a random model of some shape, as a packed model;
//! - [`file`]: the packed file;
//! - [`model`]: the forward pass, with memory planned once;
//! - [`kernel`]: its arithmetic, written once for all instruction sets;
//! - [`simd`]: sixteen lanes on AVX-512 VNNI, AVX-VNNI, AVX2, NEON and in plain Rust;
//! - [`text`]: from questions to answers, from texts to labels.

pub mod file;
pub mod kernel;
pub mod model;
pub mod pack;
pub mod simd;
pub mod text;

pub use pack::{Precision, open};
pub use model::{Limits, Model, Refusal, Sequence, Session};
