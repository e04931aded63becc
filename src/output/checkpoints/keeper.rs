//! Writing checkpoints during a run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::events::{Event, Observer, Work};
use crate::engine::position::CheckpointTrigger;
use crate::engine::snapshot::Snapshot;
use crate::schedule::Schedule;

use super::file::{FORMAT, Header};
use super::folder::Checkpoints;
use super::identity::Identity;

/// An observer that also writes checkpoints.
#[derive(Debug)]
pub struct Keeper<O> {
    inner: O,
    checkpoints: Checkpoints,
    log: PathBuf,
    settings: Settings,
    last: Instant,
}

/// When checkpoints are written, and how many are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The inputs of the run.
    pub identity: Identity,
    /// Maximum number of checkpoints in the folder; none are written if zero.
    pub keep: usize,
    /// The time between two checkpoints, besides those at epochs and before pruning events; zero for one before every
    /// step.
    pub every: Duration,
}

impl<O: Observer> Keeper<O> {
    /// Writes checkpoints of the run in a folder, whose events `inner` writes into `run.jsonl`.
    pub fn new(inner: O, folder: &Path, settings: Settings) -> Self {
        let (checkpoints, log) = (Checkpoints::of(folder), folder.join("run.jsonl"));
        Keeper { inner, checkpoints, log, settings, last: Instant::now() }
    }

    /// The length of the log, flushed to the disk before the checkpoint that records it.
    fn log_bytes(&self) -> std::io::Result<u64> {
        let file = File::open(&self.log)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl<O: Observer> Observer for Keeper<O> {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        self.inner.event(event)
    }

    fn progress(&mut self, work: Work, done: u64, total: u64) {
        self.inner.progress(work, done, total);
    }

    fn planned(&mut self, schedule: &Schedule, limit_steps: Option<u64>) {
        self.inner.planned(schedule, limit_steps);
    }

    fn note(&mut self, text: &str) {
        self.inner.note(text);
    }

    fn important_note(&mut self, text: &str) {
        self.inner.important_note(text);
    }

    fn warnings(&mut self, warnings: &[Diagnostic], sources: &Sources) {
        self.inner.warnings(warnings, sources);
    }

    fn wants_to_stop(&self) -> bool {
        self.inner.wants_to_stop()
    }

    fn wants_checkpoint(&self, trigger: CheckpointTrigger) -> bool {
        let is_due = trigger != CheckpointTrigger::Step || self.last.elapsed() >= self.settings.every;
        self.settings.keep > 0 && is_due
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        let log_bytes = self.log_bytes().map_err(|e| {
            Diagnostic::unlocated(Code::WriteFailed, format!("cannot read `{}`: {e}", self.log.display()))
                .help("was it removed while the run was going?")
        })?;
        let header = Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: self.settings.identity.clone(),
            position: snapshot.position.clone(),
            log_bytes,
        };
        self.checkpoints.write(&header, snapshot, self.settings.keep)?;
        self.last = Instant::now();
        Ok(())
    }
}
