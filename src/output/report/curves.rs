//! The charts of a run: losses, sparsity, metrics, learning rate, gradient norm.

use std::collections::BTreeMap;

use super::chart::{Chart, Kind, Series};
use super::record::{Record, StageRecord};
use crate::output::numbers::{is_percentage, title};
use crate::plan::svg::{Range, trimmed};
use crate::runlog::{self, Step};

/// Maximum number of points of a line, about the number of pixels of its width.
const MOST_POINTS: usize = 600;

/// All charts of a run.
pub fn charts(record: &Record) -> Vec<Chart> {
    let mut list = vec![losses(record), sparsity(record)];
    list.extend(metrics(record));
    list.push(one(record, "Learning rate", Range::FromZero, Kind::Line, rate, |s| s.lr));
    list.push(one(record, "Gradient norm", Range::Log, Kind::Faint, plain, |s| s.gradient_norm));
    list
}

/// The first step of each stage, without branches.
pub fn edges(record: &Record) -> Vec<(u64, String)> {
    let carried = record.laid_out().into_iter().filter(|(_, s)| !s.branch);
    carried.map(|(begin, stage)| (begin, stage.name.clone())).collect()
}

fn losses(record: &Record) -> Chart {
    let carried = |f: fn(&Step) -> Option<f64>| of_steps(record, f);
    let total = carried(|s| s.loss);
    let differs = |f: fn(&Step) -> Option<f64>| {
        let apart = |s: &Step| f(s).zip(s.loss).is_some_and(|(a, b)| (a - b).abs() > 1e-9 * b.abs());
        record.carried().flat_map(|s| &s.curve).any(apart)
    };
    let mut series = by_stage(&total, Kind::Faint, thinned);
    let mut add = |name: &str, color: usize, lines: &[Vec<(f64, f64)>]| {
        // Each stage has its own running mean, because stages can have different losses.
        for (i, line) in lines.iter().filter(|l| !l.is_empty()).enumerate() {
            let name = if i == 0 { name.to_owned() } else { String::new() };
            series.push(Series { name, color, kind: Kind::Line, points: thinned(&smoothed(line)) });
        }
    };
    if differs(|s| s.distill_loss) {
        add("distillation loss", 2, &carried(|s| s.distill_loss));
    }
    if differs(|s| s.hidden_loss) {
        add("hidden-state loss", 4, &carried(|s| s.hidden_loss));
    }
    if differs(|s| s.task_loss) {
        add("task loss", 1, &carried(|s| s.task_loss));
    }
    add("total loss", 0, &total);
    for (begin, branch) in record.laid_out().into_iter().filter(|(_, s)| s.branch) {
        let line = line(begin, &branch.curve, |s| s.loss);
        add(&format!("{} (branch)", branch.name), 3, &[line]);
    }
    let values = || series.iter().flat_map(|s| &s.points).map(|p| p.1);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let range = if least > 0.0 && most / least > 30.0 { Range::Log } else { Range::FromZero };
    Chart { title: "Loss".into(), range, series, edges: edges(record), label: plain }
}

fn one(
    record: &Record,
    title: &str,
    range: Range,
    kind: Kind,
    label: fn(f64) -> String,
    value: fn(&Step) -> Option<f64>,
) -> Chart {
    let lines = of_steps(record, value);
    let mut series = by_stage(&lines, kind, thinned);
    if kind == Kind::Faint {
        series.extend(by_stage(&lines, Kind::Line, |line| thinned(&smoothed(line))));
    }
    Chart { title: title.into(), range, series, edges: edges(record), label }
}

/// A line for each stage.
fn by_stage(
    lines: &[Vec<(f64, f64)>],
    kind: Kind,
    points: impl Fn(&[(f64, f64)]) -> Vec<(f64, f64)>,
) -> Vec<Series> {
    let drawn = lines.iter().filter(|line| !line.is_empty());
    drawn.map(|line| Series { name: String::new(), color: 0, kind, points: points(line) }).collect()
}

/// The sparsity over all parameters that the run prunes.
fn sparsity(record: &Record) -> Chart {
    let mut series = vec![Series {
        name: "the run".into(),
        color: 0,
        kind: Kind::Steps,
        points: sparsity_line(record).into_iter().map(|(step, s)| (step, s * 100.0)).collect(),
    }];
    let branches: Vec<(f64, f64)> = record
        .laid_out()
        .into_iter()
        .filter(|(_, s)| s.branch && !s.prunes.is_empty())
        .map(|(begin, s)| ((begin + s.steps) as f64, s.sparsity() * 100.0))
        .collect();
    series.push(Series { name: "branch".into(), color: 5, kind: Kind::Dots, points: branches });
    series.retain(|s| !s.points.is_empty());
    Chart { title: "Sparsity".into(), range: Range::Percent, series, edges: edges(record), label: percents }
}

/// (step, sparsity from 0 to 1) after each pruning event and at each stage's end. Empty if nothing is pruned.
pub fn sparsity_line(record: &Record) -> Vec<(f64, f64)> {
    let pruned: Vec<&str> =
        record.carried().flat_map(|s| &s.prunes).flat_map(|p| &p.layers).map(|l| l.name.as_str()).collect();
    let mut now: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut points = Vec::new();
    let layers = record.carried().filter_map(|s| s.end.as_ref()).flat_map(|e| &e.layers);
    let relevant: BTreeMap<&str, usize> = layers
        .chain(record.carried().flat_map(|s| &s.prunes).flat_map(|p| &p.layers))
        .filter(|l| if pruned.is_empty() { l.zeros > 0 } else { pruned.contains(&l.name.as_str()) })
        .map(|l| (l.name.as_str(), l.count))
        .collect();
    let all: usize = relevant.values().sum();
    for (begin, stage) in record.laid_out().into_iter().filter(|(_, s)| !s.branch) {
        let mut level = points.last().map_or(0.0, |p: &(f64, f64)| p.1);
        points.push((begin as f64, level));
        for prune in &stage.prunes {
            for layer in prune.layers.iter().filter(|l| relevant.contains_key(l.name.as_str())) {
                now.insert(&layer.name, (layer.zeros, layer.count));
            }
            level = if prune.layers.is_empty() {
                prune.sparsity
            } else {
                now.values().map(|(zeros, _)| zeros).sum::<usize>() as f64 / all.max(1) as f64
            };
            points.push(((begin + prune.step) as f64, level));
        }
        if let Some(end) = stage.end.as_ref().filter(|e| !e.layers.is_empty() && all > 0) {
            for layer in end.layers.iter().filter(|l| relevant.contains_key(l.name.as_str())) {
                now.insert(&layer.name, (layer.zeros, layer.count));
            }
            level = runlog::sparsity(end.layers.iter().filter(|l| relevant.contains_key(l.name.as_str())));
        }
        let last = if stage.end.is_some() { stage.steps } else { stage.curve.last().map_or(0, |s| s.step) };
        points.push(((begin + last) as f64, level));
    }
    points.dedup();
    if points.iter().all(|p| p.1 == 0.0) { Vec::new() } else { points }
}

/// One chart of all metrics in percent, and one for each other metric.
fn metrics(record: &Record) -> Vec<Chart> {
    let (scores, others): (Vec<&str>, Vec<&str>) =
        record.metric_names().into_iter().partition(|name| is_percentage(name));
    let mut list = Vec::new();
    if !scores.is_empty() {
        list.push(("Metrics on the dev set".to_owned(), Range::AroundPercent, scores));
    }
    for name in others {
        list.push((format!("{} on the dev set", title(name)), Range::Around, vec![name]));
    }
    list.into_iter()
        .map(|(heading, range, names)| {
            let series = names.iter().enumerate().flat_map(|(i, name)| metric(record, name, i)).collect();
            Chart { title: heading, range, series, edges: edges(record), label: plain }
        })
        .collect()
}

fn metric(record: &Record, name: &str, color: usize) -> Vec<Series> {
    let mut series =
        vec![Series { name: title(name), color, kind: Kind::Dotted, points: metric_line(record, name) }];
    for (begin, branch) in record.laid_out().into_iter().filter(|(_, s)| s.branch) {
        let points = of_evaluations(begin, branch, name);
        let name = format!("{} of {} (branch)", title(name), branch.name);
        series.push(Series { name, color, kind: Kind::Dots, points });
    }
    series.retain(|s| !s.points.is_empty());
    series
}

/// (step, value) of a metric through all stages but branches.
pub fn metric_line(record: &Record, name: &str) -> Vec<(f64, f64)> {
    let carried = record.laid_out().into_iter().filter(|(_, s)| !s.branch);
    carried.flat_map(|(begin, stage)| of_evaluations(begin, stage, name)).collect()
}

fn of_evaluations(begin: u64, stage: &StageRecord, name: &str) -> Vec<(f64, f64)> {
    stage.evaluations.iter().filter_map(|e| Some(((begin + e.step) as f64, e.metric(name)?))).collect()
}

/// (step, running mean of the loss) through all stages but branches.
pub fn loss_line(record: &Record) -> Vec<(f64, f64)> {
    of_steps(record, |s| s.loss).iter().flat_map(|line| thinned(&smoothed(line))).collect()
}

/// A value of each step, with a line for each stage but branches.
fn of_steps(record: &Record, value: fn(&Step) -> Option<f64>) -> Vec<Vec<(f64, f64)>> {
    let carried = record.laid_out().into_iter().filter(|(_, s)| !s.branch);
    carried.map(|(begin, stage)| line(begin, &stage.curve, value)).collect()
}

fn line(begin: u64, curve: &[Step], value: fn(&Step) -> Option<f64>) -> Vec<(f64, f64)> {
    curve.iter().filter_map(|s| Some(((begin + s.step) as f64, value(s)?))).collect()
}

/// An exponential moving average over about a fiftieth of the line's points.
fn smoothed(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let keep = 1.0 - 1.0 / (line.len() as f64 / 50.0).clamp(3.0, 200.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    line.iter()
        .map(|(step, value)| {
            sum = keep * sum + value;
            weight = keep * weight + 1.0;
            (*step, sum / weight)
        })
        .collect()
}

/// Downsamples a line to the minimum and maximum of each interval, so that no peak is lost.
fn thinned(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if line.len() <= MOST_POINTS {
        return line.to_vec();
    }
    let stretch = line.len().div_ceil(MOST_POINTS / 2);
    let mut points = Vec::new();
    for part in line.chunks(stretch) {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = part.iter().min_by(by_value).zip(part.iter().max_by(by_value));
        if let Some((least, most)) = ends {
            let (first, second) = if least.0 <= most.0 { (least, most) } else { (most, least) };
            points.push(*first);
            points.push(*second);
        }
    }
    // The first and the last point are shown exactly: readers look at them first.
    if let (Some(first), Some(last)) = (line.first(), line.last()) {
        points.insert(0, *first);
        points.push(*last);
    }
    points.dedup();
    points
}

/// A number as `0.25`, `12` or `1e-4`.
pub fn plain(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v >= 1e4 => format!("{value:.0e}"),
        v if v >= 10.0 => trimmed(value, 1),
        v if v >= 0.01 => trimmed(value, 3),
        _ => format!("{value:.0e}"),
    }
}

fn rate(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let text = format!("{value:.1e}");
    text.replace(".0e", "e")
}

pub fn percents(value: f64) -> String {
    format!("{}%", trimmed(value, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_line_keeps_its_peaks_and_its_ends() {
        let mut line: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        line[4321].1 = 99.0;
        line[8765].1 = -99.0;
        let thin = thinned(&line);
        assert!(thin.len() <= MOST_POINTS + 2, "{}", thin.len());
        assert!(thin.contains(&(4321.0, 99.0)) && thin.contains(&(8765.0, -99.0)));
        assert_eq!((thin[0].0, thin[thin.len() - 1].0), (0.0, 9_999.0));
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn a_mean_of_a_constant_is_the_constant_from_the_first_step() {
        let line: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i), 2.5)).collect();
        assert!(smoothed(&line).iter().all(|p| (p.1 - 2.5).abs() < 1e-12));
    }
}
