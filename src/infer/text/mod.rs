//! From questions to answers, from texts to labels.
//!
//! - [`tokenizer`]: WordPiece, from a model folder or a packed file;
//! - [`windows`]: long contexts cut into overlapping windows;
//! - [`spans`]: the best answers of a window;
//! - [`predictor`]: requests in, answers or labels out.

pub mod predictor;
pub mod spans;
pub mod tokenizer;
pub mod windows;

pub use predictor::{Predictor, Request, Response};
