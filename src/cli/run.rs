//! `obertc run`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use super::checkpointing::{self, CheckpointArgs, Outcome, Read, Resumed};
use super::compile::{self, Compiler, Failure, RecipeArgs, shown};
use super::eta::Eta;
use super::progress::{Watcher, with_progress};
use super::{ERRORS, FINE, fail, inference_speed, memory_check, model, print, print_diagnostics, stop};
use crate::diag::{Code, Diagnostic, Severity, Sources, Span};
use crate::engine::events::{Event, Observer};
use crate::engine::{Estimates, Interpreter, StageResult, device, machine};
use crate::language::Compilation;
use crate::output::checkpoints::keeper::Settings;
use crate::output::checkpoints::{Checkpoints, Keeper};
use crate::output::log::RunLog;
use crate::output::tensorboard::Board;
use crate::output::{folder, summary};
use crate::params::quantization;
use crate::runlog::{Environment, RunFailed};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model, Teacher};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::squad::Need;
use crate::task::masked_language::MaskedLanguage;
use crate::task::prepare::{self, FittedTeacher, Places, Prepare};
use crate::task::question_answering::QuestionAnswering;

#[derive(Args, Debug)]
pub struct RunArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// The folder of data files: train* and dev* or validation* (json for SQuAD; tsv, csv or jsonl for
    /// labels; txt or jsonl for masked text; parquet for any)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the model and the log go [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The model that `distill from teacher` learns from: its folder or its name on the hub
    #[arg(long, value_name = "DIR")]
    teacher: Option<PathBuf>,
    /// Tokenize all texts anew, and keep nothing of it in the cache
    #[arg(long)]
    no_cache: bool,
    /// Use no network: models are folders, or in the cache of the Hugging Face programs
    #[arg(long)]
    offline: bool,
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
    /// Write TensorBoard's event files too, into the run's folder
    #[arg(long)]
    tensorboard: bool,
    /// Do not measure how fast the model answers at the end
    #[arg(long)]
    no_speed: bool,
    /// Print nothing but errors and the summary
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
}

pub fn run(args: &RunArgs) -> i32 {
    let begin = Instant::now();
    let (schedule, compiled, model) = match prepared(args) {
        Ok(prepared) => prepared,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    let found = model.as_deref();
    let recipe = compiled.sources.get(compiled.main).text.clone();
    let shortage = match args.device.as_str() {
        "cpu" => memory_check::check(&schedule, compiled.parameters.as_ref(), found),
        _ => None,
    };
    let mut sources = compiled.sources;
    match shortage {
        Some(error) if error.severity == Severity::Error => return fail(&[error], &sources),
        warning => print_diagnostics(&warning.into_iter().collect::<Vec<_>>(), &sources),
    }
    let done = match &schedule.data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
            execute::<QuestionAnswering>(args, begin, &schedule, &recipe, found, &mut sources)
        }
        Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
            execute::<Classification>(args, begin, &schedule, &recipe, found, &mut sources)
        }
        Data::MaskedText { .. } => {
            execute::<MaskedLanguage>(args, begin, &schedule, &recipe, found, &mut sources)
        }
        Data::Own => Err(vec![data_of_a_program()]),
    };
    match done {
        Err(diagnostics) => fail(&diagnostics, &sources),
        Ok(Done::Before(folder)) => {
            print(&format!("the run in `{}` is finished\n", folder.display()));
            FINE
        }
        Ok(Done::Now(folder, results, seconds, speed)) => {
            print(&format!("\n{}{speed}", summary::summary(&schedule, &results, &folder, seconds)));
            let missed = missed_expectations(&schedule, &results);
            print_diagnostics(&missed, &sources);
            if missed.is_empty() { FINE } else { ERRORS }
        }
    }
}

/// The schedule with the flags in it, and the folder of its model. A model is fetched after everything
/// that can be checked without it.
fn prepared(args: &RunArgs) -> Result<(Schedule, Compilation, Option<PathBuf>), Failure> {
    let mut meaning = args.recipe_args.clone();
    let given = meaning.model.take_if(|folder| !folder.exists());
    let text = compile::read(&args.recipe).map_err(|d| (vec![d], Sources::new()))?;
    let (schedule, compiled) = compiled(args, &text, &meaning)?;
    let named = match (&meaning.model, &schedule.model) {
        (None, Model::Named(name)) if !Path::new(name).is_dir() => Some(PathBuf::from(name)),
        _ => None,
    };
    let needs_data = !matches!(schedule.data, Data::BuiltinReading { .. } | Data::Own);
    let lacks_data = needs_data && !args.data.as_deref().is_some_and(Path::is_dir);
    let Some(name) = given.as_ref().or(named.as_ref()).filter(|_| !lacks_data) else {
        print_diagnostics(&compiled.diagnostics, &compiled.sources);
        return Ok((schedule, compiled, meaning.model));
    };
    match model::find(name, args.offline, args.quiet) {
        Err(diagnostic) => {
            let written = given.is_none().then(|| place_of(name, &compiled)).flatten();
            let diagnostic = match written {
                Some(place) => diagnostic.at(place, "this model"),
                None => diagnostic,
            };
            Err((vec![diagnostic], compiled.sources))
        }
        Ok(folder) => {
            meaning.model = Some(folder);
            let (schedule, compiled) = self::compiled(args, &text, &meaning)?;
            print_diagnostics(&compiled.diagnostics, &compiled.sources);
            Ok((schedule, compiled, meaning.model))
        }
    }
}

/// Where the recipe names a model.
fn place_of(name: &Path, compiled: &Compilation) -> Option<Span> {
    let written = format!("\"{}\"", name.display());
    let at = compiled.sources.get(compiled.main).text.find(&written)?;
    Some(Span::new(compiled.main, at..at + written.len()))
}

/// Compiles the recipe and puts the flags in its schedule.
fn compiled(args: &RunArgs, text: &str, meaning: &RecipeArgs) -> Result<(Schedule, Compilation), Failure> {
    let mut compiled = Compiler::new(meaning)?.for_command(&shown(&args.recipe), text);
    let Some(mut schedule) = compiled.schedule.take() else {
        return Err((compiled.diagnostics, compiled.sources));
    };
    if let Err(diagnostic) = apply_flags(args, &mut schedule) {
        return Err((vec![diagnostic], compiled.sources));
    }
    Ok((schedule, compiled))
}

/// Flags that take the place of something in the recipe.
fn apply_flags(args: &RunArgs, schedule: &mut Schedule) -> Result<(), Diagnostic> {
    if let Some(seed) = args.seed {
        schedule.seed = seed;
    }
    set_length(&mut schedule.data, args.max_seq_len)?;
    data_flag(&schedule.data, args.data.as_deref())?;
    let wants_teacher =
        schedule.stages.iter().any(|s| s.distill.as_ref().is_some_and(|d| d.from == Teacher::Flag));
    match (wants_teacher, &args.teacher) {
        (false, Some(_)) => Err(no_effect("--teacher", "the recipe does not say `distill from teacher`")),
        (true, None) => {
            Err(Diagnostic::unlocated(Code::FlagMissing, "the recipe says `distill from teacher`")
                .help("give the teacher's folder: `--teacher DIR`"))
        }
        _ => Ok(()),
    }
}

fn no_effect(flag: &str, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::FlagHasNoEffect, format!("`{flag}` has no effect: {why}"))
        .help("leave it out")
}

/// Gives the data another length of sequences.
pub(super) fn set_length(data: &mut Data, length: Option<u64>) -> Result<(), Diagnostic> {
    match (data, length) {
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
        (_, Some(_)) => return Err(no_effect("--max-seq-len", "the built-in texts have one length")),
        _ => {}
    }
    Ok(())
}

/// Refuses `--data` where the recipe generates its own.
pub(super) fn data_flag(data: &Data, folder: Option<&Path>) -> Result<(), Diagnostic> {
    match (data, folder) {
        (Data::BuiltinReading { .. }, Some(_)) => Err(no_effect("--data", "the recipe generates its data")),
        _ => Ok(()),
    }
}

/// A recipe whose data no file holds.
pub(super) fn data_of_a_program() -> Diagnostic {
    Diagnostic::unlocated(Code::DataNotFound, "the recipe's data is that of a program: `data: own`")
        .help("run it through the library, or name a data set such as `squad`")
}

/// A run that is over.
enum Done {
    /// It was over already.
    Before(PathBuf),
    /// Its folder, what came of its stages, the seconds that it took in all, and what is said of its speed.
    Now(PathBuf, Vec<StageResult>, f64, String),
}

fn execute<T: Prepare + 'static>(
    args: &RunArgs,
    begin: Instant,
    schedule: &Schedule,
    recipe: &str,
    model: Option<&Path>,
    sources: &mut Sources,
) -> Result<Done, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let device = device::open(&args.device).map_err(one)?;
    let find = |name: &Path| model::find(name, args.offline, args.quiet).map_err(one);
    let teacher_folder = args.teacher.as_deref().map(find).transpose()?;
    let mut teacher_folders = BTreeMap::new();
    for stage in &schedule.stages {
        if let Some(Teacher::Named(name)) = stage.distill.as_ref().map(|d| &d.from) {
            teacher_folders.insert(name.clone(), find(Path::new(name))?);
        }
    }
    let read = Read {
        schedule,
        model,
        data: args.data.as_deref(),
        teacher: teacher_folder.as_deref(),
        named_teachers: &teacher_folders,
        device: &args.device,
        limit_steps: args.limit_steps,
        limit_examples: args.limit_examples,
    };
    let resumed = match args.checkpoints.goes_on() {
        false => None,
        true => match args.checkpoints.find(args.out.as_deref(), &read)? {
            Outcome::Finished(folder) => return Ok(Done::Before(folder)),
            Outcome::Going(resumed) => Some(*resumed),
        },
    };
    let trains = schedule.stages.iter().any(|s| !s.length.is_zero());
    let estimates = schedule.stages.iter().flat_map(|s| &s.prune).any(|p| p.by.needs_gradients());
    let calibrates = schedule.stages.iter().flat_map(|s| &s.quantize).any(|q| q.calibrate > 0);
    let places = Places {
        model: &schedule.model,
        model_folder: model,
        data: &schedule.data,
        data_folder: args.data.as_deref(),
        need: if trains || estimates || calibrates { Need::Both } else { Need::Dev },
        limit_examples: args.limit_examples.map(|n| n as usize),
        dropout: schedule.stages.iter().find_map(|s| s.train.dropout),
        may_have_new_head: true,
        distills: schedule.stages.iter().any(|s| s.distill.is_some()),
        seed: schedule.seed,
    };
    let cache = if args.no_cache { None } else { cache::folder() };
    let prepared =
        with_progress(cache, args.quiet, |making| prepare::prepare::<T>(&places, &device, sources, making))?;
    if !args.quiet {
        for note in prepared
            .notes
            .iter()
            .chain(&scales_left(schedule, model))
            .chain(&device::full_precision(schedule, &device))
        {
            eprintln!("note: {note}");
        }
    }
    // Also when it is quiet: what is trained then is not what was given.
    if !prepared.new_head.is_empty() {
        let lost = prepared.new_head.join(", ");
        eprintln!("note: the model has no head for {}; new, with random weights: {lost}", T::TASK);
    }
    let mut load_teacher = |folder: &Path| {
        let FittedTeacher { model, notes } = prepare::teacher(folder, &prepared, &device, sources)?;
        if !args.quiet {
            notes.iter().for_each(|note| eprintln!("note: {note}"));
        }
        Ok::<_, Vec<Diagnostic>>(model)
    };
    let teacher = teacher_folder.as_deref().map(&mut load_teacher).transpose()?;
    let mut named_teachers = HashMap::new();
    for (name, folder) in &teacher_folders {
        named_teachers.insert(name.clone(), load_teacher(folder)?);
    }
    let identity = read.identity().map_err(one)?;
    let (folder, lock, log, found) = match resumed {
        None => {
            let (folder, lock) = folder::begin(args.out.as_deref(), &schedule.name).map_err(one)?;
            folder::plan(&folder, schedule).map_err(one)?;
            let log = RunLog::create(&folder).map_err(one)?;
            (folder, lock, log, None)
        }
        Some(Resumed { folder, lock, found }) => {
            let log = RunLog::go_on(&folder, found.header.log_bytes).map_err(one)?;
            folder::clean(&folder).map_err(one)?;
            folder::plan(&folder, schedule).map_err(one)?;
            Checkpoints::of(&folder)
                .go_on_from(&found.path, args.checkpoints.keep_checkpoints)
                .map_err(one)?;
            (folder, lock, log, Some(found))
        }
    };
    let settings = Settings {
        identity,
        keep: args.checkpoints.keep_checkpoints,
        every: args.checkpoints.checkpoint_every,
    };
    let board = args.tensorboard.then(|| Board::create(&folder)).transpose().map_err(one)?;
    let watcher = Watcher::new(args.quiet)
        .stopping(stop::on_request("before the next step"))
        .recording(log, board)
        .with_eta(Eta::new(schedule, args.limit_steps));
    let mut watcher = Keeper::new(watcher, &folder, settings);
    watcher.event(&Event::Environment(environment(args, recipe))).map_err(one)?;
    let interpreter = Interpreter {
        task: &prepared.task,
        schedule,
        device,
        teacher,
        named_teachers,
        limit_steps: args.limit_steps,
        estimates: Estimates::default(),
    };
    let clock = Instant::now();
    let before = found.as_ref().map_or(0.0, |found| found.header.position.seconds);
    let ran = match found {
        None => interpreter.run(prepared.model, &mut watcher),
        Some(found) => {
            let position = &found.header.position;
            if !args.quiet {
                eprintln!("going on before step {} of `{}`", position.step, position.name);
            }
            interpreter.resume(prepared.model, found.restored, &mut watcher)
        }
    };
    let (model, results) = match ran.map_err(Diagnostic::from) {
        Ok(done) => done,
        Err(error) => {
            let (code, message) = (error.code.to_string(), error.message.clone());
            let failed = {
                let seconds = before + clock.elapsed().as_secs_f64();
                Event::RunFailed(RunFailed { code, message, seconds })
            };
            // What is told is why it failed; a record that cannot be kept is a consequence.
            let _ = watcher.event(&failed).and_then(|()| folder::report(&folder));
            return Err(vec![checkpointing::with_the_way_on(error, &folder)]);
        }
    };
    drop(watcher);
    // A recipe of branches alone changes nothing: there is no model to keep.
    if schedule.carried().next().is_some() {
        folder::finish(&folder, &model, &prepared.config, &prepared.tokenizer).map_err(one)?;
        folder::card(&folder).map_err(one)?;
    }
    folder::report(&folder).map_err(one)?;
    drop(lock);
    let seconds = before + begin.elapsed().as_secs_f64();
    let last = results.iter().rev().find(|r| !r.branch);
    let speed = match last {
        Some(last) if !args.no_speed && args.device == "cpu" => {
            inference_speed::measured(&folder, &last.name, &prepared.task)
        }
        _ => None,
    };
    Ok(Done::Now(folder, results, seconds, speed.unwrap_or_default()))
}

/// What becomes of the scales of a model that was trained with rounded values.
fn scales_left(schedule: &Schedule, model: Option<&Path>) -> Option<String> {
    let named = match &schedule.model {
        Model::Named(name) => Some(Path::new(name.as_str())),
        Model::NewBert(_) => None,
    };
    let folder = model.or(named).filter(|folder| folder.join(quantization::FILE).exists())?;
    Some(format!(
        "the weights in `{}` are rounded; the run begins with them, not with their scales",
        folder.display()
    ))
}

/// The machine, the command and the recipe as it stands in its file.
fn environment(args: &RunArgs, recipe: &str) -> Environment {
    let command = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    machine::environment(command, shown(&args.recipe), recipe.to_owned())
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
