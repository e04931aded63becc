//! Runs that survive: the flags, where a run goes on, and whether it is still the same run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{eprint, print_diagnostics};
use crate::diag::{Code, Diagnostic, Severity, Sources};
use crate::output::checkpoints::identity::{self, changed};
use crate::output::checkpoints::{Checkpoints, Found, Identity};
use crate::output::folder;
use crate::output::lock::Lock;
use crate::plan::{diff, table};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model, Teacher};
use crate::schedule::past::{self, Reached};

#[derive(Args, Debug)]
pub struct CheckpointArgs {
    /// Go on with the run in `--out`, or with the last of runs/NAME, from its newest checkpoint
    #[arg(long)]
    resume: bool,
    /// Go on although something has changed, where the change touches only what is still to come
    #[arg(long)]
    resume_anyway: bool,
    /// The time between checkpoints, as 90s, 10m or 2h; 0s writes one before every step. Besides there is one
    /// at every epoch, before every pruning event, and when the run is stopped
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub checkpoint_every: Duration,
    /// How many checkpoints stay in the run's folder; 0 writes none
    #[arg(long, value_name = "K", default_value_t = 2)]
    pub keep_checkpoints: usize,
}

/// `90s`, `10m` or `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 90s, 10m or 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// A run that goes on.
pub struct Resumed {
    pub folder: PathBuf,
    pub lock: Lock,
    pub found: Found,
}

/// What `--resume` finds.
pub enum Outcome {
    /// A run that is over.
    Finished(PathBuf),
    /// One that goes on.
    Going(Box<Resumed>),
}

/// The files that a run reads, and everything else that decides what it computes.
pub struct Read<'a> {
    pub schedule: &'a Schedule,
    pub model: Option<&'a Path>,
    pub data: Option<&'a Path>,
    pub teacher: Option<&'a Path>,
    /// The folders of the teachers that the recipe names.
    pub named_teachers: &'a BTreeMap<String, PathBuf>,
    pub device: &'a str,
    pub limit_steps: Option<u64>,
    pub limit_examples: Option<u64>,
}

impl Read<'_> {
    /// What the run is, with what its files hold now.
    pub fn identity(&self) -> Result<Identity, Diagnostic> {
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

impl CheckpointArgs {
    /// Whether a run is to go on.
    pub fn goes_on(&self) -> bool {
        self.resume || self.resume_anyway
    }

    /// The run that goes on, if it is still the same.
    pub fn find(&self, out: Option<&Path>, read: &Read) -> Result<Outcome, Vec<Diagnostic>> {
        let one = |d: Diagnostic| vec![d];
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
        if folder::is_finished(&folder, read.schedule.carried().next().is_some()) {
            let same = |found: &Found| Change::all(&found.header.identity, &identity).is_empty();
            if newest.as_ref().ok().and_then(Option::as_ref).is_none_or(same) {
                return Ok(Outcome::Finished(folder));
            }
        }
        let found = newest.map_err(one)?;
        let found = found.ok_or_else(|| {
            let why = format!("the run in `{}` has no checkpoint", folder.display());
            nothing(why, "remove the folder, or give another with `--out DIR`, and begin again")
        })?;
        self.compare(&folder, &found, &identity).map_err(one)?;
        for (path, why) in &found.broken {
            let message = format!("`{}` cannot be used: {why}", path.display());
            let mut broken = Diagnostic::unlocated(Code::CheckpointNotUsable, message)
                .help(format!("going on from `{}`, the one before", found.path.display()));
            broken.severity = Severity::Warning;
            print_diagnostics(&[broken], &Sources::new());
        }
        Ok(Outcome::Going(Box::new(Resumed { folder, lock, found })))
    }

    /// Refuses a run that would go on as another.
    fn compare(&self, folder: &Path, found: &Found, now: &Identity) -> Result<(), Diagnostic> {
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
        if past.is_none() && self.resume_anyway {
            return Ok(());
        }
        eprint(&format!("{shown}\n"));
        let folder = folder.display();
        Err(match past {
            Some(why) if self.resume_anyway => Diagnostic::unlocated(
                Code::PastDiffers,
                format!("`{folder}` cannot go on: {why}"),
            )
            .help("take back the change, or begin a new run"),
            Some(why) => Diagnostic::unlocated(
                Code::RunDiffers,
                format!("`{folder}` was begun with another {}: {why}", what.join(", ")),
            )
            .help("take back the change, or begin a new run with another `--out`"),
            None => Diagnostic::unlocated(
                Code::RunDiffers,
                format!("`{folder}` was begun with another {}", what.join(", ")),
            )
            .help("take back the change; or go on with it, as it touches only what is to come: `--resume-anyway`"),
        })
    }
}

/// Something that is not as it was when the run began.
struct Change {
    /// In a word.
    what: String,
    /// How it was and is.
    shown: String,
}

impl Change {
    fn all(before: &Identity, now: &Identity) -> Vec<Change> {
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

    /// Why the run would have come to something else already; `None` if it would not.
    fn touches_the_past(&self, before: &Identity, now: &Identity, reached: Reached) -> Option<String> {
        let taught = |wanted: &Teacher| {
            let stages = before.schedule.stages.iter().take(reached.stage + 1);
            let mut teachers = stages.filter_map(|s| s.distill.as_ref());
            teachers
                .any(|d| d.from == *wanted)
                .then(|| "it has learned from the teacher as it was".to_owned())
        };
        match self.what.as_str() {
            "recipe" => past::difference(&before.schedule, &now.schedule, reached),
            "device" => None,
            "teacher" => taught(&Teacher::Flag),
            "model" => Some("it began with the model as it was".into()),
            "data" | "limit-examples" => Some("it has learned from the data as it was".into()),
            other => match other.strip_prefix("teacher ") {
                Some(name) => taught(&Teacher::Named(name.to_owned())),
                None => Some("its steps are counted by that".into()),
            },
        }
    }
}

/// An error of a run, with the way on from its last checkpoint.
pub fn with_the_way_on(mut diagnostic: Diagnostic, folder: &Path) -> Diagnostic {
    let Some((stage, step)) = Checkpoints::of(folder).newest_position() else { return diagnostic };
    let place = format!("before step {step} of `{stage}`");
    let way = match diagnostic.code {
        Code::Stopped => format!("go on {place} with `--resume`"),
        Code::LossNotFinite | Code::GradientNotFinite => format!(
            "the last checkpoint is from {place}: change what comes after it and go on with `--resume-anyway`"
        ),
        _ => format!("the last checkpoint is from {place}: go on with `--resume`"),
    };
    diagnostic.help = Some(match diagnostic.help.take().filter(|_| diagnostic.code != Code::Stopped) {
        Some(help) if help.ends_with('?') => format!("{help} {way}"),
        Some(help) => format!("{help}; {way}"),
        None => way,
    });
    diagnostic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("0s").unwrap(), Duration::ZERO);
        for wrong in ["", "10", "m", "-1s", "10 min", "1e300h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
