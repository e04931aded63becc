//! Questions of extractive question answering, with their reference answers.

use std::sync::Arc;

/// A question about a context, with its reference answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The id in the data set.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text that contains the answer.
    pub context: Arc<str>,
    /// The reference answers, of which training uses the first; empty if the context does not answer the question.
    pub answers: Vec<Answer>,
}

/// A reference answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Its first byte in the context. The context's length if it does not occur there, which only dev questions
    /// allow.
    pub start: usize,
}

/// The splits of a data set.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// The training set.
    pub train: Vec<Question>,
    /// The dev set.
    pub dev: Vec<Question>,
}

/// The version of SQuAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// v1.1: every question has an answer.
    One,
    /// v2.0: some questions have no answer.
    Two,
}
