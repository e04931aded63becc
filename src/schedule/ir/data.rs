//! The model that a run starts from, and the data that it is trained and evaluated on.

use serde::{Deserialize, Serialize};

use crate::params::BertShape;

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
