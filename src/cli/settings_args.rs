//! The flags that override settings saved with a model, the same in every command that uses a saved model.

use clap::{Args, ValueEnum};

use crate::params::settings::{self, Settings};

/// Settings saved with a model in `obert.json`, and overridden by these flags.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Override settings saved with the model")]
pub struct SettingsArgs {
    /// The task [default: the model's]
    #[arg(long, value_enum, value_name = "TASK")]
    task: Option<TaskName>,
    /// The column of the text (classify, regression, multi-label), the words (classify-tokens) or the query (rerank)
    /// [default: the model's, or `tokens` for classify-tokens, `query` for rerank]
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of the second text (classify, regression, multi-label) or the passage (rerank) [default: the model's,
    /// or `passage` for rerank]
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the target: the label (classify), the tags (classify-tokens), the score (regression), the
    /// relevance (rerank) or the list of labels (multi-label) [default: the model's, or `label`, `ner_tags`, `score`,
    /// `label`, `labels`]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The labels in the order of the model's outputs (classify, classify-tokens, multi-label); for multi-label without
    /// `--label`, also the names of the columns, one for each label
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// The positive label of F1 (classify) [default: the model's, or the second of two, else macro F1 over all labels]
    #[arg(long, value_name = "LABEL")]
    positive: Option<String>,
    /// Maximum sequence length in tokens [default: the model's, or 384 for SQuAD, 256 for rerank, 512 for masked text,
    /// 128 for the other tasks]
    #[arg(long, alias = "max-seq-len", value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_length: Option<u64>,
    /// Overlap of neighbouring windows of a long context in tokens [default: the model's, or 128 for SQuAD and 32 for
    /// classify-tokens, at most half of the maximum sequence length]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    doc_stride: Option<u64>,
    /// Maximum answer length in tokens [default: the model's, or 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_answer_length: Option<u64>,
}

/// A task by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// Extractive question answering, SQuAD v1.1
    Squad,
    /// Extractive question answering with unanswerable questions, SQuAD v2.0
    SquadV2,
    /// Sentence pairs of MNLI
    Mnli,
    /// Question pairs of QQP
    Qqp,
    /// Sequence classification from named columns
    Classify,
    /// Token classification of words with a tag each
    ClassifyTokens,
    /// Regression on scores from named columns
    Regression,
    /// Reranking of passages from named columns
    Rerank,
    /// Multi-label classification from named columns
    MultiLabel,
    /// Sentence embeddings
    Embeddings,
    /// Masked language modeling
    MaskedText,
}

impl From<TaskName> for settings::TaskName {
    fn from(name: TaskName) -> settings::TaskName {
        match name {
            TaskName::Squad => settings::TaskName::Squad,
            TaskName::SquadV2 => settings::TaskName::SquadV2,
            TaskName::Mnli => settings::TaskName::Mnli,
            TaskName::Qqp => settings::TaskName::Qqp,
            TaskName::Classify => settings::TaskName::Classify,
            TaskName::ClassifyTokens => settings::TaskName::ClassifyTokens,
            TaskName::Regression => settings::TaskName::Regression,
            TaskName::Rerank => settings::TaskName::Rerank,
            TaskName::MultiLabel => settings::TaskName::MultiLabel,
            TaskName::Embeddings => settings::TaskName::Embeddings,
            TaskName::MaskedText => settings::TaskName::MaskedText,
        }
    }
}

impl SettingsArgs {
    /// The settings that were given.
    pub fn settings(&self) -> Settings {
        let number = |given: Option<u64>| given.map(|n| n as usize);
        Settings {
            task: self.task.map(Into::into),
            text: self.text.clone(),
            pair: self.pair.clone(),
            label: self.label.clone(),
            labels: self.labels.clone(),
            positive: self.positive.clone(),
            max_length: number(self.max_length),
            doc_stride: number(self.doc_stride),
            max_answer_length: number(self.max_answer_length),
            ..Settings::default()
        }
    }
}
