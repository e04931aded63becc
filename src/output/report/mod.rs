//! The report of a run as one HTML page, from the files of its folder.
//!
//! - [`record`]: the data of a run, which [`read()`] reads from the folder's files;
//! - [`overview`]: the state of the run, metrics and sizes of the dense and of the compressed model;
//! - [`curves`] chooses the lines that [`chart`] draws; [`heat`] shades parameters by their sparsity;
//! - [`events`]: pruning and quantization events, with time and memory; [`origin`]: recipe, command, machine;
//! - [`compare()`]: several runs on one page; [`card()`]: the model card, with the ids of [`source`] on the hub;
//! - [`html`] and `page.css`: the page itself, without scripts and without external files.

mod card;
mod chart;
mod compare;
mod curves;
mod events;
mod heat;
mod html;
mod origin;
mod overview;
mod read;
pub mod record;
mod source;

pub use card::card;
pub use compare::compare;
pub use read::read;

use record::Record;

use crate::plan::svg_chart;

/// The page's name in a run's folder.
pub const FILE: &str = "report.html";

/// The report of a run.
pub fn render(record: &Record) -> String {
    let mut body = overview::head(record);
    body.push_str(&overview::tiles(record));
    body.push_str(&html::section("warnings", "Warnings", &events::warnings(record)));
    body.push_str(&html::section("models", "Models", &overview::models(record)));
    body.push_str(&html::section("size", "Dense and compressed", &overview::dense_and_compressed(record)));
    body.push_str(&html::section("schedule", "Schedule", &schedule(record)));
    let charts: String = curves::charts(record).iter().map(chart::Chart::render).collect();
    if !charts.is_empty() {
        let charts = format!("<div class=\"charts\">\n{charts}</div>\n");
        body.push_str(&html::section("curves", "Training", &charts));
    }
    let heat = heat::last(record) + &heat::changes(record);
    body.push_str(&html::section("layers", "Sparsity of each parameter", &heat));
    body.push_str(&html::section("events", "Pruning events", &events::prunes(record)));
    body.push_str(&html::section("quantization", "Quantization", &events::quantizations(record)));
    body.push_str(&html::section("recipe", "Recipe", &origin::recipe(record)));
    body.push_str(&html::section("reproduce", "Reproduce", &origin::reproduce(record)));
    body.push_str(&overview::foot(record));
    html::page(&format!("{}: run report", record.name()), &body)
}

/// The chart that `obertc plan --svg` draws, over the steps of the run.
fn schedule(record: &Record) -> String {
    let Some(schedule) = &record.schedule else { return String::new() };
    let steps_per_epoch = record.stages.iter().map(|s| s.steps_per_epoch).max().unwrap_or(0);
    if steps_per_epoch == 0 || schedule.without_branches().all(|s| s.length.is_zero()) {
        return String::new();
    }
    let picture = svg_chart::render(schedule, steps_per_epoch);
    format!("<div class=\"plan scroll\">{picture}</div>\n<p class=\"note\">As planned, before the run.</p>\n")
}
