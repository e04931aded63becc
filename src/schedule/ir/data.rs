//! The model that a run starts from, and the data that it is trained and evaluated on.

use serde::{Deserialize, Serialize};

use crate::params::BertShape;
use crate::settings::choices;

/// The model that a run starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Model {
    /// A Hugging Face folder, or a name on the hub such as `bert-base-uncased`.
    Named(String),
    /// A new BERT of this shape with random weights; the size of its vocabulary comes from the data.
    NewBert(BertShape),
}

/// The data set, and how its texts become sequences of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Data {
    /// Extractive question answering on SQuAD v1.1 files in the `--data` folder.
    Squad {
        /// The longest sequence, in tokens.
        max_length: usize,
        /// Overlap of neighbouring windows of a long text, in tokens.
        doc_stride: usize,
        /// The longest answer that is predicted, in tokens.
        #[serde(default = "default_answer_length", skip_serializing_if = "is_default_answer_length")]
        max_answer_length: usize,
    },
    /// Extractive question answering on SQuAD v2.0 files, where some questions have no answer.
    SquadV2 {
        /// The longest sequence, in tokens.
        max_length: usize,
        /// Overlap of neighbouring windows of a long text, in tokens.
        doc_stride: usize,
        /// The longest answer that is predicted, in tokens.
        #[serde(default = "default_answer_length", skip_serializing_if = "is_default_answer_length")]
        max_answer_length: usize,
    },
    /// Natural language inference on the sentence pairs of MNLI.
    Mnli {
        /// The longest sequence, in tokens.
        max_length: usize,
    },
    /// Paraphrase detection on the question pairs of QQP.
    Qqp {
        /// The longest sequence, in tokens.
        max_length: usize,
    },
    /// Classification of texts or pairs of texts from named columns of a table.
    Classify(Columns),
    /// Token classification, such as named entities, of words with a tag each.
    ClassifyTokens(TaggedColumns),
    /// Regression: a score for each text or pair of texts.
    Regression(ScoreColumns),
    /// Reranking: whether a passage (`pair`) answers a query (`text`), by one output with a sigmoid.
    Rerank(ScoreColumns),
    /// Multi-label classification: any number of labels for each text or pair of texts.
    MultiLabel(MultiLabelColumns),
    /// Sentence embeddings, from scored pairs, pairs, triplets or plain texts.
    Embeddings(EmbeddingSettings),
    /// Texts for masked-language modelling.
    MaskedText {
        /// The length of a sequence, in tokens.
        max_length: usize,
    },
    /// A custom task's data, provided by the program that runs the schedule.
    Own,
    /// Generated extractive question answering, which needs no download.
    BuiltinReading {
        /// Training questions.
        train: usize,
        /// Questions of the dev set.
        dev: usize,
    },
}

/// `max_answer_length` of transformers' `run_qa.py`.
fn default_answer_length() -> usize {
    30
}

fn is_default_answer_length(length: &usize) -> bool {
    *length == default_answer_length()
}

/// The columns of a table of labelled texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The column of the text.
    pub text: String,
    /// The column of the second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The column of the label.
    pub label: String,
    /// The labels in the order of the model's outputs; if empty, those of the training data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The positive class of the F1 score. If `None`: the second of two labels, the mean over all of more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The longest sequence, in tokens.
    pub max_length: usize,
}

/// The columns of a table of words with tags. CoNLL files have none: their first column is the word, the last the tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedColumns {
    /// The column with the list of words.
    pub tokens: String,
    /// The column with the list of tags.
    pub tags: String,
    /// The tags in the order of the model's outputs; if empty, those of the training data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The longest sequence, in tokens.
    pub max_length: usize,
    /// Overlap of neighbouring windows of a long sentence, in tokens.
    pub doc_stride: usize,
}

/// The columns of a table of texts with scores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreColumns {
    /// The column of the text.
    pub text: String,
    /// The column of the second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The column of the score.
    pub score: String,
    /// The longest sequence, in tokens.
    pub max_length: usize,
}

/// The columns of a table of texts with any number of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiLabelColumns {
    /// The column of the text.
    pub text: String,
    /// The column of the second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The column with the list of labels.
    pub label: String,
    /// The columns of single labels, in place of a list; empty if there is a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The labels in the order of the model's outputs; if empty, those of the training data, or the columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The longest sequence, in tokens.
    pub max_length: usize,
}

/// The settings of sentence embeddings. The columns of the files say what their rows are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingSettings {
    /// The loss; if `None`, CoSENT of scored pairs, in-batch negatives of pairs and triplets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<EmbeddingLoss>,
    /// The factor of cosines in the loss.
    pub scale: f64,
    /// The pooling; if `None`, that of the model's folder, else the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Whether embeddings are normalized; if `None`, as in the model's folder, else they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// The longest sequence, in tokens.
    pub max_length: usize,
}

choices! {
    /// Losses of sentence embeddings.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum EmbeddingLoss {
        /// Pairs and triplets: in-batch negatives, cross-entropy over the texts of the batch with the text's partner as the correct class (`MultipleNegativesRankingLoss`).
        InBatch = "in_batch",
        /// Scored pairs: a ranking loss by which a pair with a higher score should have a higher cosine similarity (`CoSENTLoss`).
        Cosent = "cosent",
        /// Scored pairs: mean squared error between the cosine similarity and the score, which is in -1..1 (`CosineSimilarityLoss`).
        Cosine = "cosine",
    }
}

choices! {
    /// How an embedding is pooled from the last hidden states of a text's tokens.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Pooling {
        /// The mean over all tokens.
        Mean = "mean",
        /// The first token.
        Cls = "cls",
        /// The maximum over all tokens.
        Max = "max",
        /// The last token.
        Last = "last",
    }
}
