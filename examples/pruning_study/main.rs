//! How good a model is after it was pruned at once, without training: by each criterion, over block
//! sizes, numbers of gradients, damps and recomputations. Writes tables into `docs/pruning-study.md` and
//! pictures beside it.
//!
//! `cargo run --example pruning_study` trains the quickstart's dense model on generated texts, once (it is
//! kept in `target/pruning-study`), and studies that. `cargo run --example pruning_study -- --model DIR
//! --data DIR --name NAME` studies a model and SQuAD files of yours, in a section of its own.
//!
//! What was measured is kept in `target/pruning-study` too, figure by figure: a study that was stopped
//! goes on where it was.
#![allow(clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod figures;
mod page;
mod parts;
mod subject;

use std::path::PathBuf;

use clap::Parser;
use obert::internals::diag::Diagnostic;
use obert::internals::engine::events::{Observer, Unwatched};
use obert::internals::engine::gradient_sharing::Trial;
use obert::internals::engine::oneshot::OneShot;

use figures::Figures;
use parts::Part;
use subject::Subject;

/// Prunes a model at once in many ways and writes down how good it is then.
#[derive(Debug, Parser)]
struct Arguments {
    /// The section of the page, and how its pictures' names begin.
    #[arg(long, default_value = "built-in")]
    name: String,
    /// A model folder; without one the quickstart's dense model is trained.
    #[arg(long, requires = "data")]
    model: Option<PathBuf>,
    /// A folder of SQuAD files.
    #[arg(long, requires = "model")]
    data: Option<PathBuf>,
    /// Tokens of a window of that data.
    #[arg(long, default_value_t = 384)]
    max_length: usize,
    /// The parts of the study.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    parts: Vec<Part>,
    /// Sparsities, in percent.
    #[arg(long, value_delimiter = ',', default_values_t = [50.0, 60.0, 70.0, 80.0, 90.0, 95.0])]
    levels: Vec<f64>,
    /// Gradients of an estimate.
    #[arg(long, default_value_t = 1024)]
    gradients: usize,
    /// Estimates in a row that are compared.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    rounds: Vec<usize>,
    /// Gradients of each of these.
    #[arg(long, default_value_t = 128)]
    round_gradients: usize,
    /// Measure on so many held-out questions, evenly spaced, instead of all.
    #[arg(long)]
    questions: Option<usize>,
    /// The folder of the page.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

fn main() {
    let arguments = Arguments::parse();
    if let Err(found) = study(&arguments) {
        for diagnostic in found {
            eprintln!("{}: {}", diagnostic.code.number(), diagnostic.message);
        }
        std::process::exit(1);
    }
}

fn study(arguments: &Arguments) -> Result<(), Vec<Diagnostic>> {
    let subject = Subject::prepare(arguments)?;
    let oneshot = OneShot {
        task: &subject.prepared.task,
        device: &subject.device,
        name: &subject.schedule.name,
        seed: subject.seed,
        quantization: None,
    };
    let observer: &mut dyn Observer = &mut Unwatched;
    let known = PathBuf::from("target/pruning-study").join(format!("{}.json", arguments.name));
    let mut figures = Figures::open(known, &subject.identity)?;
    let dense = figures.dense(|| oneshot.evaluate(&subject.prepared.model, observer))?;
    println!("F1 is {:.1} before anything is pruned", dense["f1"]);
    let parts = parts::all(arguments, &subject);

    // Each trial once, whatever parts show it.
    let mut trials: Vec<Trial> = Vec::new();
    for (_, by) in parts.iter().flat_map(|part| &part.ways) {
        for level in &arguments.levels {
            let trial = subject.trial(by, *level);
            if figures.get(&trial).is_none() && !trials.contains(&trial) {
                trials.push(trial);
            }
        }
    }
    page::write(arguments, &subject, &parts, &figures)?;
    let mut done = 0;
    let mut kept = Ok(());
    let measured = oneshot.measure(&subject.prepared.model, &trials, observer, &mut |index, outcome| {
        let trial = &trials[index];
        done += 1;
        println!(
            "{done}/{}: {:?} at {:.0}%: F1 {:.1}",
            trials.len(),
            trial.prune.by,
            trial.sparsity * 100.0,
            outcome.metrics["f1"]
        );
        let keep = figures.put(trial, outcome).map_err(|d| vec![d]);
        let keep = keep.and_then(|()| page::write(arguments, &subject, &parts, &figures));
        if keep.is_err() {
            kept = keep;
        }
    });
    measured.map_err(|e| vec![Diagnostic::from(e)])?;
    kept
}
