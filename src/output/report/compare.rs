//! A page that compares several runs.

use super::chart::{Chart, Kind, Series};
use super::curves::{loss_line, metric_line, percents, plain, sparsity_line};
use super::html::{escaped, page, section, table};
use super::origin;
use super::record::{Record, State};
use crate::output::numbers::{bytes, count, duration, is_percentage, metric, percent, title};
use crate::plan::svg::Range;
use crate::plan::{diff, table as plan};

/// The page: each run is compared with the first.
pub fn compare(records: &[Record]) -> String {
    let names = names(records);
    let mut body = format!("<header><h1>{} runs compared</h1></header>\n", records.len());
    body.push_str(&section("models", "Runs", &figures(records, &names)));
    let charts: String = charts(records, &names).iter().map(Chart::render).collect();
    if !charts.is_empty() {
        let charts = format!("<div class=\"charts\">\n{charts}</div>\n");
        body.push_str(&section("curves", "Training", &charts));
    }
    body.push_str(&section("differences", "Schedule differences", &differences(records, &names)));
    body.push_str(&section("reproduce", "Commands", &commands(records, &names)));
    page("runs compared", &body)
}

/// The last component of each folder's path, or the whole path where two have the same.
fn names(records: &[Record]) -> Vec<String> {
    let short = |record: &Record| {
        let name = std::path::Path::new(&record.folder).file_name();
        name.map_or(record.folder.clone(), |n| n.to_string_lossy().into_owned())
    };
    records
        .iter()
        .map(|record| {
            let alike = records.iter().filter(|other| short(other) == short(record)).count();
            if alike > 1 { record.folder.clone() } else { short(record) }
        })
        .collect()
}

fn all_metrics(records: &[Record]) -> Vec<&str> {
    let mut list: Vec<&str> = Vec::new();
    for name in records.iter().flat_map(|r| r.metric_names()) {
        if !list.contains(&name) {
            list.push(name);
        }
    }
    list
}

fn figures(records: &[Record], names: &[String]) -> String {
    let metrics = all_metrics(records);
    let mut titles = vec!["Run".to_owned(), "Recipe".into(), "Seed".into(), "Sparsity".into()];
    for name in &metrics {
        titles.push(escaped(title(name)));
        titles.push(format!("{} dense", escaped(title(name))));
    }
    titles.extend(["Nonzero", "Steps", "Time", "Memory"].map(String::from));
    let or_dash = |text: Option<String>| text.unwrap_or("–".into());
    let rows: Vec<Vec<String>> = records
        .iter()
        .zip(names)
        .map(|(record, name)| {
            let state = match record.state {
                State::Finished => "",
                State::Failed => " <span class=\"branch\">failed</span>",
                State::Unfinished => " <span class=\"branch\">not finished</span>",
            };
            let mut row = vec![
                format!("{}{state}", escaped(name)),
                escaped(&record.started.recipe),
                record.started.seed.to_string(),
                percent(record.sparsity()),
            ];
            for name in &metrics {
                let value = |e: Option<&crate::runlog::Evaluated>| {
                    or_dash(e.and_then(|e| e.metric(name)).map(|v| metric(name, v)))
                };
                row.push(value(record.compressed()));
                row.push(value(record.dense()));
            }
            row.push(or_dash(record.end().and_then(|e| e.nonzero).map(count)));
            row.push(count(record.carried().map(|s| s.curve.len()).sum()));
            row.push(or_dash(record.seconds.map(duration)));
            row.push(or_dash(record.memory.map(|m| bytes(m as usize))));
            row
        })
        .collect();
    table(&titles, &rows, 2)
}

/// Charts of loss, sparsity and each metric, with a line for each run.
fn charts(records: &[Record], names: &[String]) -> Vec<Chart> {
    let series = |kind: Kind, line: &dyn Fn(&Record) -> Vec<(f64, f64)>| -> Vec<Series> {
        records
            .iter()
            .zip(names)
            .enumerate()
            .map(|(color, (record, name))| Series { name: name.clone(), color, kind, points: line(record) })
            .filter(|s| !s.points.is_empty())
            .collect()
    };
    let chart = |title: String, range: Range, series: Vec<Series>, label: fn(f64) -> String| Chart {
        title,
        range,
        series,
        edges: Vec::new(),
        label,
    };
    let hundredfold = |r: &Record| sparsity_line(r).into_iter().map(|(x, y)| (x, y * 100.0)).collect();
    let mut list = vec![
        chart("Total loss, running mean".into(), Range::Log, series(Kind::Line, &loss_line), plain),
        chart("Sparsity".into(), Range::Percent, series(Kind::Steps, &hundredfold), percents),
    ];
    for name in all_metrics(records) {
        let line = |r: &Record| metric_line(r, name);
        let heading = format!("{} on the dev set", title(name));
        let range = if is_percentage(name) { Range::AroundPercent } else { Range::Around };
        list.push(chart(heading, range, series(Kind::Dotted, &line), plain));
    }
    list
}

/// The differences of each schedule from the first run's.
fn differences(records: &[Record], names: &[String]) -> String {
    let planned = |record: &Record| {
        // Times are in epochs only: with another number of steps per epoch every line would differ.
        Some(plan::render(record.schedule.as_ref()?, None, None, |_| String::new()))
    };
    let Some(first) = records.first().and_then(planned) else { return String::new() };
    let mut text = String::new();
    for (record, name) in records.iter().zip(names).skip(1) {
        let Some(other) = planned(record) else { continue };
        let difference = diff::render(&first, &other);
        let shown = if difference.is_empty() {
            "<p class=\"note\">The same schedule.</p>\n".to_owned()
        } else {
            let lines: Vec<String> = difference.lines().map(marked).collect();
            format!("<pre>{}\n</pre>\n", lines.join("\n"))
        };
        text.push_str(&format!("<h3>{} compared with {}</h3>\n{shown}", escaped(name), escaped(&names[0])));
    }
    text
}

fn marked(line: &str) -> String {
    match line.chars().next() {
        Some('-') => format!("<del>{}</del>", escaped(line)),
        Some('+') => format!("<ins>{}</ins>", escaped(line)),
        _ => escaped(line),
    }
}

fn commands(records: &[Record], names: &[String]) -> String {
    let mut text = String::new();
    for (record, name) in records.iter().zip(names) {
        let Some(environment) = &record.environment else { continue };
        let command = escaped(origin::command(environment));
        text.push_str(&format!("<h3>{}</h3>\n<pre class=\"wrap\">{command}</pre>\n", escaped(name)));
    }
    text
}
