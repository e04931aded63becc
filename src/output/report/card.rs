//! The model's README: what Hugging Face calls a model card.
//!
//! The fields of the front matter are those of <https://huggingface.co/docs/hub/model-cards>.

use std::collections::BTreeMap;

use serde::Serialize;

use super::overview::is_stand_in;
use super::record::Record;
use super::{origin, overview};
use crate::output::figures::{bytes, count, metric, percent, place, title};
use crate::schedule::ir::{Data, Model};

#[derive(Serialize)]
struct FrontMatter<'a> {
    library_name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_tag: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datasets: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<&'a str>,
    tags: Vec<&'static str>,
    #[serde(rename = "model-index", skip_serializing_if = "Vec::is_empty")]
    model_index: Vec<Index<'a>>,
}

#[derive(Serialize)]
struct Index<'a> {
    name: &'a str,
    results: Vec<Results<'a>>,
}

#[derive(Serialize)]
struct Results<'a> {
    task: BTreeMap<&'static str, &'static str>,
    dataset: BTreeMap<&'static str, &'static str>,
    metrics: Vec<Figure<'a>>,
}

#[derive(Serialize)]
struct Figure<'a> {
    r#type: &'a str,
    value: f64,
    name: String,
}

/// The data of a recipe in Hugging Face's words.
struct Known {
    pipeline: &'static str,
    class: &'static str,
    /// The data set's name for people, its name on the hub and its configuration there.
    published: Option<(&'static str, &'static str, Option<&'static str>)>,
}

fn known(data: &Data) -> Option<Known> {
    let question = |published| Known {
        pipeline: "question-answering",
        class: "AutoModelForQuestionAnswering",
        published,
    };
    let labels = |published| Known {
        pipeline: "text-classification",
        class: "AutoModelForSequenceClassification",
        published,
    };
    Some(match data {
        Data::Squad { .. } => question(Some(("SQuAD v1.1", "rajpurkar/squad", None))),
        Data::SquadV2 { .. } => question(Some(("SQuAD v2.0", "rajpurkar/squad_v2", None))),
        Data::BuiltinReading { .. } => question(None),
        Data::Mnli { .. } => labels(Some(("MNLI", "nyu-mll/glue", Some("mnli")))),
        Data::Qqp { .. } => labels(Some(("QQP", "nyu-mll/glue", Some("qqp")))),
        Data::Classify(_) => labels(None),
        Data::MaskedText { .. } => {
            Known { pipeline: "fill-mask", class: "AutoModelForMaskedLM", published: None }
        }
        Data::Own => return None,
    })
}

/// The text of README.md for a finished run.
pub fn card(record: &Record) -> String {
    let known = record.schedule.as_ref().and_then(|s| known(&s.data));
    let front = serde_yaml::to_string(&front_matter(record, known.as_ref())).unwrap_or_default();
    let mut text = format!("---\n{front}---\n\n# {}\n\n", record.name());
    if let Some(schedule) = record.schedule.as_ref().filter(|s| !s.doc.is_empty()) {
        text.push_str(&format!("{}\n\n", schedule.doc.trim()));
    }
    text.push_str(&origin_of(record));
    text.push_str(&usage(known.as_ref()));
    text.push_str(&results(record));
    text.push_str(&layers(record));
    if let Some(environment) = record.environment.as_ref().filter(|e| !e.recipe_text.is_empty()) {
        let fence = fence(&environment.recipe_text);
        let recipe = environment.recipe_text.trim_end();
        text.push_str(&format!("## Recipe\n\n{fence}text\n{recipe}\n{fence}\n\n"));
        text.push_str(&format!("```sh\n{}\n```\n\n", origin::command(environment)));
    }
    text.push_str(
        "Curves, events and the machine are in `report.html`, every step in `run.jsonl`, the resolved \
         schedule in `schedule.json`.\n",
    );
    text
}

fn front_matter<'a>(record: &'a Record, known: Option<&Known>) -> FrontMatter<'a> {
    let schedule = record.schedule.as_ref();
    let mut tags = vec!["obert"];
    let stages = || schedule.iter().flat_map(|s| s.carried());
    if stages().any(|s| !s.prune.is_empty()) {
        tags.extend(["pruning", "sparse"]);
    }
    if stages().any(|s| s.distill.is_some()) {
        tags.push("distillation");
    }
    if stages().any(|s| !s.quantize.is_empty()) {
        tags.push("quantization");
    }
    let base_model = schedule.and_then(|s| match &s.model {
        Model::Named(name) if is_hub_name(name) => Some(name.as_str()),
        _ => None,
    });
    // A part of the data is no result on the data set.
    let whole = record.environment.iter().flat_map(|e| &e.command).all(|w| !w.starts_with("--limit-"));
    let published = known.and_then(|k| Some((k, k.published?))).filter(|_| whole);
    let measured = record.compressed();
    let figures: Vec<Figure> = measured
        .iter()
        .flat_map(|e| &e.metrics)
        .filter_map(|(name, v)| {
            Some(Figure { r#type: hub_metric(name), value: rounded((*v)?), name: title(name) })
        })
        .collect();
    let model_index = match published {
        Some((known, (people, hub, config))) if !figures.is_empty() => {
            let task = BTreeMap::from([("type", known.pipeline)]);
            let mut dataset = BTreeMap::from([("name", people), ("type", hub)]);
            dataset.extend(config.map(|c| ("config", c)));
            vec![Index { name: record.name(), results: vec![Results { task, dataset, metrics: figures }] }]
        }
        _ => Vec::new(),
    };
    FrontMatter {
        library_name: "transformers",
        pipeline_tag: known.map(|k| k.pipeline),
        base_model,
        datasets: known.and_then(|k| k.published).map(|(_, hub, _)| hub).into_iter().collect(),
        metrics: measured.iter().flat_map(|e| e.metrics.keys()).map(|n| hub_metric(n)).collect(),
        tags,
        model_index,
    }
}

/// Whether a name can be one on the hub: `name` or `owner/name`, and no folder of this machine.
fn is_hub_name(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && p.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    name.split('/').count() <= 2 && name.split('/').all(part) && !std::path::Path::new(name).exists()
}

/// A metric's name on the hub.
fn hub_metric(name: &str) -> &str {
    if name == "em" { "exact_match" } else { name }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn origin_of(record: &Record) -> String {
    let from = match record.schedule.as_ref().map(|s| &s.model) {
        Some(Model::Named(name)) => format!("`{name}`"),
        Some(Model::NewBert(shape)) => {
            format!("a new BERT ({} layers, {} wide, {} heads)", shape.layers, shape.hidden, shape.heads)
        }
        None => "a model".to_owned(),
    };
    let mut text = format!("Made from {from} by obert {}", record.started.version);
    let sparsity = record.sparsity();
    if sparsity > 0.0 {
        text.push_str(&format!(": {} of the weights that were pruned are zero", percent(sparsity)));
        if let Some((values, nonzero)) = record.end().and_then(|e| e.values.zip(e.nonzero)) {
            text.push_str(&format!(", {} of all {} parameters are not", count(nonzero), count(values)));
        }
    }
    text.push_str(".\n\n");
    if is_stand_in(record) {
        text.push_str(
            "It was trained and measured on generated texts, a stand-in: its figures say nothing about other \
             data.\n\n",
        );
    }
    text
}

fn usage(known: Option<&Known>) -> String {
    let Some(Known { class, .. }) = known else { return String::new() };
    format!(
        "```python\nfrom transformers import AutoTokenizer, {class}\n\n\
         model = {class}.from_pretrained(\"path/to/this/folder\")\n\
         tokenizer = AutoTokenizer.from_pretrained(\"path/to/this/folder\")\n```\n\n\
         Weights are stored dense, with their zeros.\n\n"
    )
}

fn results(record: &Record) -> String {
    let Some(last) = record.compressed().filter(|e| !e.metrics.is_empty()) else { return String::new() };
    let dense = record.dense();
    let mut text = String::from("## Results\n\nOn the held-out data of the run:\n\n");
    text.push_str("| | Dense | This model |\n|---|---:|---:|\n");
    for name in last.metrics.keys() {
        let shown = |e: Option<f64>| e.map_or("–".into(), |v| metric(name, v));
        let before = shown(dense.and_then(|d| d.metric(name)));
        text.push_str(&format!("| {} | {before} | {} |\n", title(name), shown(last.metric(name))));
    }
    if let Some((values, nonzero)) = record.end().and_then(|e| e.values.zip(e.nonzero)) {
        text.push_str(&format!(
            "| Parameters that are not zero | {} | {} |\n",
            count(values),
            count(nonzero)
        ));
        text.push_str(&format!(
            "| Their bytes as float32 | {} | {} |\n",
            bytes(values * 4),
            bytes(nonzero * 4)
        ));
    }
    for [name, dense, packed] in overview::size_rows(record) {
        text.push_str(&format!("| {name} | {dense} | {packed} |\n"));
    }
    text + "\n"
}

/// The share of zeros of each parameter that has any.
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
