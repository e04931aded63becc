//! Exports a schedule as a SparseML recipe of the tagged form.
//!
//! Everything that SparseML cannot express is refused, in one list. [`modifiers`] writes each statement
//! as a modifier, [`select`] the parameters, [`quantize`] the quantization schemes, and [`text`] the YAML
//! with the types that PyYAML reads.

mod modifiers;
mod quantize;
mod select;
mod text;

use serde_yaml::Value;

use crate::diag::{Code, Diagnostic};
use crate::params::ParameterTable;
use crate::schedule::ir::{
    Batches, Columns, Data, EmbeddingSettings, Model, MultiLabelColumns, Precision, ScoreColumns, Stage,
    TaggedColumns, Train,
};
use crate::schedule::{Rational, Schedule, Time};

use text::{fields, number};

/// Diagnostics for what SparseML cannot express, in order.
#[derive(Debug, Default)]
struct Refusals {
    list: Vec<Diagnostic>,
}

impl Refusals {
    fn add(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        self.list.push(Diagnostic::unlocated(Code::NotExportable, what).help(instead));
    }
}

/// Writes a schedule as YAML for SparseML. `table` holds the parameters of its model, if they are known.
///
/// # Errors
/// One diagnostic for each part that SparseML cannot express.
pub fn export(schedule: &Schedule, table: Option<&ParameterTable>) -> Result<String, Vec<Diagnostic>> {
    let mut refusals = Refusals::default();
    let [stage] = schedule.stages.as_slice() else {
        let names: Vec<&str> = schedule.stages.iter().map(|s| s.name.as_str()).collect();
        refusals.add(
            format!("the recipe has {} stages: {}", names.len(), names.join(", ")),
            "a SparseML recipe has one time axis and keeps pruned weights at zero: export one recipe for each stage",
        );
        return Err(refusals.list);
    };
    whole_recipe(schedule, &mut refusals);
    train(&stage.train, &mut refusals);
    let length = match epochs(stage.length) {
        Some(length) if length > 0.0 && length.fract() == 0.0 => length,
        _ => {
            refusals.add(
                format!("the recipe is {} long", stage.length),
                "SparseML trains for whole epochs: write the length in epochs",
            );
            return Err(refusals.list);
        }
    };
    let groups = modifiers::groups(stage, length, table, &mut refusals);
    if !refusals.list.is_empty() {
        return Err(refusals.list);
    }
    let mut top = vec![("__metadata__", metadata(schedule, stage))];
    top.extend(groups);
    Ok(text::write(&fields(top)))
}

/// Refuses settings of the whole recipe.
fn whole_recipe(schedule: &Schedule, refusals: &mut Refusals) {
    if let Some(expectation) = schedule.expect.first() {
        refusals.add(
            format!("`expect` sets a bound for {}", expectation.metric),
            "SparseML does not check metrics; remove it for the export",
        );
    }
    if let Model::NewBert(_) = schedule.model {
        refusals.add(
            "the model is built from a configuration",
            "SparseML starts from a pretrained model: name its folder with `model:`",
        );
    }
}

/// Refuses settings of `train` that belong to the trainer in SparseML.
fn train(train: &Train, refusals: &mut Refusals) {
    let settings = [
        ("accumulate", train.accumulate != 1, train.accumulate.to_string()),
        ("beta1", train.beta1 != 0.9, train.beta1.to_string()),
        ("beta2", train.beta2 != 0.999, train.beta2.to_string()),
        ("epsilon", train.epsilon != 1e-8, train.epsilon.to_string()),
        ("clip", train.clip != 1.0, train.clip.to_string()),
        ("dropout", train.dropout.is_some(), train.dropout.unwrap_or_default().to_string()),
        ("label_smoothing", train.label_smoothing != 0.0, train.label_smoothing.to_string()),
        ("batches", train.batches != Batches::Shuffled, "bucketed".to_owned()),
        ("precision", train.precision != Precision::F32, "bf16".to_owned()),
    ];
    for (name, _, value) in settings.into_iter().filter(|(_, unusual, _)| *unusual) {
        refusals.add(
            format!("`train` sets {name}: {value}"),
            "in SparseML this is an argument of the trainer: remove it, and set it on the command line",
        );
    }
}

/// The `__metadata__`: settings that SparseML takes from the command line, for the import to read back.
fn metadata(schedule: &Schedule, stage: &Stage) -> Value {
    let mut list = Vec::new();
    if let Model::Named(name) = &schedule.model {
        list.push(("model", Value::from(name.as_str())));
    }
    list.push(("data", Value::from(data(&schedule.data))));
    list.push(("per_device_train_batch_size", Value::from(stage.train.batch as u64)));
    list.push(("seed", Value::from(schedule.seed)));
    fields(list)
}

/// The data as an `.obert` recipe writes it.
fn data(data: &Data) -> String {
    match data {
        Data::Squad { max_length, doc_stride, max_answer_length } => {
            format!("squad{}", windows(*max_length, *doc_stride, *max_answer_length))
        }
        Data::SquadV2 { max_length, doc_stride, max_answer_length } => {
            format!("squad_v2{}", windows(*max_length, *doc_stride, *max_answer_length))
        }
        Data::Mnli { max_length: 128 } => "mnli".into(),
        Data::Mnli { max_length } => format!("mnli(max_length: {max_length})"),
        Data::Qqp { max_length: 128 } => "qqp".into(),
        Data::Qqp { max_length } => format!("qqp(max_length: {max_length})"),
        Data::Classify(columns) => classify(columns),
        Data::ClassifyTokens(columns) => classify_tokens(columns),
        Data::Regression(columns) => {
            let ScoreColumns { text, pair, score, max_length } = columns;
            let pair = pair.as_ref().map_or(String::new(), |p| format!(", pair: \"{p}\""));
            format!("regression(text: \"{text}\"{pair}, score: \"{score}\", max_length: {max_length})")
        }
        Data::Rerank(ScoreColumns { text, pair, score, max_length }) => {
            let passage = pair.as_deref().unwrap_or_default();
            format!(
                "rerank(query: \"{text}\", passage: \"{passage}\", label: \"{score}\", max_length: {max_length})"
            )
        }
        Data::MultiLabel(columns) => multi_label(columns),
        Data::Embeddings(settings) => embeddings(settings),
        Data::MaskedText { max_length: 512 } => "masked_text".into(),
        Data::MaskedText { max_length } => format!("masked_text(max_length: {max_length})"),
        Data::Own => "own".into(),
        Data::BuiltinReading { train, dev } => format!("builtin_reading(train: {train}, dev: {dev})"),
    }
}

/// The settings of SQuAD's windows, without those that are the default.
fn windows(max_length: usize, doc_stride: usize, max_answer_length: usize) -> String {
    let mut settings = Vec::new();
    if (max_length, doc_stride) != (384, 128) {
        settings.push(format!("max_length: {max_length}, doc_stride: {doc_stride}"));
    }
    if max_answer_length != 30 {
        settings.push(format!("max_answer_length: {max_answer_length}"));
    }
    if settings.is_empty() { String::new() } else { format!("({})", settings.join(", ")) }
}

fn classify(columns: &Columns) -> String {
    let pair = columns.pair.as_ref().map_or(String::new(), |p| format!(", pair: \"{p}\""));
    let labels = match columns.labels.as_slice() {
        [] => String::new(),
        some => format!(", labels: [{}]", some.iter().map(|l| named(l)).collect::<Vec<_>>().join(", ")),
    };
    let positive = columns.positive.as_ref().map_or(String::new(), |p| format!(", positive: \"{p}\""));
    let Columns { text, label, max_length, .. } = columns;
    format!(
        "classify(text: \"{text}\"{pair}, label: \"{label}\"{labels}{positive}, max_length: {max_length})"
    )
}

fn classify_tokens(columns: &TaggedColumns) -> String {
    let TaggedColumns { tokens, tags, labels, max_length, doc_stride } = columns;
    let labels = match labels.as_slice() {
        [] => String::new(),
        some => format!(", labels: [{}]", some.iter().map(|l| named(l)).collect::<Vec<_>>().join(", ")),
    };
    format!(
        "classify_tokens(tokens: \"{tokens}\", tags: \"{tags}\"{labels}, max_length: {max_length}, doc_stride: {doc_stride})"
    )
}

fn multi_label(columns: &MultiLabelColumns) -> String {
    let MultiLabelColumns { text, pair, label, columns, labels, max_length } = columns;
    let pair = pair.as_ref().map_or(String::new(), |p| format!(", pair: \"{p}\""));
    let list = |name: &str, items: &[String]| match items {
        [] => String::new(),
        some => format!(", {name}: [{}]", some.iter().map(|l| named(l)).collect::<Vec<_>>().join(", ")),
    };
    let (columns, labels) = (list("columns", columns), list("labels", labels));
    format!(
        "multi_label(text: \"{text}\"{pair}, label: \"{label}\"{columns}{labels}, max_length: {max_length})"
    )
}

fn embeddings(settings: &EmbeddingSettings) -> String {
    let EmbeddingSettings { loss, scale, pooling, normalize, max_length } = settings;
    let loss = loss.map_or(String::new(), |loss| format!("loss: {}, ", loss.word()));
    let pooling = pooling.map_or(String::new(), |pooling| format!("pooling: {}, ", pooling.word()));
    let normalize = normalize.map_or(String::new(), |normalize| format!("normalize: {normalize}, "));
    format!("embeddings({loss}scale: {scale}, {pooling}{normalize}max_length: {max_length})")
}

/// A name as it is written in a list: a word, or a text.
fn named(label: &str) -> String {
    let begins = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match begins && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => label.to_owned(),
        false => format!("\"{label}\""),
    }
}

/// A time in epochs; `None` if it is in steps or no exact decimal.
fn epochs(time: Time) -> Option<f64> {
    let one = Time::epochs(Rational::ONE);
    let exact = if time.is_zero() { Rational::ZERO } else { time.ratio_to(one)? };
    let value = exact.to_f64();
    (Rational::from_decimal(&format!("{value}")) == Some(exact)).then_some(value)
}

/// A time in epochs as YAML, or a refusal that names it as `what`.
fn epochs_or_refuse(time: Time, what: &str, refusals: &mut Refusals) -> Value {
    match epochs(time) {
        Some(value) => number(value),
        None => {
            refusals.add(
                format!("{what} is {time}"),
                "SparseML has times in decimal epochs only: write it in epochs",
            );
            Value::Null
        }
    }
}
