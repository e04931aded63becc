//! The results of one-shot pruning with several settings: tables, JSON, and charts.

use serde_json::{Value, json};

use crate::engine::oneshot::Outcome;
use crate::task::metric::Metrics;

use super::figures::{percent, title};
use super::summary::{plain_table, right_align};
use super::trial_charts::{Frame, Heat, Line, heat_maps, lines};

/// One-shot pruning to several levels of sparsity with one choice of settings.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its settings: names and values as they are written.
    pub settings: Vec<(String, String)>,
    /// The outcome at each level, in their order.
    pub outcomes: Vec<Outcome>,
}

/// All results.
#[derive(Clone, Debug)]
pub struct Trials {
    /// The recipe's name.
    pub recipe: String,
    /// The metrics of the dense model.
    pub dense: Metrics,
    /// The metrics of the dense model after post-training quantization, if the trials are quantized too.
    pub dense_rounded: Option<Metrics>,
    /// The levels of sparsity.
    pub levels: Vec<f64>,
    /// The trials, each at every level.
    pub ways: Vec<Way>,
}

impl Trials {
    /// The metric that trials are compared by, and whether less is better: F1, accuracy, or the first there
    /// is.
    pub fn metric(&self) -> (&str, bool) {
        let known = ["f1", "accuracy", "em", "loss"];
        let name = known.into_iter().find(|name| self.dense.contains_key(*name));
        let name = name.or_else(|| self.dense.keys().next().map(String::as_str)).unwrap_or("");
        (name, matches!(name, "loss" | "perplexity"))
    }

    /// The mean of the metric over the levels.
    pub fn mean(&self, way: &Way) -> f64 {
        let (metric, _) = self.metric();
        way.outcomes.iter().map(|o| figure(&o.metrics, metric)).sum::<f64>()
            / way.outcomes.len().max(1) as f64
    }

    /// The trial with the best mean over the levels; of equal ones the first.
    pub fn best(&self) -> Option<usize> {
        let better = |a: f64, b: f64| if self.metric().1 { a < b } else { a > b };
        let mut best: Option<(usize, f64)> = None;
        for (index, way) in self.ways.iter().enumerate() {
            let mean = self.mean(way);
            if best.is_none_or(|(_, known)| better(mean, known)) {
                best = Some((index, mean));
            }
        }
        best.map(|(index, _)| index)
    }

    /// One row for each trial and level, with every metric.
    pub fn every_metric(&self) -> String {
        let mut table = plain_table();
        let names: Vec<&str> = self.dense.keys().map(String::as_str).collect();
        let heads = names.iter().map(|name| title(name));
        table.set_header(["Criterion", "Sparsity"].map(str::to_owned).into_iter().chain(heads));
        let cells =
            |metrics: &Metrics| names.iter().map(|n| shown(figure(metrics, n), n)).collect::<Vec<_>>();
        let mut row = |way: &str, sparsity: String, metrics: &Metrics, rounded: &Option<Metrics>| {
            let kinds = [(way.to_owned(), Some(metrics)), (format!("{way}, quantized"), rounded.as_ref())];
            for (way, metrics) in kinds {
                if let Some(metrics) = metrics {
                    table.add_row([way, sparsity.clone()].into_iter().chain(cells(metrics)));
                }
            }
        };
        row("(dense)", "-".to_owned(), &self.dense, &self.dense_rounded);
        for way in &self.ways {
            for outcome in &way.outcomes {
                row(&said(way), percent(outcome.sparsity), &outcome.metrics, &outcome.quantized);
            }
        }
        right_align(&mut table, 1..2 + names.len());
        format!("{table}\n")
    }

    /// One row for each trial: its settings, the metric at every level and the mean; the best has a star.
    pub fn one_metric(&self) -> String {
        let (metric, _) = self.metric();
        let mut table = plain_table();
        let names =
            self.ways.first().map_or(Vec::new(), |w| w.settings.iter().map(|s| s.0.clone()).collect());
        let levels = self.levels.iter().map(|l| format!("{} at {}", title(metric), percent(*l)));
        table.set_header(names.iter().cloned().chain(levels).chain(["Mean".to_owned(), String::new()]));
        let best = self.best();
        for (index, way) in self.ways.iter().enumerate() {
            let figures = way.outcomes.iter().map(|o| shown(figure(&o.metrics, metric), metric));
            let star = if best == Some(index) { "*" } else { "" };
            let mean = shown(self.mean(way), metric);
            table.add_row(
                way.settings.iter().map(|s| s.1.clone()).chain(figures).chain([mean, star.to_owned()]),
            );
        }
        right_align(&mut table, 0..names.len() + self.levels.len() + 1);
        let dense = shown(figure(&self.dense, metric), metric);
        let better = if self.metric().1 { "lowest" } else { "highest" };
        format!("{table}\n{} of the dense model {dense}; * {better} mean over the levels\n", title(metric))
    }

    /// All results as JSON.
    pub fn document(&self) -> Value {
        let (metric, _) = self.metric();
        let ways: Vec<Value> = self
            .ways
            .iter()
            .map(|way| {
                let settings: serde_json::Map<String, Value> =
                    way.settings.iter().map(|(n, v)| (n.clone(), v.clone().into())).collect();
                let levels: Vec<Value> = self.levels.iter().zip(&way.outcomes).map(level).collect();
                json!({ "settings": settings, "levels": levels, "mean": self.mean(way) })
            })
            .collect();
        let mut document = json!({
            "recipe": self.recipe,
            "metric": metric,
            "dense": self.dense,
            "ways": ways,
            "best": self.best(),
        });
        if let Some(rounded) = &self.dense_rounded {
            document["dense_rounded"] = json!(rounded);
        }
        document
    }

    /// The metric over sparsity, a line for each trial.
    pub fn curves(&self) -> String {
        let (metric, _) = self.metric();
        let drawn: Vec<Line> = self
            .ways
            .iter()
            .map(|way| {
                let mut points: Vec<(f64, f64)> = self
                    .levels
                    .iter()
                    .zip(&way.outcomes)
                    .map(|(level, o)| ((level * 1e6).round() / 1e4, figure(&o.metrics, metric)))
                    .collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                Line { name: said(way), points }
            })
            .collect();
        let heading = format!("{}, one-shot pruning", self.recipe);
        let level = Some(("dense", figure(&self.dense, metric)));
        lines(&Frame { title: &heading, metric: (metric, &title(metric)), level }, &drawn)
    }

    /// A heat map of the metric for each level and pair of settings that vary; a cell shows the best over the
    /// other settings. With a single setting the map has one row.
    pub fn maps(&self) -> String {
        let (metric, lower) = self.metric();
        let count = self.ways.first().map_or(0, |w| w.settings.len());
        let varying: Vec<usize> = (0..count).filter(|i| self.values(*i).len() > 1).collect();
        let mut pairs: Vec<(Option<usize>, usize)> = Vec::new();
        for (at, row) in varying.iter().enumerate() {
            pairs.extend(varying[at + 1..].iter().map(|column| (Some(*row), *column)));
        }
        if pairs.is_empty() {
            pairs.extend(varying.first().or((count > 0).then_some(&0)).map(|only| (None, *only)));
        }
        let mut maps = Vec::new();
        for (row, column) in pairs {
            for (index, level) in self.levels.iter().enumerate() {
                maps.push(self.map(row, column, index, *level));
            }
        }
        let heading = format!("{}: {} after one-shot pruning", self.recipe, title(metric));
        heat_maps(&heading, &maps, self.levels.len(), lower)
    }

    fn map(&self, row: Option<usize>, column: usize, index: usize, level: f64) -> Heat {
        let (metric, lower) = self.metric();
        let name = |i: usize| self.ways.first().map_or(String::new(), |w| w.settings[i].0.clone());
        let rows = row.map_or(vec![String::new()], |r| self.values(r));
        let columns = self.values(column);
        let best = |r: &String, c: &String| {
            let of = self
                .ways
                .iter()
                .filter(|w| row.is_none_or(|row| w.settings[row].1 == *r) && w.settings[column].1 == *c);
            let figures = of.filter_map(|w| w.outcomes.get(index)).map(|o| figure(&o.metrics, metric));
            figures.reduce(|a, b| if lower { a.min(b) } else { a.max(b) }).unwrap_or(f64::NAN)
        };
        let cells = rows.iter().map(|r| columns.iter().map(|c| best(r, c)).collect()).collect();
        Heat {
            title: format!("at {}", percent(level)),
            rows: (row.map_or(String::new(), name), rows),
            columns: (name(column), columns),
            cells,
        }
    }

    /// The values of a setting in the order in which they were tried.
    fn values(&self, setting: usize) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for way in &self.ways {
            let value = &way.settings[setting].1;
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        values
    }
}

/// The name of a trial: the values of its settings, with their names if there are several.
pub fn said(way: &Way) -> String {
    match way.settings.as_slice() {
        [(_, value)] => value.clone(),
        many => many.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", "),
    }
}

/// The outcome at a level as JSON.
fn level((level, outcome): (&f64, &Outcome)) -> Value {
    let mut document = json!({
        "sparsity": level,
        "reached": outcome.sparsity,
        "metrics": outcome.metrics,
    });
    if let Some(rounded) = &outcome.quantized {
        document["rounded"] = json!(rounded);
    }
    if let Some(damp) = outcome.raised_damp {
        document["raised_damp"] = damp.into();
    }
    if !outcome.step_sizes.is_empty() {
        document["lengths"] = outcome.step_sizes.clone().into();
    }
    document
}

fn figure(metrics: &Metrics, name: &str) -> f64 {
    metrics.get(name).copied().unwrap_or(f64::NAN)
}

/// A loss with three decimals, any other metric with one.
fn shown(value: f64, metric: &str) -> String {
    if metric == "loss" { format!("{value:.3}") } else { format!("{value:.1}") }
}
