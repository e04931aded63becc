//! Reading a folder's files as a [`Record`].

use std::path::Path;

use crate::diag::{Code, Diagnostic};
use crate::output::sizes;
use crate::runlog::{self, Event};
use crate::schedule::Schedule;

use super::record::{FORMAT, Record, StageRecord, State};

/// Reads the files of a run. Also returns warnings about files and lines that cannot be used.
///
/// # Errors
/// A folder that does not exist or holds no run, or a log that cannot be read.
pub fn read(folder: &Path) -> Result<(Record, Vec<Diagnostic>), Diagnostic> {
    let path = folder.join("run.jsonl");
    let shown = path.display();
    if !path.is_file() {
        let why = if folder.is_dir() { "it has no run.jsonl" } else { "there is no such folder" };
        return Err(Diagnostic::unlocated(
            Code::RunNotFound,
            format!("`{}` is no folder of a run: {why}", folder.display()),
        )
        .help("name a folder that `obertc run` has written"));
    }
    let bytes = std::fs::read(&path)
        .map_err(|e| Diagnostic::unlocated(Code::RunLogNotReadable, format!("cannot read `{shown}`: {e}")))?;
    let mut warnings = Vec::new();
    let mut record = Record { format: FORMAT, folder: folder.display().to_string(), ..Default::default() };
    let known = gather(&String::from_utf8_lossy(&bytes), &mut record, |what| {
        warnings.push(
            Diagnostic::unlocated(Code::RecordIncomplete, format!("`{shown}`: {what}"))
                .help("the rest is read all the same"),
        );
    });
    if known == 0 {
        return Err(Diagnostic::unlocated(
            Code::RunLogNotReadable,
            format!("`{shown}` is no log of a run: no line of it is an event"),
        )
        .help("docs/run-log.md says what it holds"));
    }
    let schedule = folder.join("schedule.json");
    match std::fs::read_to_string(&schedule) {
        Ok(text) => match serde_json::from_str::<Schedule>(&text) {
            Ok(schedule) => record.schedule = Some(schedule),
            Err(e) => warnings.push(left_out(&schedule, &e.to_string())),
        },
        // Older runs that did not come to their end have none.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => warnings.push(left_out(&schedule, &e.to_string())),
    }
    match sizes::of_folder(folder) {
        Ok(sizes) => record.sizes = sizes,
        Err(why) => warnings.push(left_out(&folder.join("model.safetensors"), &why.message)),
    }
    record.model_bytes = std::fs::metadata(folder.join("model.safetensors")).ok().map(|m| m.len());
    Ok((record, warnings))
}

fn left_out(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::RecordIncomplete, format!("`{}` is left out: {why}", path.display()))
        .help("the rest is read all the same")
}

/// Adds the lines of a log to a record; returns the number of known events.
fn gather(text: &str, record: &mut Record, mut warn: impl FnMut(String)) -> usize {
    let mut known = 0;
    let mut unreadable: Vec<usize> = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Event>(line) {
            Ok(Event::Unknown) => {}
            Ok(event) => {
                known += 1;
                add(event, record);
            }
            // A process that is killed leaves half a line at the end.
            Err(_) if !line.ends_with('\n') => {}
            Err(_) => unreadable.push(number),
        }
    }
    if let Some(newer) = record.started.format.filter(|format| *format > runlog::FORMAT) {
        let own = runlog::FORMAT;
        warn(format!("it is of format {newer}, newer than this obertc's {own}"));
    }
    // Where nothing can be read it is no log at all, and that is said instead.
    if known > 0 {
        match unreadable.as_slice() {
            [] => {}
            [line] => warn(format!("line {line} cannot be read")),
            [first, .., last] => {
                let count = unreadable.len();
                warn(format!("{count} lines between {first} and {last} cannot be read"));
            }
        }
    }
    known
}

fn add(event: Event, record: &mut Record) {
    match event {
        Event::Environment(environment) => match record.environment {
            None => record.environment = Some(environment),
            Some(_) => {
                record.resumed += 1;
                record.state = State::Unfinished;
                record.failure = None;
            }
        },
        Event::RunStarted(started) => record.started = started,
        Event::StageStarted(started) => {
            let stage = stage(record, &started.stage);
            stage.branch = started.branch;
            stage.steps = started.steps;
            stage.steps_per_epoch = started.steps_per_epoch;
        }
        // What was done again after a resume counts as it was done last.
        Event::Step(step) => {
            let curve = &mut stage(record, &step.stage).curve;
            curve.truncate(curve.partition_point(|s| s.step < step.step));
            curve.push(step);
        }
        Event::Pruned(pruned) => {
            note_memory(record, pruned.memory);
            let list = &mut stage(record, &pruned.stage).prunes;
            list.truncate(list.partition_point(|p| p.step <= pruned.step));
            list.push(pruned);
        }
        Event::Quantized(quantized) => {
            note_memory(record, quantized.memory);
            let list = &mut stage(record, &quantized.stage).quantizations;
            list.truncate(list.partition_point(|q| q.step <= quantized.step));
            list.push(quantized);
        }
        Event::Evaluated(evaluated) => {
            let list = &mut stage(record, &evaluated.stage).evaluations;
            list.truncate(list.partition_point(|e| e.step < evaluated.step));
            list.push(evaluated);
        }
        Event::Warning(warning) => {
            record.warnings.retain(|known| *known != warning);
            record.warnings.push(warning);
        }
        Event::Kept(kept) => {
            let name = kept.stage.clone();
            stage(record, &name).kept = Some(kept);
        }
        Event::StageFinished(finished) => {
            note_memory(record, finished.memory);
            let name = finished.stage.clone();
            stage(record, &name).end = Some(finished);
        }
        Event::RunFinished(finished) => {
            note_memory(record, finished.memory);
            record.state = State::Finished;
            record.seconds = Some(finished.seconds);
            record.failure = None;
        }
        Event::RunFailed(failed) => {
            record.state = State::Failed;
            record.seconds = Some(failed.seconds);
            record.failure = Some(failed);
        }
        Event::RangesFixed(_) | Event::Unknown => {}
    }
}

/// The stage of this name, added if there is none.
fn stage<'a>(record: &'a mut Record, name: &str) -> &'a mut StageRecord {
    let index = record.stages.iter().rposition(|s| s.name == name).unwrap_or_else(|| {
        record.stages.push(StageRecord { name: name.to_owned(), ..Default::default() });
        record.stages.len() - 1
    });
    &mut record.stages[index]
}

fn note_memory(record: &mut Record, memory: Option<u64>) {
    record.memory = record.memory.max(memory);
}
