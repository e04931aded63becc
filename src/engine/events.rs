//! What the engine reports while it runs: events for the log, progress, and checkpoints.

use std::collections::BTreeMap;

use crate::diag::Diagnostic;
use crate::runlog::{Number, number};
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

/// Watches nothing.
pub struct Unwatched;

impl Observer for Unwatched {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}
}
