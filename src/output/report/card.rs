//! The model card: `README.md` of a Hugging Face folder.
//!
//! The fields of the front matter are those of <https://huggingface.co/docs/hub/model-cards>. Base model and data set
//! are only given if they came from the hub, by name or through its cache.

use std::collections::BTreeMap;

use serde::Serialize;

use super::overview::is_stand_in;
use super::record::Record;
use super::{origin, overview, source};
use crate::diag::counted;
use crate::output::numbers::{count, metric, percent, place, title};
use crate::schedule::ir::{Data, Model};

#[derive(Serialize)]
struct FrontMatter<'a> {
    library_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_tag: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_model: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datasets: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<&'static str>,
    tags: Vec<&'static str>,
    #[serde(rename = "model-index", skip_serializing_if = "Vec::is_empty")]
    model_index: Vec<Index<'a>>,
}

#[derive(Serialize)]
struct Index<'a> {
    name: &'a str,
    results: Vec<Results>,
}

#[derive(Serialize)]
struct Results {
    task: BTreeMap<&'static str, &'static str>,
    dataset: BTreeMap<&'static str, String>,
    metrics: Vec<Value>,
}

#[derive(Serialize)]
struct Value {
    r#type: &'static str,
    value: f64,
    name: String,
}

/// The hub's names for a task.
struct Task {
    pipeline: &'static str,
    class: &'static str,
    /// The configuration of `nyu-mll/glue`, and the split of a metric there.
    glue: Option<&'static str>,
}

fn task(data: &Data) -> Option<Task> {
    let question =
        || Task { pipeline: "question-answering", class: "AutoModelForQuestionAnswering", glue: None };
    let labels =
        |glue| Task { pipeline: "text-classification", class: "AutoModelForSequenceClassification", glue };
    Some(match data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => question(),
        Data::Mnli { .. } => labels(Some("mnli")),
        Data::Qqp { .. } => labels(Some("qqp")),
        Data::Classify(_) => labels(None),
        Data::Regression(_) | Data::MultiLabel(_) => labels(None),
        Data::Rerank(_) => Task { pipeline: "text-ranking", ..labels(None) },
        Data::Embeddings(_) => Task { pipeline: "sentence-similarity", class: "AutoModel", glue: None },
        Data::ClassifyTokens(_) => {
            Task { pipeline: "token-classification", class: "AutoModelForTokenClassification", glue: None }
        }
        Data::MaskedText { .. } => Task { pipeline: "fill-mask", class: "AutoModelForMaskedLM", glue: None },
        Data::Own => return None,
    })
}

/// Whether a model gives sentence embeddings.
fn is_sentence(task: Option<&Task>) -> bool {
    task.is_some_and(|task| task.pipeline == "sentence-similarity")
}

/// The text of README.md for a finished run.
pub fn card(record: &Record) -> String {
    let task = record.schedule.as_ref().and_then(|s| task(&s.data));
    let front = serde_yaml::to_string(&front_matter(record, task.as_ref())).unwrap_or_default();
    let mut text = format!("---\n{front}---\n\n# {}\n\n", record.name());
    if let Some(schedule) = record.schedule.as_ref().filter(|s| !s.doc.is_empty()) {
        text.push_str(&format!("{}\n\n", schedule.doc.trim()));
    }
    text.push_str(&origin_of(record));
    text.push_str(&usage(record, task.as_ref()));
    text.push_str(&results(record));
    text.push_str(&layers(record));
    if let Some(environment) = record.environment.as_ref().filter(|e| !e.recipe_text.is_empty()) {
        let fence = fence(&environment.recipe_text);
        let recipe = environment.recipe_text.trim_end();
        text.push_str(&format!("## Recipe\n\n{fence}text\n{recipe}\n{fence}\n\n"));
        text.push_str(&format!("```sh\n{}\n```\n\n", origin::command(environment)));
    }
    text.push_str(
        "Training curves, pruning events and the hardware are in `report.html`, every training step in \
         `run.jsonl`, the resolved schedule in `schedule.json`.\n",
    );
    text
}

fn front_matter<'a>(record: &'a Record, task: Option<&Task>) -> FrontMatter<'a> {
    let schedule = record.schedule.as_ref();
    let mut tags = vec!["obert"];
    let stages = || schedule.iter().flat_map(|s| s.without_branches());
    if stages().any(|s| !s.prune.is_empty()) {
        tags.extend(["pruning", "sparse"]);
    }
    if stages().any(|s| s.distill.is_some()) {
        tags.push("distillation");
    }
    if stages().any(|s| !s.quantize.is_empty()) {
        tags.push("quantization");
    }
    if is_sentence(task) {
        tags.extend(["sentence-transformers", "feature-extraction"]);
    }
    let measured = record.compressed();
    let mut metrics: Vec<&'static str> =
        measured.iter().flat_map(|e| e.metrics.keys()).filter_map(|name| hub_metric(name)).collect();
    metrics.dedup();
    let dataset = source::dataset(record);
    FrontMatter {
        library_name: if is_sentence(task) { "sentence-transformers" } else { "transformers" },
        pipeline_tag: task.map(|t| t.pipeline),
        base_model: source::base_model(record),
        datasets: dataset.clone().into_iter().collect(),
        metrics,
        tags,
        model_index: task.zip(dataset).map_or(Vec::new(), |(task, id)| model_index(record, task, id)),
    }
}

/// The metrics on a data set of the hub, by split. Empty for a run with `--limit-…`: metrics on a part of the data are
/// not results on the data set.
fn model_index<'a>(record: &'a Record, task: &Task, id: String) -> Vec<Index<'a>> {
    let whole = record.environment.iter().flat_map(|e| &e.command).all(|w| !w.starts_with("--limit-"));
    let Some(measured) = record.compressed().filter(|_| whole) else { return Vec::new() };
    let mut by_split: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    for (name, value) in &measured.metrics {
        let (Some(kind), Some(value)) = (hub_metric(name), value) else { continue };
        let split = match task.glue {
            Some("mnli") if name.ends_with("_mm") => "validation_mismatched",
            Some("mnli") => "validation_matched",
            _ => "validation",
        };
        let value = Value { r#type: kind, value: rounded(*value), name: title(name) };
        by_split.entry(split).or_default().push(value);
    }
    let results = by_split.into_iter().map(|(split, metrics)| {
        let mut dataset =
            BTreeMap::from([("name", id.clone()), ("type", id.clone()), ("split", split.to_owned())]);
        let config = task.glue.filter(|_| id == "nyu-mll/glue");
        dataset.extend(config.map(|c| ("config", c.to_owned())));
        Results { task: BTreeMap::from([("type", task.pipeline)]), dataset, metrics }
    });
    let results: Vec<Results> = results.collect();
    if results.is_empty() { Vec::new() } else { vec![Index { name: record.name(), results }] }
}

/// A metric's name on the hub; `None` if it has none.
fn hub_metric(name: &str) -> Option<&'static str> {
    match name {
        "em" => Some("exact_match"),
        "f1" => Some("f1"),
        "precision" => Some("precision"),
        "recall" => Some("recall"),
        "perplexity" => Some("perplexity"),
        "pearson" => Some("pearsonr"),
        "spearman" => Some("spearmanr"),
        "mse" => Some("mse"),
        "macro_f1" | "micro_f1" => Some("f1"),
        name if name.starts_with("accuracy") => Some("accuracy"),
        _ => None,
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn origin_of(record: &Record) -> String {
    let from = match (source::base_model(record), record.schedule.as_ref().map(|s| &s.model)) {
        (Some(id), _) => format!("`{id}`"),
        (None, Some(Model::NewBert(shape))) => {
            format!(
                "a randomly initialized BERT ({}, hidden size {}, {})",
                counted(shape.layers, "layer", "layers"),
                shape.hidden,
                counted(shape.heads, "head", "heads")
            )
        }
        (None, _) => "a local model".to_owned(),
    };
    let mut text = format!("Base model: {from}. Produced by obert {}", record.started.version);
    let sparsity = record.sparsity();
    if sparsity > 0.0 {
        text.push_str(&format!(": the pruned parameters are {} sparse", percent(sparsity)));
        if let Some((values, nonzero)) = record.end().and_then(|e| e.values.zip(e.nonzero)) {
            text.push_str(&format!("; {} of all {} parameters are nonzero", count(nonzero), count(values)));
        }
    }
    text.push_str(".\n\n");
    if is_stand_in(record) {
        text.push_str(
            "Trained and evaluated on synthetic data: these metrics say nothing about real data.\n\n",
        );
    }
    text
}

fn usage(record: &Record, task: Option<&Task>) -> String {
    let Some(Task { class, .. }) = task else { return String::new() };
    let mut text = if is_sentence(task) {
        "```python\nfrom sentence_transformers import SentenceTransformer\n\n\
         model = SentenceTransformer(\"path/to/this/folder\")\n\
         embeddings = model.encode([\"A text.\", \"Another one.\"])\n```\n\n\
         Weights are stored as dense float32, zeros included.\n\n"
            .to_owned()
    } else {
        format!(
            "```python\nfrom transformers import AutoTokenizer, {class}\n\n\
         model = {class}.from_pretrained(\"path/to/this/folder\")\n\
         tokenizer = AutoTokenizer.from_pretrained(\"path/to/this/folder\")\n```\n\n\
         Weights are stored as dense float32, zeros included.\n\n"
        )
    };
    if record.carried().any(|s| !s.quantizations.is_empty()) {
        text.push_str(
            "The metrics below are those of the quantized model, with the scales in `quantization.json`, which \
             `transformers` does not read: `obertc pack` writes the quantized model for other programs.\n\n",
        );
    }
    text
}

fn results(record: &Record) -> String {
    let Some(last) = record.compressed().filter(|e| !e.metrics.is_empty()) else { return String::new() };
    let dense = record.dense();
    let mut text = String::from("## Results\n\nOn the dev set of the run:\n\n");
    text.push_str("| | Dense | This model |\n|---|---:|---:|\n");
    for name in last.metrics.keys() {
        let shown = |e: Option<f64>| e.map_or("–".into(), |v| metric(name, v));
        let before = shown(dense.and_then(|d| d.metric(name)));
        text.push_str(&format!("| {} | {before} | {} |\n", title(name), shown(last.metric(name))));
    }
    if let Some((values, nonzero)) = record.end().and_then(|e| e.values.zip(e.nonzero)) {
        text.push_str(&format!("| Nonzero parameters | {} | {} |\n", count(values), count(nonzero)));
    }
    for [name, dense, packed] in overview::size_rows(record) {
        text.push_str(&format!("| {name} | {dense} | {packed} |\n"));
    }
    text + "\n"
}

/// The sparsity of each parameter that has zeros.
fn layers(record: &Record) -> String {
    let layers = record.end().map_or(&[][..], |e| &e.layers);
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for layer in layers.iter().filter(|l| l.zeros > 0) {
        let (row, column) = place(&layer.name);
        if !columns.contains(&column) {
            columns.push(column.clone());
        }
        if rows.last().is_none_or(|(name, _)| *name != row) {
            rows.push((row, BTreeMap::new()));
        }
        if let Some((_, cells)) = rows.last_mut() {
            cells.insert(column, percent(layer.share()));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("## Sparsity\n\n");
    text.push_str(&format!("| | {} |\n|---|{}\n", columns.join(" | "), "---:|".repeat(columns.len())));
    for (name, cells) in rows {
        let cell = |c: &String| cells.get(c).map_or("", String::as_str).to_owned();
        let cells: Vec<String> = columns.iter().map(cell).collect();
        text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
    }
    text + "\n"
}

/// A fence that is longer than any within the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(usize::max(3, longest + 1))
}
