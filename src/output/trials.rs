//! The results of one-shot pruning with several settings: tables, JSON and charts.

use serde_json::{Value, json};

use crate::engine::trial_outcome::TrialOutcome;
use crate::task::metric::{less_is_better, main_metric};

use super::numbers::{metric, percent, title};
use super::summary::{plain_table, right_align};
use super::trial_charts::{Frame, Heat, Line, heat_maps, lines};

/// One-shot pruning to several sparsities by one choice of settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrialSeries {
    /// Names and values of the settings, as they are written in a recipe.
    pub settings: Vec<(String, String)>,
    /// The outcome at each sparsity, in the order of [`TrialReport::sparsities`].
    pub outcomes: Vec<TrialOutcome>,
}

impl TrialSeries {
    /// The values of its settings, with their names if there are several.
    pub fn name(&self) -> String {
        match self.settings.as_slice() {
            [(_, value)] => value.clone(),
            many => many.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The results of one-shot pruning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrialReport {
    /// The recipe's name.
    pub recipe: String,
    /// The model before pruning.
    pub dense: TrialOutcome,
    /// The sparsities that were asked for, `0..1`.
    pub sparsities: Vec<f64>,
    /// The trials: a series for each choice of settings.
    pub series: Vec<TrialSeries>,
}

impl TrialReport {
    /// The metric by which series are compared, the task's main one, and whether a lower value is better.
    pub fn metric(&self) -> (&str, bool) {
        let name = main_metric(&self.dense.metrics);
        (name, less_is_better(name))
    }

    /// The mean of the metric over the sparsities.
    pub fn mean(&self, series: &TrialSeries) -> f64 {
        let (metric, _) = self.metric();
        let sum: f64 = series.outcomes.iter().map(|o| value(o, metric)).sum();
        sum / series.outcomes.len().max(1) as f64
    }

    /// The index of the series with the best mean over the sparsities; of equal ones the first.
    pub fn best(&self) -> Option<usize> {
        let better = |a: f64, b: f64| if self.metric().1 { a < b } else { a > b };
        let mut best: Option<(usize, f64)> = None;
        for (index, series) in self.series.iter().enumerate() {
            let mean = self.mean(series);
            if best.is_none_or(|(_, known)| better(mean, known)) {
                best = Some((index, mean));
            }
        }
        best.map(|(index, _)| index)
    }

    /// A table of all metrics: a row for each series and sparsity, as `obertc oneshot` prints it.
    pub fn table(&self) -> String {
        let mut table = plain_table();
        let names: Vec<&str> = self.dense.metrics.keys().map(String::as_str).collect();
        let heads = names.iter().map(|name| title(name));
        table.set_header(["Criterion", "Sparsity"].map(str::to_owned).into_iter().chain(heads));
        let mut row = |series: &str, sparsity: String, outcome: &TrialOutcome| {
            let quantized = outcome.quantized.as_ref();
            let kinds =
                [(series.to_owned(), Some(&outcome.metrics)), (format!("{series}, quantized"), quantized)];
            for (series, metrics) in kinds {
                let Some(metrics) = metrics else { continue };
                let cells = names.iter().map(|n| metric(n, metrics.get(*n).copied().unwrap_or(f64::NAN)));
                table.add_row([series, sparsity.clone()].into_iter().chain(cells));
            }
        };
        row("(dense)", "-".to_owned(), &self.dense);
        for series in &self.series {
            for outcome in &series.outcomes {
                row(&series.name(), percent(outcome.sparsity), outcome);
            }
        }
        right_align(&mut table, 1..2 + names.len());
        format!("{table}\n")
    }

    /// A table of one metric, as `obertc sweep` prints it: a row for each series, with its settings, the metric at
    /// every sparsity and the mean; the best has a star.
    pub fn settings_table(&self) -> String {
        let (name, lower) = self.metric();
        let mut table = plain_table();
        let settings =
            self.series.first().map_or(Vec::new(), |s| s.settings.iter().map(|s| s.0.clone()).collect());
        let levels = self.sparsities.iter().map(|l| format!("{} at {}", title(name), percent(*l)));
        table.set_header(settings.iter().cloned().chain(levels).chain(["Mean".to_owned(), String::new()]));
        let best = self.best();
        for (index, series) in self.series.iter().enumerate() {
            let values = series.outcomes.iter().map(|o| metric(name, value(o, name)));
            let star = if best == Some(index) { "*" } else { "" };
            let mean = metric(name, self.mean(series));
            table.add_row(
                series.settings.iter().map(|s| s.1.clone()).chain(values).chain([mean, star.to_owned()]),
            );
        }
        right_align(&mut table, 0..settings.len() + self.sparsities.len() + 1);
        let dense = metric(name, value(&self.dense, name));
        let better = if lower { "lowest" } else { "highest" };
        format!("{table}\n{} of the dense model {dense}; * {better} mean over the sparsities\n", title(name))
    }

    /// All results for programs: `docs/oneshot-and-sweep.md` describes the fields.
    pub fn json(&self) -> Value {
        let (metric, _) = self.metric();
        let series = self.series.iter().map(|series| {
            let settings: serde_json::Map<String, Value> =
                series.settings.iter().map(|(n, v)| (n.clone(), v.clone().into())).collect();
            let levels: Vec<Value> = self.sparsities.iter().zip(&series.outcomes).map(level).collect();
            json!({ "settings": settings, "levels": levels, "mean": self.mean(series) })
        });
        let mut document = json!({
            "recipe": self.recipe,
            "metric": metric,
            "dense": self.dense.metrics,
            "series": series.collect::<Vec<_>>(),
            "best": self.best(),
        });
        if let Some(quantized) = &self.dense.quantized {
            document["dense_quantized"] = json!(quantized);
        }
        document
    }

    /// The metric over sparsity as an SVG image, a line for each series.
    pub fn curves(&self) -> String {
        let (metric, _) = self.metric();
        let drawn: Vec<Line> = self
            .series
            .iter()
            .map(|series| {
                let mut points: Vec<(f64, f64)> = self
                    .sparsities
                    .iter()
                    .zip(&series.outcomes)
                    .map(|(level, o)| ((level * 1e6).round() / 1e4, value(o, metric)))
                    .collect();
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
                Line { name: series.name(), points }
            })
            .collect();
        let heading = format!("{}, one-shot pruning", self.recipe);
        let level = Some(("dense", value(&self.dense, metric)));
        lines(&Frame { title: &heading, metric: (metric, &title(metric)), level }, &drawn)
    }

    /// Heat maps of the metric as an SVG image: one for each sparsity and pair of settings that vary. A cell shows the
    /// best over the other settings; with a single setting a map has one row.
    pub fn heat_maps(&self) -> String {
        let (metric, lower) = self.metric();
        let count = self.series.first().map_or(0, |w| w.settings.len());
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
            for (index, level) in self.sparsities.iter().enumerate() {
                maps.push(self.map(row, column, index, *level));
            }
        }
        let heading = format!("{}: {} after one-shot pruning", self.recipe, title(metric));
        heat_maps(&heading, &maps, self.sparsities.len(), lower)
    }

    fn map(&self, row: Option<usize>, column: usize, index: usize, level: f64) -> Heat {
        let (metric, lower) = self.metric();
        let name = |i: usize| self.series.first().map_or(String::new(), |w| w.settings[i].0.clone());
        let rows = row.map_or(vec![String::new()], |r| self.values(r));
        let columns = self.values(column);
        let best = |r: &String, c: &String| {
            let of = self
                .series
                .iter()
                .filter(|w| row.is_none_or(|row| w.settings[row].1 == *r) && w.settings[column].1 == *c);
            let values = of.filter_map(|w| w.outcomes.get(index)).map(|o| value(o, metric));
            values.reduce(|a, b| if lower { a.min(b) } else { a.max(b) }).unwrap_or(f64::NAN)
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
        for series in &self.series {
            let value = &series.settings[setting].1;
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        values
    }
}

/// The outcome at a sparsity as JSON.
fn level((level, outcome): (&f64, &TrialOutcome)) -> Value {
    let mut document = json!({
        "sparsity": level,
        "reached": outcome.sparsity,
        "metrics": outcome.metrics,
    });
    if let Some(quantized) = &outcome.quantized {
        document["quantized"] = json!(quantized);
    }
    if let Some(damp) = outcome.raised_damp {
        document["raised_damp"] = damp.into();
    }
    if !outcome.warnings.is_empty() {
        let messages = outcome.warnings.iter().map(|warning| warning.message.clone().into());
        document["warnings"] = Value::Array(messages.collect());
    }
    if !outcome.step_sizes.is_empty() {
        document["step_sizes"] = outcome.step_sizes.clone().into();
    }
    document
}

/// A metric of the pruned model.
fn value(outcome: &TrialOutcome, metric: &str) -> f64 {
    outcome.metrics.get(metric).copied().unwrap_or(f64::NAN)
}
