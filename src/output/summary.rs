//! The summary of a run for the terminal.

use std::collections::BTreeSet;
use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::engine::StageResult;
use crate::schedule::Schedule;

use super::numbers::{bytes, count, duration, metric, percent, place, title};
use super::sizes;

/// The metrics, sparsity, sizes and times of a run; `seconds` is its wall-clock time.
pub fn summary(schedule: &Schedule, results: &[StageResult], folder: &Path, seconds: f64) -> String {
    let mut text = String::new();
    text.push_str(&models(results));
    for result in results {
        if let Some(best) = &result.best {
            let (name, metric) = (&result.name, title(&best.metric));
            let (step, value) = (best.step, best.value);
            text.push_str(&format!(
                "Best    {name} ends with its best checkpoint, from before step {step}: {metric} {value:.1}\n"
            ));
        }
    }
    if let Some(last) = results.iter().rev().find(|r| !r.branch) {
        text.push('\n');
        text.push_str(&layers(last));
        text.push('\n');
        text.push_str(&size(last, folder));
    }
    text.push_str(&times(results, seconds));
    if matches!(schedule.data, crate::schedule::ir::Data::BuiltinReading { .. }) {
        text.push_str("Data    synthetic: these metrics say nothing about real data\n");
    }
    let what = if schedule.without_branches().next().is_some() { "Model" } else { "Log" };
    text.push_str(&format!("{what:<8}{}\n", folder.display()));
    text
}

/// One row for each stage and branch.
fn models(results: &[StageResult]) -> String {
    let mut table = plain_table();
    let names: BTreeSet<&str> = results.iter().flat_map(|r| r.metrics.keys().map(String::as_str)).collect();
    let titles = names.iter().map(|name| title(name));
    table.set_header(["Model", "Sparsity", "Encoder"].map(str::to_owned).into_iter().chain(titles));
    for result in results {
        let name = if result.branch { format!("{} (branch)", result.name) } else { result.name.clone() };
        let cell = |name: &&str| result.metrics.get(*name).map_or("-".into(), |v| metric(name, *v));
        let own = [name, percent(overall(result)), bytes(result.encoder_bytes)];
        table.add_row(own.into_iter().chain(names.iter().map(cell)));
    }
    right_align(&mut table, 1..3 + names.len());
    format!("{table}\nEncoder: bytes of its layers with a bitmask for zeros; without embeddings and head\n")
}

/// The sparsity of each pruned parameter, a row for each layer.
fn layers(result: &StageResult) -> String {
    let pruned: Vec<_> = result.sparsity.iter().filter(|l| l.zeros > 0).collect();
    if pruned.is_empty() {
        return "Nothing is pruned.\n".into();
    }
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for layer in &pruned {
        let (row, column) = place(&layer.name);
        if !columns.contains(&column) {
            columns.push(column.clone());
        }
        let value = percent(layer.zeros as f64 / layer.count as f64);
        match rows.iter_mut().find(|(name, _)| *name == row) {
            Some((_, cells)) => cells.push((column, value)),
            None => rows.push((row, vec![(column, value)])),
        }
    }
    let mut table = plain_table();
    table.set_header(std::iter::once("Sparsity").chain(columns.iter().map(String::as_str)));
    for (name, cells) in rows {
        let value = |column: &String| {
            cells.iter().find(|(c, _)| c == column).map_or(String::new(), |(_, v)| v.clone())
        };
        table.add_row(std::iter::once(name).chain(columns.iter().map(value)));
    }
    right_align(&mut table, 1..columns.len() + 1);
    format!("{table}\n")
}

/// The number of parameters of the model in the folder, and its sizes as in the report and in `pack`.
fn size(result: &StageResult, folder: &Path) -> String {
    let (nonzero, all) = result.nonzero;
    let mut text = format!("Size    {} parameters, {} nonzero", count(all), count(nonzero));
    // What cannot be read here is reported where the folder is.
    if let Ok(Some(sizes)) = sizes::of_folder(folder) {
        let (dense, counted) = (bytes(sizes.dense.bytes as usize), bytes(sizes.counted.bytes as usize));
        text.push_str(&format!("; {dense} as saved (dense float32), {counted} with a bitmask"));
    }
    text + "\n"
}

fn times(results: &[StageResult], seconds: f64) -> String {
    let sum = |f: fn(&StageResult) -> f64| results.iter().map(f).sum::<f64>();
    let (training, pruning, evaluating) =
        (sum(|r| r.times.training), sum(|r| r.times.pruning), sum(|r| r.times.evaluating));
    let rest = (seconds - training - pruning - evaluating).max(0.0);
    format!(
        "Time    {}: training {}, pruning {}, evaluation {}, other {}\n",
        duration(seconds),
        duration(training),
        duration(pruning),
        duration(evaluating),
        duration(rest)
    )
}

fn overall(result: &StageResult) -> f64 {
    let pruned = result.sparsity.iter().filter(|l| l.zeros > 0);
    let (zeros, all) = pruned.fold((0, 0), |(z, n), l| (z + l.zeros, n + l.count));
    zeros as f64 / usize::max(all, 1) as f64
}

pub(super) fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table
}

pub(super) fn right_align(table: &mut Table, columns: std::ops::Range<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
