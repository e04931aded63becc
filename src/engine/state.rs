//! All that a stage changes.

use std::time::Instant;

use burn::module::Module;

use crate::schedule::ir::Stage;
use crate::task::data::sampler::Sampler;

use super::EngineError;
use super::best::Best;
use super::masks::Masks;
use super::movement::Movements;
use super::optimizer::AdamW;
use super::results::{Baseline, Times};

/// All that a stage changes: what its steps work on, and what a checkpoint holds of it.
pub struct StageState<M> {
    /// The model in training, with the quantizers of its tensors and the ranges that they observed.
    pub model: M,
    /// Which weights are pruned.
    pub masks: Masks,
    /// The moments of AdamW, and the factors of the learning rate.
    pub optimizer: AdamW,
    /// The scores of pruning by movement.
    pub movement: Movements,
    /// The best evaluation so far with its weights, if the stage ends with those.
    pub best: Option<Best>,
    /// The last evaluation, and whether weights were pruned since.
    pub baseline: Option<Baseline>,
    /// The step that comes next; the stage's number of steps at its end.
    pub step: u64,
    /// Where the time went.
    pub times: Times,
    /// Seconds of the stage.
    pub clock: Clock,
    /// The batches. They follow from the seed and the step: a checkpoint does not hold them.
    pub sampler: Sampler,
}

impl<M: Module> StageState<M> {
    /// Before the first step of a stage.
    ///
    /// # Errors
    /// A selector that cannot be read or selects nothing.
    pub fn new(
        model: M,
        stage: &Stage,
        baseline: Option<Baseline>,
        sampler: Sampler,
    ) -> Result<Self, EngineError> {
        let mut optimizer = AdamW::new(&stage.train, &model);
        for factor in &stage.lr_factors {
            for id in super::targets::ids(&model, &factor.targets, &stage.name)? {
                optimizer.set_factor(id, factor.factor);
            }
        }
        Ok(StageState {
            masks: Masks::default(),
            optimizer,
            movement: Movements::new(stage, &model)?,
            best: stage.keep_best.as_deref().map(Best::new),
            baseline,
            step: 0,
            times: Times::default(),
            clock: Clock::starting(0.0),
            sampler,
            model,
        })
    }
}

/// A clock that goes on where an earlier one was stopped.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begin: Instant,
    before: f64,
}

impl Clock {
    /// A clock that shows `before` seconds now.
    pub fn starting(before: f64) -> Self {
        Clock { begin: Instant::now(), before }
    }

    /// What it shows, in seconds.
    pub fn seconds(&self) -> f64 {
        self.before + self.begin.elapsed().as_secs_f64()
    }
}
