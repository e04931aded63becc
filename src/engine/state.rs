//! The state of a stage.

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

/// The state of a stage, which its steps change and checkpoints save.
pub struct StageState<M> {
    /// The model, with its quantizers.
    pub model: M,
    /// The masks of pruned weights.
    pub masks: Masks,
    /// The moments of AdamW, and the factors of the learning rate.
    pub optimizer: AdamW,
    /// The movement scores.
    pub movement: Movements,
    /// The best evaluation so far with its weights, if the stage has `keep_best`.
    pub best: Option<Best>,
    /// The last evaluation, and the first pruning event since.
    pub baseline: Option<Baseline>,
    /// The next step; the stage's number of steps at its end.
    pub step: u64,
    /// The time by kind of work.
    pub times: Times,
    /// The clock of the stage.
    pub clock: Clock,
    /// The batches, which depend on seed and step and are in no checkpoint.
    pub sampler: Sampler,
}

impl<M: Module> StageState<M> {
    /// The state before the first step of a stage.
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

/// A clock that continues from the time of an earlier one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begin: Instant,
    before: f64,
}

impl Clock {
    /// Starts at `before` seconds.
    pub fn starting(before: f64) -> Self {
        Clock { begin: Instant::now(), before }
    }

    /// The time in seconds.
    pub fn seconds(&self) -> f64 {
        self.before + self.begin.elapsed().as_secs_f64()
    }
}
