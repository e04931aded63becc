//! What is told to whoever watches a run.
//!
//! Every [`Event`] is a line of `run.jsonl`. All that depends on the clock stands under `seconds`;
//! everything else is the same whenever a run is repeated with one seed on one kind of machine.

use serde::Serialize;

use crate::diag::Diagnostic;
use crate::task::metric::Metrics;

use super::position::Occasion;
use super::snapshot::Snapshot;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The recipe's name.
        recipe: String,
        /// The version of obert.
        version: &'static str,
        /// The seed.
        seed: u64,
        /// The device.
        device: String,
        /// Training examples.
        examples: usize,
    },
    /// A stage begins.
    StageStarted {
        /// Its name.
        stage: String,
        /// Whether it is measured only.
        branch: bool,
        /// Its steps.
        steps: u64,
        /// Steps in an epoch.
        steps_per_epoch: u64,
    },
    /// A training step is done.
    Step {
        /// The stage.
        stage: String,
        /// The step, from 0.
        step: u64,
        /// Its place in epochs.
        epoch: f64,
        /// The loss that was minimised.
        loss: f64,
        /// The loss against the labels.
        task_loss: f64,
        /// The loss against the teacher.
        #[serde(skip_serializing_if = "Option::is_none")]
        distill_loss: Option<f64>,
        /// The learning rate.
        lr: f64,
        /// The gradients' global norm before clipping.
        gradient_norm: f64,
    },
    /// Weights were pruned before a step.
    Pruned {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// Its nominal time.
        at: String,
        /// Parameters that took part.
        parameters: usize,
        /// The share that was to be pruned.
        target: f64,
        /// The share that is.
        sparsity: f64,
        /// The damp that it took, if the recipe's had to be raised.
        #[serde(skip_serializing_if = "Option::is_none")]
        raised_damp: Option<f64>,
        /// For each estimate how far the other weights moved to make up, of the way that the exact
        /// update says; empty for other updates.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        lengths: Vec<f64>,
        /// Time spent.
        seconds: f64,
    },
    /// The model was measured.
    Evaluated {
        /// The stage.
        stage: String,
        /// Before this step; the stage's number of steps for its end.
        step: u64,
        /// The figures.
        metrics: Metrics,
        /// Time spent.
        seconds: f64,
    },
    /// A stage is done.
    StageFinished {
        /// Its name.
        stage: String,
        /// The share of all prunable weights that is zero.
        sparsity: f64,
        /// Time spent.
        seconds: f64,
    },
    /// The run is done.
    RunFinished {
        /// Time spent.
        seconds: f64,
    },
}

/// Work that takes a while, for progress bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work<'a> {
    /// Training a stage.
    Training(&'a str),
    /// Collecting gradients for a pruning event.
    Gradients(&'a str),
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
