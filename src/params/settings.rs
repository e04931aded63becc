//! `obert.json` of a model folder: the task and the settings of pre- and postprocessing that a model was trained with.
//!
//! `config.json` describes the model; this file has the lengths of sequences and answers, and the columns of the data. A
//! run writes it beside the weights, an export copies it, and a packed file contains it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::{Code, Diagnostic, Sources, Span};
use crate::files;

use super::json_places::offset_of;

/// The name of the file in a model's folder.
pub const FILE: &str = "obert.json";

/// The task and settings that a model was trained with. Unknown ones are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Settings {
    /// The kind of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// The greatest number of tokens in a sequence, special tokens included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The number of tokens by which neighbouring windows of a long context overlap: `stride` of the Hugging Face
    /// tokenizers, `doc_stride` of their scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_stride: Option<usize>,
    /// The greatest number of tokens in an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_answer_length: Option<usize>,
    /// The name of the column with the text, or with the words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The name of the column with the second text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// The name of the column with the label, with the tags, or with the score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The labels in the order of the model's outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The positive label of the metric `f1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The numbers of generated training and dev questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<(usize, usize)>,
    /// The seed of generated data, or of the masked tokens of the dev set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The prompts of a sentence-transformers folder by their names: texts that are put before a query or a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<BTreeMap<String, String>>,
}

/// A task, with the format of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskName {
    /// Extractive question answering: SQuAD v1.1.
    Squad,
    /// Extractive question answering with unanswerable questions: SQuAD v2.0.
    SquadV2,
    /// Classification of sentence pairs: MNLI.
    Mnli,
    /// Classification of question pairs: QQP.
    Qqp,
    /// Sequence classification of texts or pairs, from the columns of a table.
    Classify,
    /// Token classification of words, from CoNLL files or tables.
    ClassifyTokens,
    /// Regression on scores, from the columns of a table.
    Regression,
    /// Reranking of passages, from the columns of a table.
    Rerank,
    /// Multi-label classification, from the columns of a table.
    MultiLabel,
    /// Sentence embeddings.
    Embeddings,
    /// Masked language modelling.
    MaskedText,
    /// Extractive question answering on generated texts, without files.
    BuiltinReading,
}

impl Settings {
    /// Reads the file of a model folder; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or is malformed, with the position.
    pub fn read(folder: &Path, sources: &mut Sources) -> Result<Option<Settings>, Diagnostic> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                let message = format!("cannot read `{}`: {e}", path.display());
                return Err(Diagnostic::unlocated(Code::ModelNotReadable, message)
                    .help("may you read it? without it, give what the model was made with by flags"));
            }
        };
        serde_json::from_str(&text).map(Some).map_err(|e| {
            let file = sources.add(path.display().to_string(), text.clone());
            let at = offset_of(&text, e.line(), e.column());
            let span = Span::new(file, at..at + 1);
            Diagnostic::error(Code::ModelNotReadable, format!("`{FILE}` cannot be read"), span, e.to_string())
                .help("mend it, or remove it and give what the model was made with by flags")
        })
    }

    /// Writes the file into a model folder.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Diagnostic> {
        // Serialization of strings and numbers cannot fail.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        files::write_whole(&folder.join(FILE), format!("{text}\n").as_bytes())
    }

    /// These settings, with unknown ones taken from `other`.
    #[must_use]
    pub fn or(self, other: Settings) -> Settings {
        Settings {
            task: self.task.or(other.task),
            max_length: self.max_length.or(other.max_length),
            doc_stride: self.doc_stride.or(other.doc_stride),
            max_answer_length: self.max_answer_length.or(other.max_answer_length),
            text: self.text.or(other.text),
            pair: self.pair.or(other.pair),
            label: self.label.or(other.label),
            labels: self.labels.or(other.labels),
            positive: self.positive.or(other.positive),
            generated: self.generated.or(other.generated),
            seed: self.seed.or(other.seed),
            prompts: self.prompts.or(other.prompts),
        }
    }
}

impl TaskName {
    /// The name in `obert.json` and in recipes.
    pub fn name(self) -> &'static str {
        match self {
            TaskName::Squad => "squad",
            TaskName::SquadV2 => "squad_v2",
            TaskName::Mnli => "mnli",
            TaskName::Qqp => "qqp",
            TaskName::Classify => "classify",
            TaskName::ClassifyTokens => "classify_tokens",
            TaskName::Regression => "regression",
            TaskName::Rerank => "rerank",
            TaskName::MultiLabel => "multi_label",
            TaskName::Embeddings => "embeddings",
            TaskName::MaskedText => "masked_text",
            TaskName::BuiltinReading => "builtin_reading",
        }
    }

    /// Whether it is extractive question answering.
    pub fn finds_answers(self) -> bool {
        matches!(self, TaskName::Squad | TaskName::SquadV2 | TaskName::BuiltinReading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_unknown_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(folder.path(), &mut Sources::new()).unwrap(), None);
        let settings = Settings {
            task: Some(TaskName::SquadV2),
            max_length: Some(384),
            seed: Some(u64::MAX),
            ..Settings::default()
        };
        settings.write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(text.contains("\"squad_v2\"") && !text.contains("null"), "{text}");
        assert_eq!(Settings::read(folder.path(), &mut Sources::new()).unwrap(), Some(settings));
    }

    #[test]
    fn a_damaged_file_is_refused_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "{\n  \"max_length\": \"long\"\n}\n").unwrap();
        let mut sources = Sources::new();
        let error = Settings::read(folder.path(), &mut sources).unwrap_err();
        assert_eq!(sources.line_column(error.primary.unwrap().span).line, 2);
    }

    #[test]
    fn what_is_given_replaces_what_was_saved() {
        let given = Settings { max_length: Some(64), ..Settings::default() };
        let saved = Settings { max_length: Some(384), doc_stride: Some(128), ..Settings::default() };
        let both = given.or(saved);
        assert_eq!((both.max_length, both.doc_stride), (Some(64), Some(128)));
    }
}
