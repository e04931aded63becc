//! The error of a tokenizer's file.

use std::path::Path;

use crate::diag::{Code, Diagnostic};

/// The error of a file that is no supported tokenizer.
pub(super) fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::TokenizerNotReadable, format!("cannot use `{}`: {why}", path.display()))
        .help("a tokenizer is WordPiece with [CLS] and [SEP], or byte-level BPE or Unigram with <s> and </s>")
}
