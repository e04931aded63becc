//! What the engine reports while it runs: events for the log, progress, and checkpoints.

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Sources};
use crate::runlog::{Number, number};
use crate::schedule::Schedule;
use crate::task::metric::Metrics;

use super::position::Occasion;
use super::snapshot::Snapshot;

pub use crate::runlog::Event;

/// The metrics of an evaluation as the log has them.
pub fn logged(metrics: &Metrics) -> BTreeMap<String, Number> {
    metrics.iter().map(|(name, value)| (name.clone(), number(*value))).collect()
}

/// Work that takes a while, for progress bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work<'a> {
    /// Fetching a file of a model from the hub; `done` and `total` are bytes.
    Fetching {
        /// The file.
        file: &'a str,
        /// The model.
        model: &'a str,
    },
    /// Making features of texts.
    Features,
    /// Training a stage.
    Training(&'a str),
    /// Collecting gradients for a pruning event.
    Gradients(&'a str),
    /// Observing what is going to be rounded.
    Calibrating(&'a str),
    /// Measuring on held-out data.
    Evaluating(&'a str),
}

/// Whoever watches a run.
pub trait Observer {
    /// Hears of an event.
    ///
    /// # Errors
    /// Records that cannot be kept; the run stops.
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic>;

    /// Hears that `done` of `total` are done.
    fn progress(&mut self, work: Work, done: u64, total: u64);

    /// Receives the schedule that is going to be run, once, before the first event; and the greatest number of
    /// steps in a stage, if it is limited.
    fn planned(&mut self, _: &Schedule, _limit_steps: Option<u64>) {}

    /// Receives a sentence that a user should read and that is no event: how data was read, which weights are new.
    fn note(&mut self, _: &str) {}

    /// The same of what must be read even where notes are not shown.
    fn important_note(&mut self, text: &str) {
        self.note(text);
    }

    /// Receives warnings that do not stop the run, and the texts into which they point.
    fn warnings(&mut self, _: &[Diagnostic], _: &Sources) {}

    /// Whether the run is to stop at the next step.
    fn wants_to_stop(&self) -> bool {
        false
    }

    /// Whether the run is to be kept at a place like this.
    fn wants_checkpoint(&self, _: Occasion) -> bool {
        false
    }

    /// Keeps the run as it is. All events so far were told.
    ///
    /// # Errors
    /// A checkpoint that cannot be written; the run stops.
    fn checkpoint(&mut self, _: &Snapshot) -> Result<(), Diagnostic> {
        Ok(())
    }
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        (**self).event(event)
    }

    fn progress(&mut self, work: Work, done: u64, total: u64) {
        (**self).progress(work, done, total);
    }

    fn planned(&mut self, schedule: &Schedule, limit_steps: Option<u64>) {
        (**self).planned(schedule, limit_steps);
    }

    fn note(&mut self, text: &str) {
        (**self).note(text);
    }

    fn important_note(&mut self, text: &str) {
        (**self).important_note(text);
    }

    fn warnings(&mut self, warnings: &[Diagnostic], sources: &Sources) {
        (**self).warnings(warnings, sources);
    }

    fn wants_to_stop(&self) -> bool {
        (**self).wants_to_stop()
    }

    fn wants_checkpoint(&self, occasion: Occasion) -> bool {
        (**self).wants_checkpoint(occasion)
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        (**self).checkpoint(snapshot)
    }
}

/// Watches nothing.
pub struct Unwatched;

impl Observer for Unwatched {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}
}
