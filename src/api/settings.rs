//! What a model was made with, from its folder and from what is given in its place.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::BertConfig;
use crate::params::settings::{Settings, TaskName};
use crate::schedule::Schedule;
use crate::schedule::ir::{Columns, Data};

/// The greatest number of tokens in an answer: `max_answer_length` of the Hugging Face scripts.
pub(crate) const MAX_ANSWER_LENGTH: usize = crate::text::spans::LONGEST_ANSWER;
/// The number of tokens by which windows overlap where nothing is said: `doc_stride` of the same scripts.
pub(crate) const DOC_STRIDE: usize = 128;

/// Those of a model that a run makes. `labels` are the labels of its data in order.
pub(super) fn of_run(data: &Data, seed: u64, config: &BertConfig, labels: Option<Vec<String>>) -> Settings {
    let mut settings = of_data(data, seed);
    settings.labels = labels.or(settings.labels);
    // Of two labels the second is the positive class.
    if let (Data::Classify(_), Some([_, second])) = (data, settings.labels.as_deref()) {
        settings.positive.get_or_insert_with(|| second.clone());
    }
    if let Data::BuiltinReading { .. } = data {
        settings.max_length = settings.max_length.map(|n| n.min(config.longest()));
    }
    settings
}

/// Those that a schedule says.
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
        Data::MaskedText { max_length } => {
            (settings.task, settings.max_length) = (Some(TaskName::MaskedText), Some(*max_length));
            // It decides which tokens of the dev set are masked.
            settings.seed = Some(seed);
        }
        Data::Own => {}
    }
    settings
}

/// Those that are saved with a model: in the directory of an engine file; in `obert.json` of a folder, else in the
/// schedule of the run that made it. `None` if nothing is.
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

/// What `config.json` says of the task: by the class that `transformers` would make.
pub(super) fn of_class(config: &BertConfig) -> Settings {
    let class = config.architectures.first().map_or("", String::as_str);
    // Of whatever family.
    let task = match class.split_once("For").map_or("", |(_, task)| task) {
        "MaskedLM" | "PreTraining" => Some(TaskName::MaskedText),
        "SequenceClassification" => None,
        _ => Some(TaskName::Squad),
    };
    Settings { task, ..Settings::default() }
}

/// What is given, and where it says nothing what was saved. Of what was saved for another task nothing is taken.
pub(crate) fn resolve(given: &Settings, saved: Settings) -> Settings {
    let other = |given: TaskName| {
        saved.task.is_some_and(|saved| saved != given && !(saved.finds_answers() && given.finds_answers()))
    };
    match given.task {
        Some(task) if other(task) => given.clone(),
        _ => given.clone().or(saved),
    }
}

/// The data and the settings of an evaluation: what is given, else what is known of the model. Everything that is
/// missing is reported together.
pub(super) fn of_eval(
    given: &Settings,
    known: Settings,
    has_data: bool,
    positions: usize,
) -> Result<(Data, Settings), Vec<Diagnostic>> {
    let mut settings = resolve(given, known);
    if has_data && settings.task == Some(TaskName::BuiltinReading) {
        // Generated data has the form of SQuAD's.
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

/// The data that settings describe. `positions` is the greatest number of tokens that the model reads.
///
/// # Errors
/// Everything that is missing, and everything given that has no effect on the task, together.
fn data(given: &Settings, settings: &Settings, positions: usize) -> Result<Data, Vec<Diagnostic>> {
    let Some(task) = settings.task else {
        let mut missing = vec![
            Diagnostic::unlocated(Code::FlagMissing, "the model classifies, and its data is not known")
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
        // A shorter length must still move on from window to window.
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
        TaskName::MaskedText => Data::MaskedText { max_length: length(512) },
        TaskName::Classify => {
            if settings.text.is_none() {
                wrong.push(text_missing());
            }
            Data::Classify(Columns {
                text: settings.text.clone().unwrap_or_default(),
                pair: settings.pair.clone(),
                label: settings.label.clone().unwrap_or_else(|| "label".to_owned()),
                // Those that were saved are the names in `config.json`, which are matched in any order.
                labels: given.labels.clone().unwrap_or_default(),
                // The one that was saved is among the labels that were saved.
                positive: if given.labels.is_some() { &given.positive } else { &settings.positive }.clone(),
                max_length: length(128),
            })
        }
    };
    if wrong.is_empty() { Ok(data) } else { Err(wrong) }
}

fn text_missing() -> Diagnostic {
    Diagnostic::unlocated(Code::FlagMissing, "`--task classify` needs the column of the text")
        .help("as `--task classify --text review --label sentiment`")
}

/// A diagnostic for each setting that is given and that a command does not use.
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

/// Flags that say nothing of this task.
pub(crate) fn without_effect(given: &Settings, task: TaskName) -> Vec<Diagnostic> {
    let columns = task == TaskName::Classify;
    let generated = task == TaskName::BuiltinReading;
    let windows = task.finds_answers() && !generated;
    let flags = [
        ("--max-length", given.max_length.is_some(), !generated, "other length than its own"),
        ("--doc-stride", given.doc_stride.is_some(), windows, "windows of long contexts"),
        ("--max-answer-length", given.max_answer_length.is_some(), task.finds_answers(), "answers"),
        ("--text", given.text.is_some(), columns, "named columns"),
        ("--pair", given.pair.is_some(), columns, "named columns"),
        ("--label", given.label.is_some(), columns, "named columns"),
        ("--labels", given.labels.is_some(), columns, "labels of its own"),
        ("--positive", given.positive.is_some(), columns, "labels of its own"),
    ];
    let idle = flags.into_iter().filter(|(_, given, applies, _)| *given && !applies);
    idle.map(|(flag, .., what)| {
        let message = format!("`{flag}` has no effect: `{}` has no {what}", task.name());
        Diagnostic::unlocated(Code::FlagHasNoEffect, message).help("leave it out")
    })
    .collect()
}
