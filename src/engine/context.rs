//! The context of a stage: everything that its steps read and do not change.

use burn::tensor::Device;

use crate::ranks::Ranks;
use crate::schedule::Timeline;
use crate::schedule::ir::{Batches, Stage};
use crate::task::Task;
use crate::task::data::sampler::Sampler;

use super::EngineError;
use super::distillation::Distillation;
use super::estimation::Estimates;
use super::events::{Event, Observer};
use super::results::{Baseline, StageResult};
use super::seeds;
use super::state::{Clock, StageState};

/// The context of a stage.
pub struct StageContext<'a, T: Task> {
    /// The task.
    pub task: &'a T,
    /// The stage of the schedule.
    pub stage: &'a Stage,
    /// Its index in the schedule, for seeds.
    pub index: u64,
    /// The run's seed.
    pub seed: u64,
    /// The device, without autodiff.
    pub device: &'a Device,
    /// The teacher and the matched outputs, if the stage distills.
    pub distillation: Option<Distillation<'a, T::Model>>,
    /// The events of the stage by step.
    pub timeline: Timeline,
    /// Steps of an epoch, without `--limit-steps`.
    pub steps_per_epoch: u64,
    /// The step before which the stage was resumed, if it was.
    pub resumed_at: Option<u64>,
    /// The earlier stages.
    pub earlier: Earlier<'a, T::Model>,
    /// The metrics of the stage's initial model, if it was evaluated.
    pub baseline: Option<Baseline>,
    /// Where estimates of Fisher matrices are computed.
    pub estimates: Estimates,
    /// The ranks that compute the stage together.
    pub ranks: Ranks,
}

/// The earlier stages of a run.
pub struct Earlier<'a, M> {
    /// Their results.
    pub results: &'a [StageResult],
    /// The final models of earlier stages that this or a later stage needs, by stage name.
    pub ends: Vec<(String, &'a M)>,
    /// The run's clock.
    pub clock: Clock,
}

/// An action before the forward pass of a step.
pub type StepAction<T> = fn(
    &StageContext<'_, T>,
    StageState<<T as Task>::Model>,
    &mut dyn Observer,
) -> Result<StageState<<T as Task>::Model>, EngineError>;

impl<T: Task> StageContext<'_, T> {
    /// The stage's name.
    pub fn name(&self) -> String {
        self.stage.name.clone()
    }

    /// Whether a step is the end of the stage, after its last optimizer step.
    pub fn is_end(&self, step: u64) -> bool {
        step == self.timeline.steps()
    }

    /// A seed for one purpose at one step of this stage.
    pub fn seed_for(&self, purpose: u64, step: u64) -> u64 {
        seeds::draw(self.seed, self.index, purpose, step)
    }

    /// Reports an event.
    ///
    /// # Errors
    /// An observer that cannot write its records.
    pub fn report(&self, observer: &mut dyn Observer, event: Event) -> Result<(), EngineError> {
        observer.event(&event).map_err(EngineError::Observer)
    }
}

/// Draws the examples of each optimizer step: `batch` × `accumulate` of them.
pub fn sampler<T: Task>(task: &T, stage: &Stage, index: u64, seed: u64) -> Sampler {
    let (train, examples) = (&stage.train, task.examples());
    let (batch, seed) = (train.batch * train.accumulate, seeds::draw(seed, index, 0, 0));
    match train.batches {
        Batches::Shuffled => Sampler::new(examples, batch, seed),
        Batches::Bucketed => Sampler::by_length((0..examples).map(|i| task.length(i)).collect(), batch, seed),
    }
}
