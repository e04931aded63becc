//! Writing the log of a run.

use crate::diag::{Diagnostic, Sources};
use crate::engine::events::{Event, Observer, Work};
use crate::output::log::RunLog;
use crate::output::tensorboard::Board;
use crate::schedule::Schedule;

/// An observer that writes each event to `run.jsonl` and, if enabled, to TensorBoard event files, and then passes it to
/// the inner observer.
pub(super) struct Recorder<O> {
    log: RunLog,
    board: Option<Board>,
    inner: O,
}

impl<O: Observer> Recorder<O> {
    pub(super) fn new(log: RunLog, board: Option<Board>, inner: O) -> Self {
        Recorder { log, board, inner }
    }
}

impl<O: Observer> Observer for Recorder<O> {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        self.log.append(event)?;
        if let Some(board) = &mut self.board {
            board.append(event)?;
        }
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
}
