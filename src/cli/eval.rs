//! `obertc eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::{Watcher, with_progress};
use super::{FINE, Format, fail, model, print};
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::device;
use crate::engine::events::{Observer, Work};
use crate::output::figures::title;
use crate::params::folder;
use crate::schedule::Schedule;
use crate::schedule::ir::{Columns, Data, Model};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::squad::Need;
use crate::task::masked_language::MaskedLanguage;
use crate::task::metric::Metrics;
use crate::task::model::checkpoint;
use crate::task::prepare::{self, Places, Prepare};
use crate::task::question_answering::QuestionAnswering;

#[derive(Args, Clone, Debug)]
pub struct EvalArgs {
    /// The model's folder, or its name on the hub
    #[arg(value_name = "MODEL_DIR")]
    model: PathBuf,
    /// The folder of data files (dev*)
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What it is measured on [default: what the model was made for]
    #[arg(long, value_enum, value_name = "TASK")]
    task: Option<TaskName>,
    /// The column of the text, for `--task classify`
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// The column of a second text, for `--task classify`
    #[arg(long, value_name = "COLUMN")]
    pair: Option<String>,
    /// The column of the label, for `--task classify` [default: label]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The longest sequence, in tokens [default: 384 for SQuAD, 128 for labels, 512 for masked text, or
    /// what the model was made with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_seq_len: Option<u64>,
    /// How far neighbouring windows of a long text overlap, in tokens [default: 128, at most half]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    doc_stride: Option<u64>,
    /// At most so many examples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// Evaluate a model that lacks the task's head: with a new one, whose weights are random
    #[arg(long)]
    new_head: bool,
    /// Tokenize all texts anew, and keep nothing of it in the cache
    #[arg(long)]
    no_cache: bool,
    /// Use no network: the model is a folder, or in the cache of the Hugging Face programs
    #[arg(long)]
    offline: bool,
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

/// A kind of data by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// Questions about texts
    Squad,
    /// The same with questions that have no answer
    SquadV2,
    /// Sentence pairs of MNLI
    Mnli,
    /// Question pairs of QQP
    Qqp,
    /// Labels in a column of a table
    Classify,
    /// Hidden tokens of texts
    MaskedText,
}

pub fn run(args: &EvalArgs) -> i32 {
    let mut sources = Sources::new();
    let folder = match model::find(&args.model, args.offline, args.quiet) {
        Ok(folder) => folder,
        Err(diagnostic) => return fail(&[diagnostic], &sources),
    };
    let args = &EvalArgs { model: folder, ..args.clone() };
    let measured = data(args).and_then(|data| match &data {
        Data::MaskedText { .. } => measure::<MaskedLanguage>(args, &data, &mut sources),
        Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
            measure::<Classification>(args, &data, &mut sources)
        }
        _ => measure::<QuestionAnswering>(args, &data, &mut sources),
    });
    match measured {
        Err(diagnostics) => fail(&diagnostics, &sources),
        Ok(Measured { metrics, examples, name, new_head }) => {
            match args.format {
                Format::Json => {
                    let mut figures = serde_json::json!({ name: examples });
                    for (name, value) in &metrics {
                        figures[name] = (*value).into();
                    }
                    if new_head {
                        figures["new_head"] = true.into();
                    }
                    print(&format!("{figures:#}\n"));
                }
                Format::Full => {
                    let titles: Vec<String> = metrics.keys().map(|name| title(name)).collect();
                    let width = titles.iter().map(String::len).max().unwrap_or(0) + 2;
                    for (title, value) in titles.iter().zip(metrics.values()) {
                        print(&format!("{title:<width$}{value:.2}\n"));
                    }
                    print(&format!("over {examples} {name}\n"));
                    if new_head {
                        print("with a new head, whose weights are random\n");
                    }
                }
            }
            FINE
        }
    }
}

/// What the flags say, else what the model's own schedule says, else what its head is for.
fn data(args: &EvalArgs) -> Result<Data, Vec<Diagnostic>> {
    let mut data = match args.task {
        Some(task) => named(task, args).map_err(|d| vec![d])?,
        None => made_for(args)?,
    };
    let positions = folder::read_config(&args.model, &mut Sources::new()).map(|c| c.longest());
    let capped = |own: usize| own.min(positions.as_ref().copied().unwrap_or(own));
    let length = |own: usize| args.max_seq_len.map_or(capped(own), |n| n as usize);
    match &mut data {
        Data::Squad { max_length, doc_stride } | Data::SquadV2 { max_length, doc_stride } => {
            *max_length = args.max_seq_len.map_or(*max_length, |n| n as usize);
            *doc_stride = args.doc_stride.map_or(128.min(*max_length / 2), |n| n as usize);
        }
        Data::Mnli { max_length } | Data::Qqp { max_length } | Data::MaskedText { max_length } => {
            *max_length = length(*max_length);
        }
        Data::Classify(columns) => columns.max_length = length(columns.max_length),
        _ => {}
    }
    Ok(data)
}

fn named(task: TaskName, args: &EvalArgs) -> Result<Data, Diagnostic> {
    Ok(match task {
        TaskName::Squad => Data::Squad { max_length: 384, doc_stride: 128 },
        TaskName::SquadV2 => Data::SquadV2 { max_length: 384, doc_stride: 128 },
        TaskName::Mnli => Data::Mnli { max_length: 128 },
        TaskName::Qqp => Data::Qqp { max_length: 128 },
        TaskName::MaskedText => Data::MaskedText { max_length: 512 },
        TaskName::Classify => Data::Classify(Columns {
            text: args.text.clone().ok_or_else(|| {
                Diagnostic::unlocated(Code::FlagMissing, "`--task classify` needs the column of the text")
                    .help("as `--task classify --text review --label sentiment`")
            })?,
            pair: args.pair.clone(),
            label: args.label.clone().unwrap_or_else(|| "label".to_owned()),
            labels: Vec::new(),
            max_length: 128,
        }),
    })
}

fn made_for(args: &EvalArgs) -> Result<Data, Vec<Diagnostic>> {
    let text = std::fs::read_to_string(args.model.join("schedule.json")).unwrap_or_default();
    let schedule: Option<Schedule> = serde_json::from_str(&text).ok();
    match schedule.map(|s| s.data) {
        Some(data @ (Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) | Data::MaskedText { .. })) => {
            return Ok(data);
        }
        Some(Data::SquadV2 { .. }) => return named(TaskName::SquadV2, args).map_err(|d| vec![d]),
        Some(_) => return named(TaskName::Squad, args).map_err(|d| vec![d]),
        None => {}
    }
    let config = folder::read_config(&args.model, &mut Sources::new());
    let class = config.ok().and_then(|c| c.architectures.first().cloned()).unwrap_or_default();
    // Of whatever family.
    let task = match class.split_once("For").map_or("", |(_, task)| task) {
        "MaskedLM" | "PreTraining" => TaskName::MaskedText,
        "SequenceClassification" => {
            return Err(vec![
                Diagnostic::unlocated(Code::FlagMissing, "the model gives labels; to what, it does not say")
                    .help("say it: `--task mnli`, `--task qqp`, or `--task classify --text COLUMN`"),
            ]);
        }
        _ => TaskName::Squad,
    };
    named(task, args).map_err(|d| vec![d])
}

/// The metrics of a model.
struct Measured {
    metrics: Metrics,
    examples: usize,
    /// What examples are called.
    name: &'static str,
    /// Whether its head is new, with random weights.
    new_head: bool,
}

fn measure<T: Prepare>(
    args: &EvalArgs,
    data: &Data,
    sources: &mut Sources,
) -> Result<Measured, Vec<Diagnostic>> {
    let device = device::open(&args.device).map_err(|d| vec![d])?;
    let places = Places {
        model: &Model::Named(args.model.display().to_string()),
        model_folder: Some(&args.model),
        data,
        data_folder: Some(&args.data),
        need: Need::Dev,
        limit_examples: args.limit_examples.map(|n| n as usize),
        dropout: None,
        may_have_new_head: args.new_head,
        distills: false,
        seed: 0,
    };
    let cache = if args.no_cache { None } else { cache::folder() };
    let prepared =
        with_progress(cache, args.quiet, |making| prepare::prepare::<T>(&places, &device, sources, making))
            .map_err(with_the_flag)?;
    if !args.quiet {
        for note in &prepared.notes {
            eprintln!("note: {note}");
        }
    }
    let mut watcher = Watcher::new(args.quiet);
    // A model that was trained with rounded values is measured with them.
    let model = checkpoint::with_scales(prepared.model, &args.model).map_err(|d| vec![d])?;
    let metrics = prepared.task.evaluate(&model, &device, &mut |done, total| {
        watcher.progress(Work::Evaluating("eval"), done as u64, total as u64);
    });
    Ok(Measured {
        metrics,
        examples: prepared.task.held_out(),
        name: T::EXAMPLES,
        new_head: !prepared.new_head.is_empty(),
    })
}

/// Adds the flag that evaluates a model without a head all the same.
fn with_the_flag(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for diagnostic in diagnostics.iter_mut().filter(|d| d.code == Code::HeadMissing) {
        diagnostic.help =
            diagnostic.help.take().map(|help| format!("{help}; `--new-head` evaluates a random one"));
    }
    diagnostics
}
