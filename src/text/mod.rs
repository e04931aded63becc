//! Tokenization: text to token ids, and answer spans back to text; one implementation for training, evaluation and the
//! runtime.
//!
//! ```text
//!  tokenizer files ─ folder ─▶ Tokenizer ─ encode ─▶ windows ─▶ model ─▶ start and end logits ─ spans ─▶ answers
//! ```
//!
//! - `tokenizer`: token ids, offsets and special tokens of a text; `template`: the positions of special tokens;
//! - `folder`: a tokenizer from a model folder, from `tokenizer_json` or a `vocabulary`, as `transformers` reads it;
//!   `settings`: the keys of `tokenizer_config.json`, some of them `restricted`; `class`: tokenizer classes;
//! - `saved`: the tokenizer's files, saved with a new model;
//! - [`windows`]: sequences with special tokens; truncation, and overlapping windows of long contexts;
//! - [`spans`]: the best answer spans of a window.

mod class;
mod error;
mod folder;
mod restricted;
mod saved;
mod settings;
pub mod spans;
mod template;
mod tokenizer;
mod tokenizer_json;
mod vocabulary;
pub mod windows;

pub use saved::FILES;
pub use tokenizer::{Encoded, Tokenizer};
