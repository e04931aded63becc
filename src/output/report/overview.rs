//! The first part of the page: state of the run, metrics, sizes and times.

use super::html::{escaped, table};
use super::record::{Record, StageRecord, State};
use crate::output::numbers::{bytes, count, duration, metric, percent, title};
use crate::output::sizes::{Size, Sizes, Storage};
use crate::runlog::Evaluated;
use crate::schedule::ir::Data;

/// The recipe's name and documentation, and the state of the run.
pub fn head(record: &Record) -> String {
    let (class, state) = match record.state {
        State::Finished => ("finished", "finished"),
        State::Failed => ("failed", "failed"),
        State::Unfinished => ("unfinished", "not finished"),
    };
    let mut text = format!(
        "<header><h1>{}</h1><span class=\"state {class}\">{state}</span></header>\n",
        escaped(record.name())
    );
    if let Some(schedule) = record.schedule.as_ref().filter(|s| !s.doc.is_empty()) {
        text.push_str(&format!("<p class=\"doc\">{}</p>\n", escaped(&schedule.doc)));
    }
    if let Some(failure) = &record.failure {
        let (code, message) = (escaped(&failure.code), escaped(&failure.message));
        text.push_str(&format!("<p class=\"failure\"><b>{code}</b> {message}</p>\n"));
    }
    if is_stand_in(record) {
        text.push_str(
            "<p class=\"note\">Trained and evaluated on synthetic data: these metrics say nothing about real \
             data.</p>\n",
        );
    }
    text
}

/// Whether the data set is synthetic.
pub fn is_stand_in(record: &Record) -> bool {
    matches!(record.schedule.as_ref().map(|s| &s.data), Some(Data::BuiltinReading { .. }))
}

/// The most important numbers.
pub fn tiles(record: &Record) -> String {
    let mut list: Vec<(String, String, String)> = Vec::new();
    if let Some(last) = record.compressed() {
        for (name, value) in figures(last).take(2) {
            let before = record.dense().and_then(|d| d.metric(name));
            let before = before.map_or(String::new(), |v| format!("dense {}", metric(name, v)));
            list.push((title(name), metric(name, value), before));
        }
    }
    let sparsity = record.sparsity();
    if sparsity > 0.0 {
        list.push(("Sparsity".into(), percent(sparsity), "of the pruned parameters".into()));
    }
    if let Some((values, nonzero)) = sizes(record) {
        let note = format!("of {} parameters", count(values));
        list.push(("Nonzero".into(), count(nonzero), note));
    }
    if let Some(seconds) = record.seconds.or_else(|| so_far(record)) {
        list.push(("Time".into(), duration(seconds), speed(record)));
    }
    if let Some(memory) = record.memory {
        list.push(("Memory".into(), bytes(memory as usize), "peak of the process".into()));
    }
    let mut text = String::from("<div class=\"tiles\">\n");
    for (name, value, note) in list {
        text.push_str(&format!(
            "<div class=\"tile\"><span>{}</span><b>{}</b><small>{}</small></div>\n",
            escaped(name),
            escaped(value),
            escaped(note)
        ));
    }
    text + "</div>\n"
}

/// The metrics of an evaluation, scores before losses.
fn figures(measured: &Evaluated) -> impl Iterator<Item = (&str, f64)> {
    let mut list: Vec<(&str, f64)> =
        measured.metrics.iter().filter_map(|(name, v)| Some((name.as_str(), (*v)?))).collect();
    // The metric that papers report comes first.
    list.sort_by_key(|(name, _)| match *name {
        "f1" | "micro_f1" | "spearman" | "ndcg_10" | "mrr_10" | "accuracy" | "perplexity" => 0,
        "loss" => 2,
        _ => 1,
    });
    list.into_iter()
}

fn sizes(record: &Record) -> Option<(usize, usize)> {
    let end = record.end()?;
    end.values.zip(end.nonzero)
}

/// The sum of the stages' times, for a run that has not finished.
fn so_far(record: &Record) -> Option<f64> {
    let sum: f64 = record.stages.iter().map(|s| times(s).iter().sum::<f64>()).sum();
    (sum > 0.0).then_some(sum)
}

/// Seconds of training, pruning, evaluation.
fn times(stage: &StageRecord) -> [f64; 3] {
    [
        stage.curve.iter().filter_map(|s| s.seconds).sum(),
        stage.prunes.iter().map(|p| p.seconds).sum(),
        stage.evaluations.iter().map(|e| e.seconds).sum(),
    ]
}

/// Training examples per second, over the whole run.
fn speed(record: &Record) -> String {
    let Some(schedule) = &record.schedule else { return String::new() };
    let (mut examples, mut seconds) = (0.0, 0.0);
    for stage in &record.stages {
        let Some(planned) = schedule.stages.iter().find(|s| s.name == stage.name) else { continue };
        examples += (stage.curve.len() * planned.train.batch * planned.train.accumulate) as f64;
        seconds += times(stage)[0];
    }
    if seconds > 0.0 { format!("{:.0} samples/s in training", examples / seconds) } else { String::new() }
}

/// A row for each stage and branch: its sparsity, its metrics at the end, its time.
pub fn models(record: &Record) -> String {
    let names = record.metric_names();
    let mut titles = vec!["Model".to_owned(), "Steps".into(), "Sparsity".into()];
    titles.extend(names.iter().map(|n| escaped(title(n))));
    titles.extend(["Training", "Pruning", "Evaluation"].map(String::from));
    let rows: Vec<Vec<String>> = record
        .stages
        .iter()
        .map(|stage| {
            let name = escaped(&stage.name);
            let name =
                if stage.branch { format!("{name} <span class=\"branch\">branch</span>") } else { name };
            let done = stage.curve.last().map_or(0, |s| s.step + 1);
            let steps = if stage.end.is_some() || done == stage.steps {
                count(stage.steps as usize)
            } else {
                format!("{} of {}", count(done as usize), count(stage.steps as usize))
            };
            let sparsity = match stage.sparsity() {
                0.0 => "–".to_owned(),
                share => percent(share),
            };
            let mut row = vec![name, steps, sparsity];
            let value = |n: &&str| stage.measured().and_then(|e| e.metric(n)).map(|v| metric(n, v));
            row.extend(names.iter().map(|n| value(n).unwrap_or("–".into())));
            row.extend(times(stage).map(|t| if t > 0.0 { duration(t) } else { "–".into() }));
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = table(&titles, &rows, 1);
    if record.stages.iter().any(|s| s.branch) {
        text.push_str(
            "<p class=\"note\">Branch: starts from the model of another stage and is evaluated; no later stage \
             continues from it.</p>\n",
        );
    }
    text
}

/// Metrics, parameters and sizes of the dense and of the compressed model.
pub fn dense_and_compressed(record: &Record) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let (dense, last) = (record.dense(), record.compressed());
    if let (Some(dense), Some(last)) = (dense, last) {
        for (name, value) in figures(last) {
            let before = dense.metric(name).map_or("–".into(), |v| metric(name, v));
            rows.push([escaped(title(name)), before, metric(name, value)]);
        }
    }
    if let Some((values, nonzero)) = sizes(record).filter(|(values, nonzero)| nonzero < values) {
        rows.push(["Nonzero parameters".into(), count(values), count(nonzero)]);
        let layers = record.end().map_or(&[][..], |e| &e.layers);
        let pruned: Vec<_> = layers.iter().filter(|l| l.zeros > 0).collect();
        let all: usize = pruned.iter().map(|l| l.count).sum();
        let left: usize = pruned.iter().map(|l| l.count - l.zeros).sum();
        rows.push(["Nonzero weights in pruned parameters".into(), count(all), count(left)]);
    }
    rows.extend(size_rows(record).into_iter().map(|[name, dense, packed]| [escaped(name), dense, packed]));
    if rows.is_empty() {
        return String::new();
    }
    let titles = ["", "Dense", "Compressed"].map(String::from);
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    let mut text = table(&titles, &rows, 1);
    if dense.is_none() && record.carried().any(|s| !s.prunes.is_empty()) {
        text.push_str("<p class=\"note\">The dense model was not evaluated: a `branch dense from start {}` evaluates it.</p>\n");
    }
    if let Some(bytes_saved) = record.model_bytes {
        text.push_str(&format!(
            "<p class=\"note\">model.safetensors holds dense float32: {}.</p>\n",
            bytes(bytes_saved as usize)
        ));
    }
    text
}

/// The sizes of the dense and of the saved model, with the compression ratio. Without a saved model, sizes are computed
/// from the number of zeros in the log.
pub fn size_rows(record: &Record) -> Vec<[String; 3]> {
    let Some(sizes) = record.sizes.clone().or_else(|| logged_sizes(record)) else { return Vec::new() };
    let row = |(name, dense, size): (String, u64, u64)| {
        let ratio = dense as f64 / size.max(1) as f64;
        [name, bytes(dense as usize), format!("{} ({ratio:.1}x)", bytes(size as usize))]
    };
    sizes.rows().into_iter().map(row).collect()
}

/// The sizes of the final model's parameters, computed from the number of zeros in the log. `None` if the log lacks that number,
/// and for a quantized model: the log does not record the bits of each parameter.
fn logged_sizes(record: &Record) -> Option<Sizes> {
    let end = record.end().filter(|end| !end.layers.is_empty())?;
    if record.carried().any(|s| !s.quantizations.is_empty()) {
        return None;
    }
    let mut storage = Storage::default();
    for layer in &end.layers {
        storage.add(&layer.name, layer.count, layer.zeros, true, None);
    }
    let prunable: usize = end.layers.iter().map(|l| l.count).sum();
    storage.add("", end.values?.saturating_sub(prunable), 0, false, None);
    // The log has no sizes for the encoder's biases and LayerNorms alone, so the encoder's size is left out.
    let without = |size: Size| Size { encoder_bytes: 0, ..size };
    Some(Sizes::new(without(storage.dense), without(storage.counted)))
}

/// The program's version and the log. Only the folder's name is shown, as its path may be private.
pub fn foot(record: &Record) -> String {
    let folder = std::path::Path::new(&record.folder);
    let folder = folder.file_name().map_or(String::new(), |n| format!("{}/", n.to_string_lossy()));
    let version = escaped(&record.started.version);
    format!("<footer>Run by obert {version}; written from {}run.jsonl.</footer>\n", escaped(folder))
}
