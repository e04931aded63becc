//! The reports of a run to its observer: events for the log, progress, and checkpoints.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::diag::{Diagnostic, Sources};
use crate::runlog::{Number, number};
use crate::schedule::Schedule;
use crate::task::metric::Metrics;

use super::position::CheckpointTrigger;
use super::snapshot::Snapshot;
use super::trial_outcome::TrialOutcome;

pub use crate::runlog::Event;

/// Converts the metrics of an evaluation to numbers of the log.
pub fn logged(metrics: &Metrics) -> BTreeMap<String, Number> {
    metrics.iter().map(|(name, value)| (name.clone(), number(*value))).collect()
}

/// A phase of a run, for progress bars.
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
    /// Evaluating candidates, sparsities of layers and step sizes of the update, on evaluation batches.
    Candidates(&'a str),
    /// Recording the inputs of layers to reconstruct, in the pruned and the unpruned model.
    Reconstructing(&'a str),
    /// Observing the ranges of tensors that are going to be quantized.
    Calibrating(&'a str),
    /// Evaluating on the dev set.
    Evaluating(&'a str),
}

/// Receives the events, progress and checkpoints of a run.
pub trait Observer {
    /// Receives an event.
    ///
    /// # Errors
    /// An event that cannot be recorded; the run stops.
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic>;

    /// Receives that `done` of `total` units of some work are done.
    fn progress(&mut self, work: Work, done: u64, total: u64);

    /// Receives the schedule before the first event, and the maximum number of steps of a stage, if it is limited.
    fn planned(&mut self, _: &Schedule, _limit_steps: Option<u64>) {}

    /// Receives a note for the user, such as on how data was read.
    fn note(&mut self, _: &str) {}

    /// Receives a note that is to be shown even where other notes are not.
    fn important_note(&mut self, text: &str) {
        self.note(text);
    }

    /// Receives warnings about recipe and data, and the texts that they point into.
    fn warnings(&mut self, _: &[Diagnostic], _: &Sources) {}

    /// Receives the result of one-shot trial `done` of `total`, and the settings of the trial in words. The first
    /// result, with `done` 0, is that of the model before pruning.
    fn trial(&mut self, _settings: &str, _done: usize, _total: usize, _: &TrialOutcome) {}

    /// Whether to stop the run before the next step.
    fn wants_to_stop(&self) -> bool {
        false
    }

    /// Whether to write a checkpoint before the next step; the trigger says what follows or has ended there.
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

    fn trial(&mut self, settings: &str, done: usize, total: usize, outcome: &TrialOutcome) {
        (**self).trial(settings, done, total, outcome);
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

/// An observer that ignores everything.
pub struct Unwatched;

impl Observer for Unwatched {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}
}

/// Breaks if the observer wants to stop the run.
pub fn goes_on(observer: &dyn Observer) -> ControlFlow<()> {
    if observer.wants_to_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
