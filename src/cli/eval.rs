//! `obertc eval`.

use std::path::PathBuf;

use clap::Args;

use super::progress::Watcher;
use super::{FINE, Format, fail, say};
use crate::diag::{Diagnostic, Sources};
use crate::engine::device;
use crate::engine::events::{Observer, Work};
use crate::schedule::ir::{Data, Model};
use crate::task::Task;
use crate::task::data::squad::Need;
use crate::task::metric::Metrics;
use crate::task::prepare::{self, Places};

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model's folder
    #[arg(value_name = "MODEL_DIR")]
    model: PathBuf,
    /// The folder of data files (dev*.json)
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The longest sequence, in tokens
    #[arg(long, value_name = "N", default_value_t = 384, value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_seq_len: u64,
    /// How far neighbouring windows of a long text overlap, in tokens [default: 128, at most half]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    doc_stride: Option<u64>,
    /// At most so many questions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Where it is computed
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: &EvalArgs) -> i32 {
    let mut sources = Sources::new();
    match measure(args, &mut sources) {
        Err(diagnostics) => fail(&diagnostics, &sources),
        Ok((metrics, questions)) => {
            match args.format {
                Format::Json => {
                    let mut figures = serde_json::json!({ "questions": questions });
                    for (name, value) in &metrics {
                        figures[name] = (*value).into();
                    }
                    say(&format!("{figures:#}\n"));
                }
                Format::Full => {
                    for (name, value) in &metrics {
                        say(&format!("{:<4}{value:.2}\n", name.to_uppercase()));
                    }
                    say(&format!("over {questions} questions\n"));
                }
            }
            FINE
        }
    }
}

fn measure(args: &EvalArgs, sources: &mut Sources) -> Result<(Metrics, usize), Vec<Diagnostic>> {
    let device = device::open(&args.device).map_err(|d| vec![d])?;
    let max_length = args.max_seq_len as usize;
    let doc_stride = args.doc_stride.map_or(128.min(max_length / 2), |n| n as usize);
    let data = Data::Squad { max_length, doc_stride };
    let places = Places {
        model: &Model::Named(args.model.display().to_string()),
        model_folder: Some(&args.model),
        data: &data,
        data_folder: Some(&args.data),
        need: Need::Dev,
        limit_examples: args.limit_examples.map(|n| n as usize),
        dropout: None,
        seed: 0,
    };
    let prepared = prepare::prepare(&places, &device, sources)?;
    if !args.quiet {
        for note in &prepared.notes {
            eprintln!("note: {note}");
        }
    }
    let mut watcher = Watcher::new(None, args.quiet);
    let metrics = prepared.task.evaluate(&prepared.model, &device, &mut |done, total| {
        watcher.progress(Work::Evaluating("eval"), done as u64, total as u64);
    });
    Ok((metrics, prepared.task.dev_questions.len()))
}
