//! The task heads of a model.

/// The task head on top of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Extractive question answering: a start and an end logit for each token.
    QuestionAnswering,
    /// Sequence classification: a logit for each label, from the first token.
    Classification {
        /// The number of labels.
        labels: usize,
    },
    /// Token classification: a logit for each token and label.
    TokenClassification {
        /// The number of labels.
        labels: usize,
    },
    /// No head: an embedding is pooled from the last hidden states.
    Embedding,
    /// Masked language modelling: for each token a logit for each entry of the vocabulary.
    MaskedLanguageModel,
}
