//! The data and the settings of an evaluation, from flags and from the settings saved with the model.

use super::settings::{DOC_STRIDE, MAX_ANSWER_LENGTH, OVERLAP, resolve, without_effect};
use crate::diag::{Code, Diagnostic};
use crate::params::BertConfig;
use crate::params::settings::{Settings, TaskName};
use crate::schedule::ir::{Columns, Data, EmbeddingSettings, MultiLabelColumns, ScoreColumns, TaggedColumns};

/// The task by `architectures` of `config.json`, the model class of `transformers`.
pub(super) fn of_class(config: &BertConfig) -> Settings {
    let class = config.architectures.first().map_or("", String::as_str);
    // `BertForMaskedLM`, `RobertaForMaskedLM` and so on.
    let task = match class.split_once("For").map_or("", |(_, task)| task) {
        // `BertModel`: an encoder without a head.
        "" if class.ends_with("Model") => Some(TaskName::Embeddings),
        "MaskedLM" | "PreTraining" => Some(TaskName::MaskedText),
        "SequenceClassification" => None,
        "TokenClassification" => Some(TaskName::ClassifyTokens),
        _ => Some(TaskName::Squad),
    };
    Settings { task, ..Settings::default() }
}

/// The data and the settings of an evaluation: the given settings, filled up with the known ones of the model.
///
/// # Errors
/// A diagnostic for everything that is missing or has no effect.
pub(super) fn of_eval(
    given: &Settings,
    known: Settings,
    has_data: bool,
    positions: usize,
) -> Result<(Data, Settings), Vec<Diagnostic>> {
    let mut settings = resolve(given, known);
    if has_data && settings.task == Some(TaskName::BuiltinReading) {
        // Generated data has SQuAD's format.
        settings.task = Some(TaskName::Squad);
    }
    let data = data(given, &settings, positions);
    let generated = matches!(data, Ok(Data::BuiltinReading { .. }));
    let no_data = (!has_data && !generated).then(|| {
        Diagnostic::unlocated(Code::FlagMissing, "the data to evaluate on is not given")
            .help("give the folder of its dev* files: `--data DIR`")
    });
    match (data, no_data) {
        (Ok(data), None) => Ok((data, settings)),
        (data, no_data) => Err(data.err().into_iter().flatten().chain(no_data).collect()),
    }
}

/// The data that settings describe. `positions` is the model's maximum sequence length.
///
/// # Errors
/// Everything that is missing, and everything given that has no effect on the task, together.
fn data(given: &Settings, settings: &Settings, positions: usize) -> Result<Data, Vec<Diagnostic>> {
    let Some(task) = settings.task else {
        let mut missing = vec![
            Diagnostic::unlocated(
                Code::FlagMissing,
                "the model classifies texts, and the format of its data is not known",
            )
            .help("say which: `--task mnli`, `--task qqp`, or `--task classify --text COLUMN`"),
        ];
        if given.text.is_none() && given.label.is_some() {
            missing.push(text_missing());
        }
        return Err(missing);
    };
    let mut wrong = without_effect(given, task);
    let length = |own: usize| settings.max_length.unwrap_or_else(|| own.min(positions));
    let max_length = length(384);
    let doc_stride = match given.doc_stride {
        Some(given) => given,
        // Each window must begin after the one before it.
        None => settings.doc_stride.unwrap_or(DOC_STRIDE).min(max_length / 2),
    };
    let max_answer_length = settings.max_answer_length.unwrap_or(MAX_ANSWER_LENGTH);
    let data = match task {
        TaskName::Squad => Data::Squad { max_length, doc_stride, max_answer_length },
        TaskName::SquadV2 => Data::SquadV2 { max_length, doc_stride, max_answer_length },
        TaskName::BuiltinReading => {
            let (train, dev) = settings.generated.unwrap_or_default();
            Data::BuiltinReading { train, dev }
        }
        TaskName::Mnli => Data::Mnli { max_length: length(128) },
        TaskName::Qqp => Data::Qqp { max_length: length(128) },
        TaskName::Regression | TaskName::MultiLabel if settings.text.is_none() => {
            wrong.push(text_missing());
            return Err(wrong);
        }
        TaskName::Regression => Data::Regression(ScoreColumns {
            text: settings.text.clone().unwrap_or_default(),
            pair: settings.pair.clone(),
            score: settings.label.clone().unwrap_or_else(|| "score".to_owned()),
            max_length: length(128),
        }),
        TaskName::Rerank => {
            let named =
                |column: &Option<String>, usual: &str| column.clone().unwrap_or_else(|| usual.to_owned());
            Data::Rerank(ScoreColumns {
                text: named(&settings.text, "query"),
                pair: Some(named(&settings.pair, "passage")),
                score: named(&settings.label, "label"),
                max_length: length(256),
            })
        }
        TaskName::MultiLabel => {
            let labels = settings.labels.clone().unwrap_or_default();
            // Labels without a column of lists have a column each.
            let columns = if settings.label.is_none() { labels } else { Vec::new() };
            Data::MultiLabel(MultiLabelColumns {
                text: settings.text.clone().unwrap_or_default(),
                pair: settings.pair.clone(),
                label: settings.label.clone().unwrap_or_else(|| "labels".to_owned()),
                columns,
                labels: given.labels.clone().filter(|_| settings.label.is_some()).unwrap_or_default(),
                max_length: length(128),
            })
        }
        TaskName::Embeddings => Data::Embeddings(EmbeddingSettings {
            loss: None,
            scale: 20.0,
            // `None`: pooling and normalization of the model's folder.
            pooling: None,
            normalize: None,
            max_length: length(128),
        }),
        TaskName::ClassifyTokens => {
            let max_length = length(128);
            let named =
                |column: &Option<String>, usual: &str| column.clone().unwrap_or_else(|| usual.to_owned());
            Data::ClassifyTokens(TaggedColumns {
                tokens: named(&settings.text, "tokens"),
                tags: named(&settings.label, "ner_tags"),
                labels: given.labels.clone().unwrap_or_default(),
                max_length,
                doc_stride: given
                    .doc_stride
                    .unwrap_or_else(|| settings.doc_stride.unwrap_or(OVERLAP).min(max_length / 2)),
            })
        }
        TaskName::MaskedText => Data::MaskedText { max_length: length(512) },
        TaskName::Classify => {
            if settings.text.is_none() {
                wrong.push(text_missing());
            }
            Data::Classify(Columns {
                text: settings.text.clone().unwrap_or_default(),
                pair: settings.pair.clone(),
                label: settings.label.clone().unwrap_or_else(|| "label".to_owned()),
                // Saved labels are the names in `config.json`, which are matched in any order.
                labels: given.labels.clone().unwrap_or_default(),
                // A saved positive label is one of the saved labels.
                positive: if given.labels.is_some() { &given.positive } else { &settings.positive }.clone(),
                max_length: length(128),
            })
        }
    };
    if wrong.is_empty() { Ok(data) } else { Err(wrong) }
}

fn text_missing() -> Diagnostic {
    Diagnostic::unlocated(Code::FlagMissing, "the column of the text is not given")
        .help("as `--task classify --text review --label sentiment`")
}
