//! Heat maps of the sparsity of each parameter, at the end and after each pruning event.

use std::collections::BTreeMap;

use super::html::{escaped, table};
use super::record::Record;
use crate::output::numbers::{percent, place};
use crate::plan::svg::{Anchor, Svg};
use crate::runlog::LayerSparsity;

/// The sparsity at the end of the run: a row for each layer, a column for each of its matrices. Empty if nothing is
/// zero.
pub fn last(record: &Record) -> String {
    let Some(layers) = states(record).pop().map(|s| s.layers) else { return String::new() };
    let mut columns: Vec<String> = Vec::new();
    let mut rows: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for layer in layers.values().filter(|l| l.zeros > 0) {
        let (row, column) = place(&layer.name);
        if !columns.contains(&column) {
            columns.push(column.clone());
        }
        if !rows.iter().any(|(name, _)| *name == row) {
            rows.push((row.clone(), BTreeMap::new()));
        }
        if let Some((_, cells)) = rows.iter_mut().find(|(name, _)| *name == row) {
            cells.insert(column, shade(layer));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    columns.sort_by_key(|column| ORDER.iter().position(|m| m == column).unwrap_or(ORDER.len()));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, cells)| {
            let cell = |column: &String| cells.get(column).cloned().unwrap_or_default();
            std::iter::once(escaped(name)).chain(columns.iter().map(cell)).collect()
        })
        .collect();
    let titles: Vec<String> = std::iter::once(String::new()).chain(columns.iter().map(escaped)).collect();
    format!("<div class=\"heat\">{}</div>\n", table(&titles, &rows, 1))
}

/// A cell with a sparsity, shaded by it.
fn shade(layer: &LayerSparsity) -> String {
    let share = layer.share();
    let class = if depth(share) > 55.0 { "shade deep" } else { "shade" };
    format!(
        "<span class=\"{class}\" style=\"--s:{:.0}%\" title=\"{}: {} of {} are zero\">{}</span>",
        depth(share),
        escaped(&layer.name),
        layer.zeros,
        layer.count,
        percent(share)
    )
}

/// The opacity of a cell in percent: the square of the sparsity, because most differ between 50% and 100%.
fn depth(share: f64) -> f64 {
    share * share * 100.0
}

/// The sparsity of every parameter after an event.
struct State<'a> {
    when: String,
    layers: BTreeMap<Natural<'a>, &'a LayerSparsity>,
}

/// A sort key in the order of the forward pass: layer 10 comes after layer 9, and within a layer attention comes before
/// feed-forward.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Natural<'a>(Vec<(usize, &'a str)>, usize, &'a str);

impl<'a> Natural<'a> {
    fn new(name: &'a str) -> Self {
        let matrix = place(name).1;
        let at = ORDER.iter().position(|m| *m == matrix).unwrap_or(ORDER.len());
        // Up to the layer's number; the matrix decides within it.
        let layer = name.split_inclusive(|c: char| c.is_ascii_digit()).next().unwrap_or(name);
        let end = name[layer.len()..].find('.').map_or(name.len(), |more| layer.len() + more);
        let parts = name[..end].split('.').map(|part| (part.parse().unwrap_or(usize::MAX), part));
        Natural(parts.collect(), at, name)
    }
}

/// The matrices of a layer.
const ORDER: [&str; 6] = ["query", "key", "value", "attention out", "feed-forward in", "feed-forward out"];

/// The sparsities after the pruning events of all stages but branches, and at the end of each stage that changes them.
fn states(record: &Record) -> Vec<State<'_>> {
    let mut now: BTreeMap<&str, &LayerSparsity> = BTreeMap::new();
    let mut list: Vec<State> = Vec::new();
    for stage in record.carried() {
        let ends = stage.end.iter().map(|end| ("end".to_owned(), &end.layers));
        let prunes = stage.prunes.iter().map(|p| (p.at.clone(), &p.layers));
        for (when, layers) in prunes.chain(ends) {
            let ends = when == "end";
            let changed = layers
                .iter()
                .any(|l| now.get(l.name.as_str()).map_or(l.zeros > 0, |old| old.zeros != l.zeros));
            now.extend(layers.iter().map(|l| (l.name.as_str(), l)));
            if !changed && ends {
                continue;
            }
            let layers = now.values().map(|l| (Natural::new(&l.name), *l)).collect();
            list.push(State { when: format!("{}, {when}", stage.name), layers });
        }
    }
    list
}

/// Maximum number of columns; of more events some are left out.
const MOST_COLUMNS: usize = 60;
const CELL: f64 = 16.0;
const NAMES: f64 = 190.0;

/// The sparsity over the run: a row for each parameter, a column for each event. Empty for less than two events.
pub fn changes(record: &Record) -> String {
    let states = states(record);
    if states.len() < 2 {
        return String::new();
    }
    let every = states.len().div_ceil(MOST_COLUMNS);
    let shown: Vec<&State> = states
        .iter()
        .enumerate()
        .filter(|(i, _)| (states.len() - 1 - i).is_multiple_of(every))
        .map(|(_, s)| s)
        .collect();
    let pruned = |name: &Natural| states.iter().any(|s| s.layers.get(name).is_some_and(|l| l.zeros > 0));
    let last = &states[states.len() - 1];
    let rows: Vec<(&Natural, &LayerSparsity)> =
        last.layers.iter().filter(|(name, _)| pruned(name)).map(|(n, l)| (n, *l)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let wide = (480.0 / shown.len() as f64).clamp(CELL * 0.75, CELL * 3.0);
    let (width, height) = (NAMES + wide * shown.len() as f64, CELL * rows.len() as f64 + 4.0);
    let mut svg = Svg::inline(width, height, "change", "Sparsity of each parameter after each event");
    for (row, (name, layer)) in rows.iter().enumerate() {
        let y = row as f64 * CELL;
        let (block, matrix) = place(&layer.name);
        svg.text((NAMES - 8.0, y + 12.0), "tick", Anchor::End, &format!("{block} {matrix}"));
        for (column, state) in shown.iter().enumerate() {
            let share = state.layers.get(*name).map_or(0.0, |l| l.share());
            let title = format!("{block} {matrix}: {} after {}", percent(share), state.when);
            let at = (NAMES + column as f64 * wide, y);
            svg.rect(at, (wide - 1.0, CELL - 1.0), "cell", &format!("--s:{:.0}%", depth(share)), &title);
        }
    }
    let svg = format!("<div class=\"scroll\">{}</div>\n", svg.finish());
    let left = match every {
        1 => String::new(),
        _ => format!(" ({} of {} events shown)", shown.len(), states.len()),
    };
    let first = shown.first().map_or("", |s| s.when.as_str());
    format!(
        "<h3>After each pruning event</h3>\n{svg}<p class=\"note\">Columns from left to right: {} to {}{left}. The \
         palest shade is a sparsity of 0%, the deepest of 100%.</p>\n",
        escaped(first),
        escaped(&last.when)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_in_the_order_of_the_forward_pass() {
        let mut names = [
            "bert.encoder.layer.10.attention.self.query.weight",
            "qa_outputs.weight",
            "bert.encoder.layer.9.output.dense.weight",
            "bert.encoder.layer.9.attention.self.key.weight",
            "bert.encoder.layer.9.attention.self.query.weight",
            "bert.encoder.layer.9.intermediate.dense.weight",
        ];
        names.sort_by_key(|name| Natural::new(name));
        let places = names.map(|name| format!("{} {}", place(name).0, place(name).1));
        assert_eq!(
            places,
            [
                "layer 9 query",
                "layer 9 key",
                "layer 9 feed-forward in",
                "layer 9 feed-forward out",
                "layer 10 query",
                "qa_outputs weight"
            ]
        );
    }
}
