//! What models are trained and measured on.
//!
//! - [`squad`]: questions and answers from SQuAD's JSON;
//! - [`builtin`]: generated reading comprehension in the same shape, for a bare machine;
//! - [`tokenize`]: WordPiece, from a model folder or made for the built-in data;
//! - [`features`]: long contexts cut into windows of tokens;
//! - [`sampler`]: which examples make which batch.

pub mod builtin;
pub mod features;
pub mod sampler;
pub mod squad;
pub mod tokenize;
