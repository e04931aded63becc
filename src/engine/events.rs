//! What is told to whoever watches a run.
//!
//! Every [`Event`] is a line of `run.jsonl`; docs/run-log.md describes them. All that depends on the clock
//! stands under `seconds`, on the process's memory under `memory`, and on the machine and the command in
//! [`Event::Environment`]; everything else is the same whenever a run is repeated with one seed on one kind
//! of machine.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::diag::Diagnostic;
use crate::task::metric::Metrics;

use super::position::Occasion;
use super::results::LayerSparsity;
use super::snapshot::Snapshot;

/// The version of the log. Fields and events are added without a new one.
pub const FORMAT: u32 = 1;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first line: by which command and on what machine. Told by whoever starts the engine; again when
    /// a run is taken up again.
    Environment(Environment),
    /// The run begins.
    RunStarted {
        /// [`FORMAT`].
        format: u32,
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
        /// The error of the teacher's hidden states, with its gain.
        #[serde(skip_serializing_if = "Option::is_none")]
        hidden_loss: Option<f64>,
        /// The learning rate.
        lr: f64,
        /// The gradients' global norm before clipping.
        gradient_norm: f64,
        /// Time spent.
        seconds: f64,
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
        /// Each of its parameters afterwards.
        layers: Vec<LayerSparsity>,
        /// Time spent.
        seconds: f64,
        /// The most memory that the process has held so far, in bytes; `null` where the system does not say.
        memory: Option<u64>,
    },
    /// Weights and activations are rounded from a step on.
    Quantized {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// Its nominal time.
        at: String,
        /// Weights.
        weights: usize,
        /// Bits of each of their values.
        weight_bits: u8,
        /// Activations.
        activations: usize,
        /// Bits of each of their values.
        #[serde(skip_serializing_if = "Option::is_none")]
        activation_bits: Option<u8>,
        /// Batches that were observed before.
        calibrated: usize,
        /// Time spent.
        seconds: f64,
        /// The most memory that the process has held so far, in bytes; `null` where the system does not say.
        memory: Option<u64>,
    },
    /// Observed ranges stay as they are from a step on.
    RangesFixed {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// Weights and activations.
        tensors: usize,
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
    /// A stage ends with its best weights.
    Kept {
        /// The stage.
        stage: String,
        /// They are those before this step.
        step: u64,
        /// The metric that decided.
        metric: String,
        /// Its value.
        value: f64,
    },
    /// A stage is done.
    StageFinished {
        /// Its name.
        stage: String,
        /// The share of all prunable weights that is zero.
        sparsity: f64,
        /// Every prunable parameter.
        layers: Vec<LayerSparsity>,
        /// Values of all parameters.
        values: usize,
        /// Those that are not zero.
        nonzero: usize,
        /// Bytes of the encoder's layers: weights that are not zero at their bits, scales, and all else.
        encoder_bytes: usize,
        /// Time spent.
        seconds: f64,
        /// The most memory that the process has held so far, in bytes; `null` where the system does not say.
        memory: Option<u64>,
    },
    /// The run is done.
    RunFinished {
        /// Time spent.
        seconds: f64,
        /// The most memory that the process has held, in bytes; `null` where the system does not say.
        memory: Option<u64>,
    },
    /// An error ended the run. Told by whoever started the engine.
    RunFailed {
        /// The diagnostic's code.
        code: String,
        /// What it says.
        message: String,
        /// Time spent.
        seconds: f64,
    },
}

/// By which command a run was started, and on what machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Environment {
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The recipe's file, as it was given.
    pub recipe_file: String,
    /// The recipe, word for word.
    pub recipe_text: String,
    /// Operating system and architecture.
    pub system: String,
    /// The processor, if the system says.
    pub processor: Option<String>,
    /// Threads that the machine offers.
    pub threads: usize,
    /// Memory of the machine in bytes, if the system says.
    pub machine_memory: Option<u64>,
    /// Versions of what computes, by name.
    pub versions: BTreeMap<&'static str, &'static str>,
    /// When it began, in seconds since 1970.
    pub unix_time: u64,
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
