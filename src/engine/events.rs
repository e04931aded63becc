//! What the engine reports while it runs: events for the log, progress, and checkpoints.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::diag::{Diagnostic, Sources};
use crate::runlog::{Number, number};
use crate::schedule::Schedule;
use crate::task::metric::Metrics;

use super::position::CheckpointTrigger;
use super::snapshot::Snapshot;

pub use crate::runlog::Event;

/// The metrics of an evaluation as the log has them.
pub fn logged(metrics: &Metrics) -> BTreeMap<String, Number> {
    metrics.iter().map(|(name, value)| (name.clone(), number(*value))).collect()
}

/// Work that takes a while, for progress bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work<'a> {
    /// Fetching a file of a model from the hub; `done` and `total` are bytes.
    Fetching {
        /// The file.
        file: &'a str,
        /// The model.
        model: &'a str,
    },
    /// Tokenizing texts into features.
    Features,
    /// Training a stage.
    Training(&'a str),
    /// Computing gradients for a pruning event.
    Gradients(&'a str),
    /// Factoring Fisher blocks and computing saliencies, parameter by parameter.
    Scoring(&'a str),
    /// Computing the update of the remaining weights, parameter by parameter.
    Updating(&'a str),
    /// Trying step sizes of the update, batch by batch.
    StepSize(&'a str),
    /// Observing the ranges of tensors that are going to be quantized.
    Calibrating(&'a str),
    /// Evaluating on the dev set.
    Evaluating(&'a str),
}

/// Receives what happens in a run.
pub trait Observer {
    /// Receives an event.
    ///
    /// # Errors
    /// A record that cannot be written; the run stops.
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic>;

    /// Receives that `done` of `total` units of some work are done.
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

    /// Whether the run is to stop before the next step.
    fn wants_to_stop(&self) -> bool {
        false
    }

    /// Whether a checkpoint is to be written here.
    fn wants_checkpoint(&self, _: CheckpointTrigger) -> bool {
        false
    }

    /// Writes a checkpoint. All events so far were reported.
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

    fn wants_checkpoint(&self, trigger: CheckpointTrigger) -> bool {
        (**self).wants_checkpoint(trigger)
    }

    fn checkpoint(&mut self, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        (**self).checkpoint(snapshot)
    }
}

/// Receives everything and does nothing.
pub struct Unwatched;

impl Observer for Unwatched {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}
}

/// Whether the observer wants the run to go on.
pub fn goes_on(observer: &dyn Observer) -> ControlFlow<()> {
    if observer.wants_to_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
