//! The settings of a saved model (task, lengths, columns, labels): those saved with it, and those given instead.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Sources};
#[cfg(feature = "engine")]
use crate::params::BertConfig;
use crate::params::settings::{Settings, TaskName};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, EmbeddingSettings, MultiLabelColumns, ScoreColumns, TaggedColumns};

/// Maximum number of tokens in an answer: `max_answer_length` of the Hugging Face scripts.
pub(crate) const MAX_ANSWER_LENGTH: usize = crate::text::spans::LONGEST_ANSWER;
/// The default overlap of windows in tokens: `doc_stride` of the same scripts.
pub(crate) const DOC_STRIDE: usize = 128;
/// The default overlap of windows of a long sentence in token classification.
#[cfg(feature = "engine")]
pub(crate) const OVERLAP: usize = 32;

/// The settings that are saved with the model of a run. `labels` are the labels of its data in order.
#[cfg(feature = "engine")]
pub(super) fn of_run(data: &Data, seed: u64, config: &BertConfig, labels: Option<Vec<String>>) -> Settings {
    let mut settings = of_data(data, seed);
    settings.labels = labels.or(settings.labels);
    // With two labels the second is the positive class.
    if let (Data::Classify(_), Some([_, second])) = (data, settings.labels.as_deref()) {
        settings.positive.get_or_insert_with(|| second.clone());
    }
    if let Data::BuiltinReading { .. } = data {
        settings.max_length = settings.max_length.map(|n| n.min(config.longest()));
    }
    settings
}

/// The settings of a schedule's data.
fn of_data(data: &Data, seed: u64) -> Settings {
    let mut settings = Settings::default();
    let answers = |settings: &mut Settings, task, max_length, doc_stride, longest| {
        settings.task = Some(task);
        settings.max_length = Some(max_length);
        settings.doc_stride = Some(doc_stride);
        settings.max_answer_length = Some(longest);
    };
    match data {
        Data::Squad { max_length, doc_stride, max_answer_length } => {
            answers(&mut settings, TaskName::Squad, *max_length, *doc_stride, *max_answer_length);
        }
        Data::SquadV2 { max_length, doc_stride, max_answer_length } => {
            answers(&mut settings, TaskName::SquadV2, *max_length, *doc_stride, *max_answer_length);
        }
        Data::BuiltinReading { train, dev } => {
            answers(&mut settings, TaskName::BuiltinReading, 128, 32, MAX_ANSWER_LENGTH);
            settings.generated = Some((*train, *dev));
            settings.seed = Some(seed);
        }
        Data::Mnli { max_length } => {
            (settings.task, settings.max_length) = (Some(TaskName::Mnli), Some(*max_length));
        }
        Data::Qqp { max_length } => {
            (settings.task, settings.max_length) = (Some(TaskName::Qqp), Some(*max_length));
        }
        Data::Classify(columns) => {
            (settings.task, settings.max_length) = (Some(TaskName::Classify), Some(columns.max_length));
            settings.text = Some(columns.text.clone());
            settings.pair = columns.pair.clone();
            settings.label = Some(columns.label.clone());
            settings.labels = (!columns.labels.is_empty()).then(|| columns.labels.clone());
            settings.positive = columns.positive.clone();
        }
        Data::Regression(ScoreColumns { text, pair, score, max_length }) => {
            (settings.task, settings.max_length) = (Some(TaskName::Regression), Some(*max_length));
            settings.text = Some(text.clone());
            settings.pair = pair.clone();
            settings.label = Some(score.clone());
        }
        Data::Rerank(ScoreColumns { text, pair, score, max_length }) => {
            (settings.task, settings.max_length) = (Some(TaskName::Rerank), Some(*max_length));
            settings.text = Some(text.clone());
            settings.pair = pair.clone();
            settings.label = Some(score.clone());
        }
        Data::MultiLabel(MultiLabelColumns { text, pair, label, columns, labels, max_length }) => {
            (settings.task, settings.max_length) = (Some(TaskName::MultiLabel), Some(*max_length));
            settings.text = Some(text.clone());
            settings.pair = pair.clone();
            // Without a column of lists, each label has a column.
            settings.label = columns.is_empty().then(|| label.clone());
            let labels = if columns.is_empty() { labels } else { columns };
            settings.labels = (!labels.is_empty()).then(|| labels.clone());
        }
        Data::Embeddings(EmbeddingSettings { max_length, .. }) => {
            (settings.task, settings.max_length) = (Some(TaskName::Embeddings), Some(*max_length));
        }
        Data::ClassifyTokens(TaggedColumns { tokens, tags, labels, max_length, doc_stride }) => {
            settings.task = Some(TaskName::ClassifyTokens);
            settings.max_length = Some(*max_length);
            settings.doc_stride = Some(*doc_stride);
            settings.text = Some(tokens.clone());
            settings.label = Some(tags.clone());
            settings.labels = (!labels.is_empty()).then(|| labels.clone());
        }
        Data::MaskedText { max_length } => {
            (settings.task, settings.max_length) = (Some(TaskName::MaskedText), Some(*max_length));
            // The seed selects which tokens of the dev set are masked.
            settings.seed = Some(seed);
        }
        Data::Own => {}
    }
    settings
}

/// The settings saved in a model's folder: `obert.json`, else `schedule.json` of the run that wrote it. `None` for a
/// file, and if the folder has neither.
pub(crate) fn saved(model: &Path, sources: &mut Sources) -> Result<Option<Settings>, Diagnostic> {
    if !model.is_dir() {
        return Ok(None);
    }
    if let Some(settings) = Settings::read(model, sources)? {
        return Ok(Some(settings));
    }
    let schedule = std::fs::read_to_string(model.join("schedule.json")).unwrap_or_default();
    let schedule = serde_json::from_str::<Schedule>(&schedule).ok();
    Ok(schedule.map(|schedule| of_data(&schedule.data, schedule.seed)))
}

/// The given settings, filled up with the saved ones unless these are for another task.
pub(crate) fn resolve(given: &Settings, saved: Settings) -> Settings {
    let other = |given: TaskName| {
        saved.task.is_some_and(|saved| saved != given && !(saved.finds_answers() && given.finds_answers()))
    };
    match given.task {
        Some(task) if other(task) => given.clone(),
        _ => given.clone().or(saved),
    }
}

/// A diagnostic for each given setting that a command does not use.
pub(crate) fn only(given: &Settings, used: &[&str], command: &str) -> Vec<Diagnostic> {
    let flags = [
        ("--task", given.task.is_some()),
        ("--text", given.text.is_some()),
        ("--pair", given.pair.is_some()),
        ("--label", given.label.is_some()),
        ("--labels", given.labels.is_some()),
        ("--positive", given.positive.is_some()),
        ("--max-length", given.max_length.is_some()),
        ("--doc-stride", given.doc_stride.is_some()),
        ("--max-answer-length", given.max_answer_length.is_some()),
    ];
    let idle = flags.into_iter().filter(|(flag, given)| *given && !used.contains(flag));
    idle.map(|(flag, _)| {
        let message = format!("`{flag}` has no effect on `{command}`");
        Diagnostic::unlocated(Code::FlagHasNoEffect, message).help("leave it out")
    })
    .collect()
}

/// A diagnostic for each given setting that has no effect on this task.
pub(crate) fn without_effect(given: &Settings, task: TaskName) -> Vec<Diagnostic> {
    let texts =
        matches!(task, TaskName::Classify | TaskName::Regression | TaskName::Rerank | TaskName::MultiLabel);
    let tokens = task == TaskName::ClassifyTokens;
    let columns = texts || tokens;
    let names = columns && !matches!(task, TaskName::Regression | TaskName::Rerank);
    let generated = task == TaskName::BuiltinReading;
    let windows = task.finds_answers() && !generated || tokens;
    let flags = [
        ("--max-length", given.max_length.is_some(), !generated, "other length than its own"),
        ("--doc-stride", given.doc_stride.is_some(), windows, "windows of long contexts"),
        ("--max-answer-length", given.max_answer_length.is_some(), task.finds_answers(), "answers"),
        ("--text", given.text.is_some(), columns, "named columns"),
        ("--pair", given.pair.is_some(), texts, "second text"),
        ("--label", given.label.is_some(), columns, "named columns"),
        ("--labels", given.labels.is_some(), names, "labels of its own"),
        ("--positive", given.positive.is_some(), task == TaskName::Classify, "positive label"),
    ];
    let idle = flags.into_iter().filter(|(_, given, applies, _)| *given && !applies);
    idle.map(|(flag, .., what)| {
        let message = format!("`{flag}` has no effect: `{}` has no {what}", task.name());
        Diagnostic::unlocated(Code::FlagHasNoEffect, message).help("leave it out")
    })
    .collect()
}
