//! Text to token ids and back: one implementation for training, evaluation and the runtime.
//!
//! ```text
//!  tokenizer files ─ folder ─▶ Tokenizer ─ encode ─▶ windows ─▶ model ─▶ start and end logits ─ spans ─▶ answers
//! ```
//!
//! - `tokenizer`: token ids, offsets and special tokens of a text; `template`: where special tokens are;
//! - `folder`: a tokenizer from the files of a model folder, read as `transformers` reads them;
//!   `settings`: the keys of `tokenizer_config.json`, each computed, ignored for a reason, or refused;
//! - `saved`: the same files written beside a new model;
//! - [`windows`]: sequences with special tokens; long contexts in overlapping windows; truncation;
//! - [`spans`]: the best answers of a window.

mod error;
mod folder;
mod saved;
mod settings;
pub mod spans;
mod template;
mod tokenizer;
pub mod windows;

pub use saved::FILES;
pub use tokenizer::{Encoded, Tokenizer};
