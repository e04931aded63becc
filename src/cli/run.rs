//! `obertc run`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::compile::{Compiler, Meaning};
use super::progress::Watcher;
use super::{ERRORS, FINE, complain, fail, say};
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::{self, Estimates, Interpreter, StageResult, device};
use crate::output::log::RunLog;
use crate::output::{folder, summary};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Teacher};
use crate::task::classification::Classification;
use crate::task::data::squad::Need;
use crate::task::masked_language::MaskedLanguage;
use crate::task::prepare::{self, Places, Prepare};
use crate::task::question_answering::QuestionAnswering;

#[derive(Args, Debug)]
pub struct RunArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    meaning: Meaning,
    /// The folder of data files: train* and dev* (json for SQuAD; tsv, csv or jsonl for labels; txt or
    /// jsonl for masked text)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the model and the log go [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The model that `distill from teacher` learns from
    #[arg(long, value_name = "DIR")]
    teacher: Option<PathBuf>,
    /// Where it is computed
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// The seed, in place of the recipe's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// At most so many steps in a stage: epochs are shortened, so that every event still happens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_steps: Option<u64>,
    /// At most so many examples to train on, and to measure on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit_examples: Option<u64>,
    /// The longest sequence in tokens, in place of the recipe's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(8..=1 << 20))]
    max_seq_len: Option<u64>,
    /// Print nothing but errors and the summary
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: &RunArgs) -> i32 {
    let begin = Instant::now();
    let mut compiled = match Compiler::new(&args.meaning).and_then(|compiler| compiler.file(&args.recipe)) {
        Ok(compiled) => compiled,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    let Some(mut schedule) = compiled.schedule.take() else {
        return fail(&compiled.diagnostics, &compiled.sources);
    };
    complain(&compiled.diagnostics, &compiled.sources);
    let mut sources = compiled.sources;
    if let Err(diagnostic) = apply_flags(args, &mut schedule) {
        return fail(&[diagnostic], &sources);
    }
    let missing: Vec<Diagnostic> = engine::missing(&schedule).into_iter().map(Diagnostic::from).collect();
    if !missing.is_empty() {
        return fail(&missing, &sources);
    }
    let done = match &schedule.data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
            execute::<QuestionAnswering>(args, &schedule, &mut sources)
        }
        Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
            execute::<Classification>(args, &schedule, &mut sources)
        }
        Data::MaskedText { .. } => execute::<MaskedLanguage>(args, &schedule, &mut sources),
        Data::Own => Err(vec![
            Diagnostic::unlocated(Code::DataNotFound, "the recipe's data is that of a program: `data: own`")
                .help("run it through the library, or name a data set such as `squad`"),
        ]),
    };
    match done {
        Err(diagnostics) => fail(&diagnostics, &sources),
        Ok((folder, results)) => {
            let seconds = begin.elapsed().as_secs_f64();
            say(&format!("\n{}", summary::summary(&schedule, &results, &folder, seconds)));
            let missed = missed_expectations(&schedule, &results);
            complain(&missed, &sources);
            if missed.is_empty() { FINE } else { ERRORS }
        }
    }
}

/// Flags that take the place of something in the recipe.
fn apply_flags(args: &RunArgs, schedule: &mut Schedule) -> Result<(), Diagnostic> {
    if let Some(seed) = args.seed {
        schedule.seed = seed;
    }
    let no_effect = |flag: &str, why: &str| {
        Err(Diagnostic::unlocated(Code::FlagHasNoEffect, format!("`{flag}` has no effect: {why}"))
            .help("leave it out"))
    };
    match (&mut schedule.data, args.max_seq_len) {
        (
            Data::Mnli { max_length } | Data::Qqp { max_length } | Data::MaskedText { max_length },
            Some(length),
        ) => *max_length = length as usize,
        (Data::Classify(columns), Some(length)) => columns.max_length = length as usize,
        (Data::Squad { max_length, doc_stride } | Data::SquadV2 { max_length, doc_stride }, Some(length)) => {
            *max_length = length as usize;
            // A shorter length must still move on from window to window.
            *doc_stride = (*doc_stride).min(*max_length / 2);
        }
        (_, Some(_)) => return no_effect("--max-seq-len", "the built-in texts have one length"),
        _ => {}
    }
    let built_in = matches!(schedule.data, Data::BuiltinReading { .. });
    if built_in && args.data.is_some() {
        return no_effect("--data", "the recipe generates its data");
    }
    let wants_teacher =
        schedule.stages.iter().any(|s| s.distill.as_ref().is_some_and(|d| d.from == Teacher::Flag));
    match (wants_teacher, &args.teacher) {
        (false, Some(_)) => no_effect("--teacher", "the recipe does not say `distill from teacher`"),
        (true, None) => {
            Err(Diagnostic::unlocated(Code::FlagMissing, "the recipe says `distill from teacher`")
                .help("give the teacher's folder: `--teacher DIR`"))
        }
        _ => Ok(()),
    }
}

type Finished = (PathBuf, Vec<StageResult>);

fn execute<T: Prepare>(
    args: &RunArgs,
    schedule: &Schedule,
    sources: &mut Sources,
) -> Result<Finished, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let device = device::open(&args.device).map_err(one)?;
    let trains = schedule.stages.iter().any(|s| !s.length.is_zero());
    let estimates = schedule.stages.iter().flat_map(|s| &s.prune).any(|p| p.by.needs_gradients());
    let places = Places {
        model: &schedule.model,
        model_folder: args.meaning.model.as_deref(),
        data: &schedule.data,
        data_folder: args.data.as_deref(),
        need: if trains || estimates { Need::Both } else { Need::Dev },
        limit_examples: args.limit_examples.map(|n| n as usize),
        dropout: schedule.stages.iter().find_map(|s| s.train.dropout),
        distills: schedule.stages.iter().any(|s| s.distill.is_some()),
        seed: schedule.seed,
    };
    let prepared = prepare::prepare::<T>(&places, &device, sources)?;
    if !args.quiet {
        for note in &prepared.notes {
            eprintln!("note: {note}");
        }
    }
    let mut load_teacher = |path: &Path| prepare::teacher(path, &prepared, &device, sources);
    let teacher = args.teacher.as_deref().map(&mut load_teacher).transpose()?;
    let mut named_teachers = HashMap::new();
    for stage in &schedule.stages {
        if let Some(Teacher::Named(name)) = stage.distill.as_ref().map(|d| &d.from) {
            named_teachers.insert(name.clone(), load_teacher(Path::new(name))?);
        }
    }
    let folder = folder::begin(args.out.as_deref(), &schedule.name).map_err(one)?;
    let log = RunLog::create(&folder).map_err(one)?;
    let mut watcher = Watcher::new(Some(log), args.quiet);
    let interpreter = Interpreter {
        task: &prepared.task,
        schedule,
        device,
        teacher,
        named_teachers,
        limit_steps: args.limit_steps,
        estimates: Estimates::default(),
    };
    let (model, results) =
        interpreter.run(prepared.model, &mut watcher).map_err(|e| vec![Diagnostic::from(e)])?;
    drop(watcher);
    // A recipe of branches alone changes nothing: there is no model to keep.
    if schedule.carried().next().is_some() {
        folder::finish(&folder, &model, &prepared.config, &prepared.tokenizer, schedule).map_err(one)?;
    }
    Ok((folder, results))
}

/// The metrics of the last carried stage that miss their range.
fn missed_expectations(schedule: &Schedule, results: &[StageResult]) -> Vec<Diagnostic> {
    let Some(last) = results.iter().rev().find(|r| !r.branch) else { return Vec::new() };
    schedule
        .expect
        .iter()
        .filter_map(|expected| {
            let value = last.metrics.get(&expected.metric).copied().unwrap_or(f64::NAN);
            let reached = expected.least <= value && value <= expected.most;
            (!reached).then(|| {
                let range = format!("{}..{}", expected.least, expected.most);
                let message = format!("{} is {value:.2}, expected in {range}", expected.metric);
                Diagnostic::unlocated(Code::ExpectFailed, message).help("the model was saved all the same")
            })
        })
        .collect()
}
