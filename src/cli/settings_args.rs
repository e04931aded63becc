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
    /// The column of the text, for `--task classify`, `regression` and `multi-label`; of the words, for
    /// `classify-tokens`
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of the second text, for `--task classify`, `regression` and `multi-label`
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label, for `--task classify` [default: the model's, or label]; of the tags, for
    /// `classify-tokens`; of the score, for `regression`; of the list of labels, for `multi-label`
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The labels in the order of the model's outputs, for `--task classify`, `classify-tokens` and
    /// `multi-label`; without `--label`, the columns of `multi-label`
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// The positive label of F1, for `--task classify` [default: the model's, or the second of two, else macro F1
    /// over all labels]
    #[arg(long, value_name = "LABEL")]
    positive: Option<String>,
    /// Maximum sequence length in tokens [default: the model's, or 384 for SQuAD, 128 for classification,
    /// 512 for masked text]
    #[arg(long, alias = "max-seq-len", value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_length: Option<u64>,
    /// Overlap of neighbouring windows of a long context in tokens [default: the model's, or 128, at most half
    /// of the maximum sequence length]
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
    /// Masked-language modelling
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
