//! Executing a schedule: reads model, data and teachers, runs the engine, writes the folder of the run.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::inference_speed;
use super::models::{find_model, with_features};
use super::ranks;
use super::recorder::Recorder;
use super::resume::{self, Inputs, ResumeState, Resumed};
use super::run_config::{Resume, RunConfig};
use super::run_report::RunReport;
use super::settings;
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::events::{Event, Observer};
use crate::engine::{Estimates, Interpreter, StageResult, device, machine};
use crate::output::checkpoints::keeper::Settings;
use crate::output::checkpoints::{Checkpoints, Keeper};
use crate::output::folder;
use crate::output::log::RunLog;
use crate::output::tensorboard::Board;
use crate::params::quantization;
use crate::ranks::Ranks;
use crate::runlog::{Environment, RunFailed};
use crate::schedule::Schedule;
use crate::schedule::ir::{Model, Teacher};
use crate::task::data::cache;
use crate::task::data::splits::{Need, ReadOptions};
use crate::task::prepare::{self, FittedTeacher, Prepare, PrepareOptions, Prepared};

/// A run whose recipe is compiled, before its model and data are read.
pub(super) struct Start<'a> {
    pub(super) ranks: &'a Ranks,
    pub(super) config: &'a RunConfig,
    pub(super) begin: Instant,
    pub(super) schedule: Schedule,
    /// The text of the recipe.
    pub(super) recipe: String,
    /// The model's folder, if it is not the one that the recipe names.
    pub(super) model: Option<PathBuf>,
}

/// Why a run was refused or stopped.
pub(super) struct Refused {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Lines that are printed before the diagnostics.
    pub(super) details: String,
}

impl From<Diagnostic> for Refused {
    fn from(diagnostic: Diagnostic) -> Self {
        vec![diagnostic].into()
    }
}

impl From<Vec<Diagnostic>> for Refused {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Refused { diagnostics, details: String::new() }
    }
}

impl From<(Diagnostic, String)> for Refused {
    fn from((diagnostic, details): (Diagnostic, String)) -> Self {
        Refused { diagnostics: vec![diagnostic], details }
    }
}

impl From<resume::Refused> for Refused {
    fn from(refused: resume::Refused) -> Self {
        Refused { diagnostics: vec![refused.diagnostic], details: refused.changes }
    }
}

/// Runs a schedule for one kind of task.
pub(super) fn execute<T: Prepare + 'static>(
    start: &Start,
    sources: &mut Sources,
    observer: &mut (impl Observer + Send),
) -> Result<RunReport, Refused> {
    let Start { ranks, config, schedule, .. } = start;
    let device = device::open(&config.device)?;
    let teachers = Teachers::find(start, observer)?;
    let read = Inputs {
        schedule,
        model: start.model.as_deref(),
        data: config.data.as_deref(),
        dev: config.dev.as_deref(),
        teacher: teachers.flag.as_deref(),
        named_teachers: &teachers.named,
        device: &config.device,
        limit_steps: config.limit_steps,
        limit_examples: config.limit_examples.map(|n| n as u64),
    };
    let out = config.out.as_deref();
    let found = match config.checkpoints.resume {
        Resume::Same | Resume::Anyway if ranks.is_first() => {
            Some(config.checkpoints.find(out, &read, observer)?)
        }
        _ => None,
    };
    let is_finished = ranks.any(matches!(found, Some(ResumeState::Finished(_))));
    let resumed = match found {
        Some(ResumeState::Finished(folder)) => return Ok(finished_before(folder, schedule)),
        _ if is_finished => return Ok(finished_before(PathBuf::new(), schedule)),
        Some(ResumeState::Resumable(resumed)) => Some(*resumed),
        None => None,
    };
    let places = places(start);
    let cache = if config.cache { cache::folder() } else { None };
    let prepared: Prepared<T> = with_features(cache, observer, |feature_cache| {
        prepare::prepare(&places, &device, sources, feature_cache)
    })?;
    let scales = scales_left(schedule, start.model.as_deref());
    for note in prepared.notes.iter().chain(&scales).chain(&device::full_precision(schedule, &device)) {
        observer.note(note);
    }
    // Shown even with `--quiet`: the model that is trained is not quite the one that was given.
    if !prepared.new_head.is_empty() {
        let lost = prepared.new_head.join(", ");
        let task = T::TASK;
        let text = format!("the model has no head for {task}; new, with random weights: {lost}");
        observer.important_note(&text);
    }
    let mut load_teacher = |folder: &Path| {
        let FittedTeacher { model, notes } = prepare::teacher(folder, &prepared, &device, sources)?;
        notes.iter().for_each(|note| observer.note(note));
        Ok::<_, Vec<Diagnostic>>(model)
    };
    let teacher = teachers.flag.as_deref().map(&mut load_teacher).transpose()?;
    let mut named_teachers = HashMap::new();
    for (name, folder) in &teachers.named {
        named_teachers.insert(name.clone(), load_teacher(folder)?);
    }
    let identity = read.identity()?;
    ranks::compare_inputs(ranks, &identity, "")?;
    if let Some(note) = ranks::idle_ranks(schedule, ranks) {
        observer.important_note(&note);
    }
    let keep = config.checkpoints.max;
    let shared = ranks::share_checkpoint(ranks, resumed.as_ref().map(|resumed| &*resumed.found.path))?;
    let (place, found) = match resumed {
        _ if !ranks.is_first() => (None, shared),
        None => {
            let (folder, lock) = folder::begin(out, &schedule.name)?;
            folder::plan(&folder, schedule)?;
            let log = RunLog::create(&folder)?;
            (Some((folder, lock, log)), None)
        }
        Some(Resumed { folder, lock, found }) => {
            let log = RunLog::go_on(&folder, found.header.log_bytes)?;
            folder::clean(&folder)?;
            folder::plan(&folder, schedule)?;
            Checkpoints::of(&folder).go_on_from(&found.path, keep)?;
            (Some((folder, lock, log)), Some((found.header, found.restored)))
        }
    };
    observer.planned(schedule, config.limit_steps);
    if let Some(position) = found.as_ref().map(|(header, _)| &header.position) {
        observer.note(&format!("resuming before step {} of `{}`", position.step, position.name));
    }
    // Rank 0 alone has a folder, in which it records the run.
    let (written, mut recorder): (_, Box<dyn Observer + '_>) = match place {
        None => (None, Box::new(&mut *observer)),
        Some((folder, lock, log)) => {
            let board = config.tensorboard.then(|| Board::create(&folder)).transpose()?;
            let keeping = Settings { identity, keep, every: config.checkpoints.every };
            let recorder = Keeper::new(Recorder::new(log, board, &mut *observer), &folder, keeping);
            (Some((folder, lock)), Box::new(recorder))
        }
    };
    recorder.event(&Event::Environment(environment(start)))?;
    let interpreter = Interpreter {
        task: &prepared.task,
        schedule,
        device,
        teacher,
        named_teachers,
        limit_steps: config.limit_steps,
        estimates: Estimates::default(),
        ranks: Ranks::clone(ranks),
    };
    let clock = Instant::now();
    let before = found.as_ref().map_or(0.0, |(header, _)| header.position.seconds);
    let ran = match found {
        None => interpreter.run(prepared.model, &mut *recorder),
        Some((_, restored)) => interpreter.resume(prepared.model, restored, &mut *recorder),
    };
    let ran = ran.map_err(Diagnostic::from);
    let Some((folder, lock)) = written else {
        let (_, stages) = ran?;
        let missed = missed_expectations(schedule, &stages);
        let finished = finished_before(PathBuf::new(), schedule);
        return Ok(RunReport { stages, missed, was_finished: false, ..finished });
    };
    let (model, stages) = match ran {
        Ok(done) => done,
        Err(error) => {
            let (code, message) = (error.code.to_string(), error.message.clone());
            let seconds = before + clock.elapsed().as_secs_f64();
            let failed = Event::RunFailed(RunFailed { code, message, seconds });
            // The error of the run is returned, even if the log cannot be written either.
            let _ = recorder.event(&failed).and_then(|()| folder::report(&folder));
            return Err(resume::with_resume_help(error, &folder).into());
        }
    };
    drop(recorder);
    // A recipe of branches alone changes nothing: there is no model to save.
    if schedule.without_branches().next().is_some() {
        let labels = prepared.task.data_labels().map(<[String]>::to_vec);
        settings::of_run(&schedule.data, schedule.seed, &prepared.config, labels).write(&folder)?;
        folder::finish(&folder, &model, &prepared.config, &prepared.tokenizer)?;
        prepared.task.save_modules(&folder, &prepared.config)?;
        folder::card(&folder)?;
    }
    folder::report(&folder)?;
    if !config.checkpoints.keep {
        Checkpoints::of(&folder).remove()?;
    }
    drop(lock);
    let seconds = before + start.begin.elapsed().as_secs_f64();
    let last = stages.iter().rev().find(|r| !r.branch);
    let speed = last
        .filter(|_| config.measure_speed && config.device == "cpu")
        .and_then(|last| inference_speed::measured(&folder, &last.name, &prepared.task));
    let missed = missed_expectations(schedule, &stages);
    let schedule = schedule.clone();
    Ok(RunReport { folder, stages, seconds, speed, missed, was_finished: false, schedule })
}

/// The folders of the teacher models.
struct Teachers {
    /// `--teacher`.
    flag: Option<PathBuf>,
    /// Teachers that the recipe names.
    named: BTreeMap<String, PathBuf>,
}

impl Teachers {
    fn find(start: &Start, observer: &mut dyn Observer) -> Result<Teachers, Diagnostic> {
        let mut find = |name: &Path| find_model(name, start.config.offline, observer);
        let flag = start.config.teacher.as_deref().map(&mut find).transpose()?;
        let mut named = BTreeMap::new();
        for stage in &start.schedule.stages {
            if let Some(Teacher::Named(name)) = stage.distill.as_ref().map(|d| &d.from) {
                named.insert(name.clone(), find(Path::new(name))?);
            }
        }
        Ok(Teachers { flag, named })
    }
}

/// Where model and data come from, and whether the training data is read.
fn places<'a>(start: &'a Start) -> PrepareOptions<'a> {
    let Start { config, schedule, .. } = start;
    let trains = schedule.stages.iter().any(|s| !s.length.is_zero());
    let estimates = schedule.stages.iter().flat_map(|s| &s.prune).any(|p| p.needs_training_data());
    let calibrates = schedule.stages.iter().flat_map(|s| &s.quantize).any(|q| q.calibrate > 0);
    PrepareOptions {
        model: &schedule.model,
        model_folder: start.model.as_deref(),
        data: &schedule.data,
        data_folder: config.data.as_deref(),
        reading: ReadOptions {
            dev: config.dev.as_deref(),
            skip_bad: config.skip_bad,
            ..ReadOptions::default()
        },
        need: if trains || estimates || calibrates { Need::Both } else { Need::Dev },
        limit_examples: config.limit_examples,
        dropout: schedule.stages.iter().find_map(|s| s.train.dropout),
        may_have_new_head: true,
        distills: schedule.stages.iter().any(|s| s.distill.is_some()),
        needs_labels: schedule.stages.iter().any(|s| !s.length.is_zero() && s.distill.is_none()),
        seed: schedule.seed,
    }
}

/// The report of a run that was finished before.
fn finished_before(folder: PathBuf, schedule: &Schedule) -> RunReport {
    RunReport {
        folder,
        stages: Vec::new(),
        seconds: 0.0,
        speed: None,
        missed: Vec::new(),
        was_finished: true,
        schedule: schedule.clone(),
    }
}

/// A note for a model that was trained with quantization: its scales are not used.
fn scales_left(schedule: &Schedule, model: Option<&Path>) -> Option<String> {
    let named = match &schedule.model {
        Model::Named(name) => Some(Path::new(name.as_str())),
        Model::NewBert(_) => None,
    };
    let folder = model.or(named).filter(|folder| folder.join(quantization::FILE).exists())?;
    Some(format!(
        "the weights in `{}` are quantized; the run begins with their values, not with their scales",
        folder.display()
    ))
}

/// The event that records the machine, the command and the recipe's text.
fn environment(start: &Start) -> Environment {
    let command = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    machine::environment(command, start.config.recipe.name(), start.recipe.clone())
}

/// A diagnostic for each metric of the final model that is outside the range of `expect`.
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
