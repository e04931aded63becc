//! Compares one-shot pruning by criterion, block size, number of gradients, dampening and number of estimates, through
//! [`obert::oneshot`] and [`obert::sweep`]. Writes tables into `docs/pruning-study.md` and charts beside it.
//!
//! `cargo run --example pruning_study` trains the quickstart's dense model on generated texts, once (it is saved in
//! `target/pruning-study`), and prunes that. `cargo run --example pruning_study -- --model DIR --data DIR --name NAME`
//! prunes a model on SQuAD files of yours, in a section of its own. `--parts` selects parts of the study.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use obert::{
    Event, Observer, Recipe, RunConfig, SweepConfig, TrialConfig, TrialOutcome, TrialReport, Unwatched, Work,
    diagnostics::Diagnostic, oneshot, run, sweep,
};

/// The recipe whose first `prune` statement by `obs` is tried.
const QUICKSTART: &str = include_str!("../stdlib_recipes/quickstart.obert");
/// The settings of that statement, which the study replaces.
const SETTINGS: &str = "obs(gradients: 192, block: 32)";
/// Where the stages after the dense one begin.
const AFTER_DENSE: &str = "  ## What the same sparsity costs";

/// Prunes a model one-shot by several settings and writes down its F1.
#[derive(Debug, Parser)]
struct Arguments {
    /// The section of the page, and how the names of its charts begin
    #[arg(long, default_value = "built-in")]
    name: String,
    /// A model folder; without one the quickstart's dense model is trained
    #[arg(long, requires = "data")]
    model: Option<PathBuf>,
    /// A folder of SQuAD files
    #[arg(long, requires = "model")]
    data: Option<PathBuf>,
    /// The dev file, in place of that in --data
    #[arg(long, requires = "data")]
    dev: Option<PathBuf>,
    /// Maximum sequence length in tokens of that data
    #[arg(long, default_value_t = 384)]
    max_length: usize,
    /// The parts of the study
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    parts: Vec<Part>,
    /// Sparsities
    #[arg(long, default_value = "50%,60%,70%,80%,90%,95%")]
    at: String,
    /// Gradients of an estimate
    #[arg(long, default_value_t = 1024)]
    gradients: usize,
    /// Numbers of estimates that are compared
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    recompute: Vec<usize>,
    /// Gradients of each of these estimates
    #[arg(long, default_value_t = 128)]
    recompute_gradients: usize,
    /// The folder of the page
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

/// A part of the study, with a table and a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Magnitude, single weights (B = 1), blocks of 50 with both updates, and the most estimates
    Criteria,
    /// Sizes of the Fisher block
    Blocks,
    /// Numbers of gradients
    Gradients,
    /// Dampening, with the exact update
    Damp,
    /// Dampening, with the paper's independent update
    DampIndependent,
    /// Numbers of estimates
    Recompute,
}

impl Part {
    const ALL: [Part; 6] =
        [Part::Criteria, Part::Blocks, Part::Gradients, Part::Damp, Part::DampIndependent, Part::Recompute];
}

impl std::fmt::Display for Part {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.to_possible_value().expect("no part is hidden").get_name())
    }
}

/// Prints each result as it comes.
struct Printer;

impl Observer for Printer {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}

    fn trial(&mut self, settings: &str, done: usize, total: usize, outcome: &TrialOutcome) {
        let (sparsity, f1) = (outcome.sparsity * 100.0, outcome.metrics["f1"]);
        println!("{done}/{total} {settings} at {sparsity:.0}%: F1 {f1:.1}");
    }
}

fn main() {
    let arguments = Arguments::parse();
    if let Err(error) = study(&arguments) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn study(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let model = arguments.model.clone().map_or_else(dense_model, Ok)?;
    let study = Study { arguments, model };
    for part in &arguments.parts {
        let (caption, report) = study.part(*part)?;
        write(arguments, *part, &caption, &report)?;
    }
    Ok(())
}

/// The folder of the quickstart's dense model, trained if it is not there.
fn dense_model() -> Result<PathBuf, Box<dyn Error>> {
    let folder = PathBuf::from("target/pruning-study/model");
    if !folder.join("config.json").exists() {
        println!("training the dense model");
        let (dense, _) = QUICKSTART.split_once(AFTER_DENSE).ok_or("the quickstart has another form")?;
        let mut config = RunConfig::new(Recipe::text("quickstart.obert", format!("{dense}}}\n")));
        config.out = Some(folder.clone());
        config.measure_speed = false;
        run(&config, &mut Unwatched)?;
    }
    Ok(folder)
}

struct Study<'a> {
    arguments: &'a Arguments,
    model: PathBuf,
}

impl Study<'_> {
    /// Trials with these settings of `obs`.
    fn config(&self, settings: &str) -> TrialConfig {
        let mut text = QUICKSTART.replacen(SETTINGS, &format!("obs({settings})"), 1);
        if self.arguments.data.is_some() {
            let data = format!("squad(max_length: {})", self.arguments.max_length);
            let name = self.arguments.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            text = text.replace("builtin_reading(train: 8000, dev: 400)", &data);
            text = text.replace("recipe quickstart", &format!("recipe {name}"));
        }
        let mut config = TrialConfig::new(Recipe::text("study.obert", text), &self.arguments.at);
        config.options.model = Some(self.model.clone());
        config.data.clone_from(&self.arguments.data);
        config.dev.clone_from(&self.arguments.dev);
        config
    }

    /// A series for each value of a setting, called by `name` of the value.
    fn sweep(
        &self,
        settings: &str,
        axis: &str,
        name: impl Fn(&str) -> String,
    ) -> Result<TrialReport, obert::Error> {
        let config = SweepConfig::new(self.config(settings), vec![axis.to_owned()]);
        let mut report = sweep(&config, &mut Printer)?.trials;
        for series in &mut report.series {
            let (_, value) = series.settings.remove(0);
            series.settings = vec![("settings".to_owned(), name(&value))];
        }
        Ok(report)
    }

    fn part(&self, part: Part) -> Result<(String, TrialReport), obert::Error> {
        let (m, few) = (self.arguments.gradients, self.arguments.recompute_gradients);
        let base = format!("gradients: {m}, block: 50");
        let short = format!("gradients: {few}, block: 50");
        let damps = "damp=1e-3,1e-4,1e-5,1e-6,1e-7,1e-8";
        let independent = format!("{base}, update: independent");
        let number_of_estimates = |n: &str| format!("{n} × {few}");
        Ok(match part {
            Part::Criteria => {
                let mut report = oneshot(&self.config(&base), Some("magnitude"), &mut Printer)?;
                let mut more = self.sweep(&base, "block=1", |_| "B = 1".to_owned())?.series;
                let updates = self.sweep(&base, "update=independent,exact", |u| format!("B = 50, {u}"))?;
                more.extend(updates.series);
                if let Some(most) = self.arguments.recompute.iter().max() {
                    let name = |n: &str| format!("B = 50, exact, {}", number_of_estimates(n));
                    more.extend(self.sweep(&short, &format!("recompute={most}"), name)?.series);
                }
                report.series.extend(more);
                (
                    format!("F1 by criterion: m = {m} gradients (each the mean over 8 windows), λ = 1e-7."),
                    report,
                )
            }
            Part::Blocks => (
                format!(
                    "F1 by size B of the Fisher block: exact update, m = {m} gradients (each the mean over 8 windows), λ = 1e-7."
                ),
                self.sweep(&base, "block=1,4,16,50,128", |b| format!("B = {b}"))?,
            ),
            Part::Gradients => {
                let counts = [16, 8, 4, 2, 1].map(|share| (m / share).max(1).to_string());
                let axis = format!("gradients={}", counts.join(","));
                let caption = "F1 by number m of gradients (each the mean over 8 windows): exact update, B = 50, λ = 1e-7.";
                (caption.to_owned(), self.sweep(&base, &axis, |n| format!("m = {n}"))?)
            }
            Part::Damp => (
                format!(
                    "F1 by dampening λ: exact update, B = 50, m = {m} gradients (each the mean over 8 windows)."
                ),
                self.sweep(&base, damps, |d| format!("λ = {d}"))?,
            ),
            Part::DampIndependent => (
                format!(
                    "F1 by dampening λ: independent update, B = 50, m = {m} gradients (each the mean over 8 windows)."
                ),
                self.sweep(&independent, damps, |d| format!("λ = {d}"))?,
            ),
            Part::Recompute => {
                let counts: Vec<String> = self.arguments.recompute.iter().map(usize::to_string).collect();
                let caption = format!(
                    "F1 by number of estimates, each from {few} gradients (each the mean over 8 windows): exact update, B = 50, λ = 1e-7."
                );
                let axis = format!("recompute={}", counts.join(","));
                (caption, self.sweep(&short, &axis, number_of_estimates)?)
            }
        })
    }
}

/// Writes the chart and the table of a part.
fn write(
    arguments: &Arguments,
    part: Part,
    caption: &str,
    report: &TrialReport,
) -> Result<(), Box<dyn Error>> {
    let name = &arguments.name;
    let chart = format!("pruning-study/{name}-{part}.svg");
    std::fs::create_dir_all(arguments.docs.join("pruning-study"))?;
    std::fs::write(arguments.docs.join(&chart), report.curves())?;
    let dense = report.dense.metrics["f1"];
    let table = table(report);
    let text =
        format!("{caption} F1 is {dense:.1} before anything is pruned.\n\n{table}\n![{part}]({chart})\n");
    insert(&arguments.docs.join("pruning-study.md"), name, &format!("{name}: {part}"), &text)
}

/// F1 of each series at each sparsity.
fn table(report: &TrialReport) -> String {
    let percent = |level: &f64| format!("{}%", (level * 1000.0).round() / 10.0);
    let heads: Vec<String> = report.sparsities.iter().map(percent).collect();
    let mut text = format!("| F1 | {} |\n|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len()));
    for series in &report.series {
        let values: Vec<String> = series.outcomes.iter().map(|o| format!("{:.1}", o.metrics["f1"])).collect();
        text.push_str(&format!("| {} | {} |\n", series.name(), values.join(" | ")));
    }
    text
}

/// Puts a part between its marks, or at the end of a page without them.
fn insert(page: &Path, section: &str, mark: &str, part: &str) -> Result<(), Box<dyn Error>> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->\n"));
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let new = match (text.split_once(&begin), text.split_once(&end)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{begin}\n{part}\n{end}{after}"),
        _ => format!("{text}\n## {section}\n\n{begin}\n{part}\n{end}"),
    };
    Ok(std::fs::write(page, new)?)
}
