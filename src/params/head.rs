//! The task heads of a model.

/// The values of `problem_type` in `transformers`: one label of several, any number of labels, a score.
pub const PROBLEMS: [&str; 3] = ["single_label_classification", "multi_label_classification", "regression"];

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
    /// One output from the first token: a score (regression), as `problem_type: regression` or `num_labels: 1`.
    Regression,
    /// Multi-label classification: an independent logit for each label, as `problem_type: multi_label_classification`.
    MultiLabel {
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

impl Head {
    /// The number of outputs of a classifier of texts; `None` of another head.
    pub fn text_outputs(self) -> Option<usize> {
        match self {
            Head::Classification { labels } | Head::MultiLabel { labels } => Some(labels),
            Head::Regression => Some(1),
            _ => None,
        }
    }
}
