//! What is wrong with a tokenizer's file.

use std::path::Path;

use crate::diag::{Code, Diagnostic};

/// A file that is no tokenizer.
pub(super) fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::TokenizerNotReadable, format!("cannot use `{}`: {why}", path.display()))
        .help("a tokenizer is WordPiece with [CLS] and [SEP], or byte-level BPE or Unigram with <s> and </s>")
}
