//! Resuming a run: finds its checkpoint and compares recipe, data, model and flags with those that it began with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::run_config::{CheckpointConfig, Resume};
use crate::diag::{Code, Diagnostic, Severity, Sources};
use crate::engine::events::Observer;
use crate::output::checkpoints::identity::{self, changed};
use crate::output::checkpoints::{Checkpoints, Found, Identity};
use crate::output::folder;
use crate::output::lock::Lock;
use crate::plan::{diff, table};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model, Teacher};
use crate::schedule::past::{self, Reached};

/// Why a run is not resumed.
pub(crate) struct Refused {
    pub(crate) diagnostic: Diagnostic,
    /// The differences from the beginning of the run, line by line; empty if there are none.
    pub(crate) changes: String,
}

impl From<Diagnostic> for Refused {
    fn from(diagnostic: Diagnostic) -> Self {
        Refused { diagnostic, changes: String::new() }
    }
}

/// A run to be resumed.
pub(crate) struct Resumed {
    pub(crate) folder: PathBuf,
    pub(crate) lock: Lock,
    pub(crate) found: Found,
}

/// The state of the run that `--resume` names.
pub(crate) enum ResumeState {
    /// It is finished.
    Finished(PathBuf),
    /// It can be resumed.
    Resumable(Box<Resumed>),
}

/// The inputs of a run: files, schedule and flags that change its result.
pub(crate) struct Inputs<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) model: Option<&'a Path>,
    pub(crate) data: Option<&'a Path>,
    pub(crate) dev: Option<&'a Path>,
    pub(crate) teacher: Option<&'a Path>,
    /// The folders of the teachers that the recipe names.
    pub(crate) named_teachers: &'a BTreeMap<String, PathBuf>,
    pub(crate) device: &'a str,
    pub(crate) limit_steps: Option<u64>,
    pub(crate) limit_examples: Option<u64>,
}

impl Inputs<'_> {
    /// The identity of the run, with the present contents of its files.
    pub(crate) fn identity(&self) -> Result<Identity, Diagnostic> {
        let named = match &self.schedule.model {
            Model::Named(name) => Some(Path::new(name.as_str())),
            Model::NewBert(_) => None,
        };
        let mut files = Vec::new();
        if let Some(folder) = self.model.or(named) {
            files.extend(identity::model("model", folder)?);
        }
        if let Some(folder) = self.data.filter(|_| !matches!(self.schedule.data, Data::BuiltinReading { .. }))
        {
            files.extend(identity::data(folder)?);
        }
        if let Some(path) = self.dev {
            files.extend(identity::data(path)?);
        }
        if let Some(folder) = self.teacher {
            files.extend(identity::model("teacher", folder)?);
        }
        for (name, folder) in self.named_teachers {
            files.extend(identity::model(&format!("teacher {name}"), folder)?);
        }
        Ok(Identity {
            schedule: self.schedule.clone(),
            device: self.device.to_owned(),
            limit_steps: self.limit_steps,
            limit_examples: self.limit_examples,
            files,
        })
    }
}

impl CheckpointConfig {
    /// Finds the run to resume and its newest checkpoint that can be read.
    ///
    /// # Errors
    /// There is no run, it has no checkpoint that can be read, or its inputs have changed.
    pub(crate) fn find(
        &self,
        out: Option<&Path>,
        read: &Inputs,
        observer: &mut dyn Observer,
    ) -> Result<ResumeState, Refused> {
        let one = Refused::from;
        let nothing =
            |why: String, help: &str| one(Diagnostic::unlocated(Code::NothingToResume, why).help(help));
        let folder = folder::latest(out, &read.schedule.name);
        if !folder.join("run.jsonl").exists() {
            let why = format!("there is no run in `{}`", folder.display());
            return Err(nothing(why, "leave `--resume` out to begin one"));
        }
        let lock = Lock::take(&folder).map_err(one)?;
        let identity = read.identity().map_err(one)?;
        let newest = Checkpoints::of(&folder).newest();
        if folder::is_finished(&folder, read.schedule.without_branches().next().is_some()) {
            match &newest {
                Ok(Some(found)) if !Change::all(&found.header.identity, &identity).is_empty() => {}
                Ok(None) if !is_as_planned(&folder, read.schedule) => {
                    let what = format!(
                        "`{}` is finished, was made by another recipe, and has no checkpoints from which it could continue",
                        folder.display()
                    );
                    return Err(one(Diagnostic::unlocated(Code::RunDiffers, what).help(
                        "begin a new run with another `--out`; a run with `--keep-checkpoints` can be continued after its end",
                    )));
                }
                _ => return Ok(ResumeState::Finished(folder)),
            }
        }
        let found = newest.map_err(one)?;
        let found = found.ok_or_else(|| {
            let why = format!("the run in `{}` has no checkpoint", folder.display());
            nothing(why, "remove the folder, or give another with `--out DIR`, and begin again")
        })?;
        self.compare(&folder, &found, &identity)?;
        for (path, why) in &found.broken {
            let message = format!("`{}` cannot be used: {why}", path.display());
            let mut broken = Diagnostic::unlocated(Code::CheckpointNotUsable, message)
                .help(format!("going on from `{}`, the one before", found.path.display()));
            broken.severity = Severity::Warning;
            observer.warnings(&[broken], &Sources::new());
        }
        Ok(ResumeState::Resumable(Box::new(Resumed { folder, lock, found })))
    }

    /// Refuses to resume with changed inputs, unless that was asked for and changes only later steps.
    fn compare(&self, folder: &Path, found: &Found, now: &Identity) -> Result<(), Refused> {
        let (before, position) = (&found.header.identity, &found.header.position);
        let changes = Change::all(before, now);
        if changes.is_empty() {
            return Ok(());
        }
        let shown: String = changes.iter().map(|change| format!("{}\n", change.shown)).collect();
        let what: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
        let reached = Reached {
            stage: position.stage,
            step: position.step,
            steps_per_epoch: position.steps_per_epoch,
            limit: before.limit_steps,
        };
        let past = changes.iter().find_map(|change| change.touches_the_past(before, now, reached));
        if past.is_none() && self.resume == Resume::Anyway {
            return Ok(());
        }
        let folder = folder.display();
        let diagnostic = match past {
            Some(why) if self.resume == Resume::Anyway => {
                Diagnostic::unlocated(Code::PastDiffers, format!("`{folder}` cannot be resumed: {why}"))
                    .help("undo the change, or begin a new run")
            }
            Some(why) => Diagnostic::unlocated(
                Code::RunDiffers,
                format!("`{folder}` was begun with another {}: {why}", what.join(", ")),
            )
            .help("undo the change, or begin a new run with another `--out`"),
            None => Diagnostic::unlocated(
                Code::RunDiffers,
                format!("`{folder}` was begun with another {}", what.join(", ")),
            )
            .help("undo the change, or continue with it, as it affects only later steps: `--resume-anyway`"),
        };
        Err(Refused { diagnostic, changes: shown })
    }
}

/// Whether the schedule in the folder of a run equals this one. True if it cannot be read.
fn is_as_planned(folder: &Path, schedule: &Schedule) -> bool {
    let text = std::fs::read_to_string(folder.join("schedule.json")).unwrap_or_default();
    let before = serde_json::from_str::<Schedule>(&text);
    before.map_or(true, |before| past::essence(&before) == past::essence(schedule))
}

/// A difference from the beginning of the run.
pub(super) struct Change {
    /// The input that changed, in a word: `recipe`, `data`, `model`.
    pub(super) what: String,
    /// The old and the new value.
    pub(super) shown: String,
}

impl Change {
    /// All differences.
    pub(super) fn all(before: &Identity, now: &Identity) -> Vec<Change> {
        let mut list = Vec::new();
        let (old, new) = (past::essence(&before.schedule), past::essence(&now.schedule));
        if old != new {
            let plan = |schedule| table::render(schedule, None, None, |_| String::new());
            let json = |schedule| serde_json::to_string_pretty(schedule).unwrap_or_default();
            let plans = diff::render(&plan(&old), &plan(&new));
            let shown = if plans.is_empty() { diff::render(&json(&old), &json(&new)) } else { plans };
            list.push(Change { what: "recipe".into(), shown: shown.trim_end().to_owned() });
        }
        let number = |n: Option<u64>| n.map_or("not given".to_owned(), |n| n.to_string());
        let flags = [
            ("device", before.device.clone(), now.device.clone()),
            ("limit-steps", number(before.limit_steps), number(now.limit_steps)),
            ("limit-examples", number(before.limit_examples), number(now.limit_examples)),
        ];
        for (flag, was, is) in flags.into_iter().filter(|(_, was, is)| was != is) {
            let shown = format!("`--{flag}` was {was}, and is {is}");
            list.push(Change { what: flag.to_owned(), shown });
        }
        for (role, line) in changed(&before.files, &now.files) {
            list.push(Change { what: role, shown: line });
        }
        list
    }

    /// Why the change would have changed steps that are done; `None` if it changes only later ones.
    fn touches_the_past(&self, before: &Identity, now: &Identity, reached: Reached) -> Option<String> {
        let taught = |wanted: &Teacher| {
            let stages = before.schedule.stages.iter().take(reached.stage + 1);
            let mut teachers = stages.filter_map(|s| s.distill.as_ref());
            teachers.any(|d| d.from == *wanted).then(|| "steps with the old teacher are done".to_owned())
        };
        match self.what.as_str() {
            "recipe" => past::difference(&before.schedule, &now.schedule, reached),
            "device" => None,
            "teacher" => taught(&Teacher::Flag),
            "model" => Some("it began with the old model".into()),
            "data" | "limit-examples" => Some("steps on the old data are done".into()),
            other => match other.strip_prefix("teacher ") {
                Some(name) => taught(&Teacher::Named(name.to_owned())),
                None => Some("the number of its steps depends on it".into()),
            },
        }
    }
}

/// Adds to an error of a run how to resume from its last checkpoint.
pub(crate) fn with_resume_help(mut diagnostic: Diagnostic, folder: &Path) -> Diagnostic {
    let Some((stage, step)) = Checkpoints::of(folder).newest_position() else { return diagnostic };
    let place = format!("before step {step} of `{stage}`");
    let way = match diagnostic.code {
        Code::Stopped => format!("continue {place} with `--resume`"),
        Code::LossNotFinite | Code::GradientNotFinite => format!(
            "the last checkpoint is from {place}: change what comes after it and continue with `--resume-anyway`"
        ),
        _ => format!("the last checkpoint is from {place}: continue with `--resume`"),
    };
    diagnostic.help = Some(match diagnostic.help.take().filter(|_| diagnostic.code != Code::Stopped) {
        Some(help) if help.ends_with('?') => format!("{help} {way}"),
        Some(help) => format!("{help}; {way}"),
        None => way,
    });
    diagnostic
}
