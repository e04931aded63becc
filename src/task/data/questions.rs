//! Questions about texts, with their answers.

use std::sync::Arc;

/// A question about a text, with its reference answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The data set's identity of it.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text that holds the answer.
    pub context: Arc<str>,
    /// The reference answers; training uses the first. None if the text does not answer it.
    pub answers: Vec<Answer>,
}

/// A reference answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Where it begins in the context, in bytes; the context's length if it is nowhere in it, which only a
    /// held-out question's may be.
    pub start: usize,
}

/// The splits of a data set.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// To train on.
    pub train: Vec<Question>,
    /// To evaluate on.
    pub dev: Vec<Question>,
}

/// Which SQuAD it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// v1.1: every question has an answer.
    One,
    /// v2.0: some have none.
    Two,
}
