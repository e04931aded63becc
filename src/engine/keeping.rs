//! A stage kept and taken up again.

use std::time::Instant;

use crate::schedule::Timeline;
use crate::task::Task;

use super::EngineError;
use super::best::{self, Best};
use super::events::Observer;
use super::masks::Masks;
use super::movement::Movements;
use super::optimizer::AdamW;
use super::position::{Occasion, Position};
use super::results::{StageResult, Times};
use super::snapshot::{Restored, Snapshot};
use super::stage::StageRun;

/// What was reached before a stage.
pub struct Earlier<'a, M> {
    /// What came of the stages before.
    pub results: &'a [StageResult],
    /// The ends of earlier stages that are needed from here on, by their names.
    pub ends: Vec<(String, &'a M)>,
    /// The run's clock.
    pub clock: Clock,
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

/// All that a stage changes.
pub struct State<'a, M> {
    pub model: &'a M,
    pub masks: &'a Masks,
    pub optimizer: &'a AdamW,
    pub movements: &'a Movements,
    pub best: Option<&'a Best<'a>>,
    pub times: Times,
    pub clock: Clock,
}

impl<T: Task> StageRun<'_, T> {
    /// A checkpoint before a step, if whoever watches wants one there; and the end of the run, if
    /// that is wanted. The run was taken up again before step `resumed`, if it was.
    pub(super) fn keep(
        &self,
        step: u64,
        (timeline, steps_per_epoch): (&Timeline, u64),
        state: &State<T::Model>,
        resumed: Option<u64>,
        observer: &mut dyn Observer,
    ) -> Result<(), EngineError> {
        let stops = observer.wants_to_stop();
        // The checkpoint that the run was taken up from is there already.
        let is_new = resumed != Some(step);
        if is_new && observer.wants_checkpoint(Occasion::of(step, timeline, stops)) {
            let snapshot = self.snapshot(step, steps_per_epoch, state);
            observer.checkpoint(&snapshot).map_err(EngineError::Observer)?;
        }
        match stops {
            true => Err(EngineError::Stopped { stage: self.stage.name.clone(), step }),
            false => Ok(()),
        }
    }

    fn snapshot<'a>(&'a self, step: u64, steps_per_epoch: u64, state: &State<'a, T::Model>) -> Snapshot<'a> {
        let mut snapshot = Snapshot::new(Position {
            stage: self.index as usize,
            name: self.stage.name.clone(),
            step,
            steps_per_epoch,
            optimizer_steps: state.optimizer.steps(),
            movement_steps: state.movements.steps(),
            times: state.times,
            stage_seconds: state.clock.seconds(),
            seconds: self.earlier.clock.seconds(),
            results: self.earlier.results.to_vec(),
            best: state.best.and_then(Best::measured).cloned(),
            rounding: Default::default(),
        });
        // A run that has done nothing yet has only what it was given.
        if self.index > 0 || step > 0 {
            snapshot.hold_model("model", state.model);
            snapshot.hold_rounding("model", self.task.rounding(state.model));
        }
        for (name, model) in &self.earlier.ends {
            let kind = format!("end/{name}");
            snapshot.hold_model(&kind, *model);
            snapshot.hold_rounding(&kind, self.task.rounding(*model));
        }
        snapshot.tensors.extend(state.optimizer.held(state.model));
        snapshot.tensors.extend(state.movements.held(state.model));
        snapshot.tensors.extend(state.best.into_iter().flat_map(Best::held));
        snapshot.hold_rounding(best::KIND, state.best.and_then(Best::rounding));
        snapshot.hold_masks(state.masks);
        snapshot
    }

    /// Puts back what a checkpoint holds of a stage in progress.
    pub(super) fn restore(
        &self,
        mut restored: Restored,
        model: T::Model,
        optimizer: &mut AdamW,
        movements: &mut Movements,
    ) -> Result<(T::Model, Masks), EngineError> {
        let mut model = model;
        if restored.has("model") {
            model = restored.write_model("model", model)?;
            let rounding = restored.take_rounding("model", &model)?;
            model = self.with_rounding(model, rounding)?;
        }
        let masks = restored.masks(&model)?;
        optimizer.restore(&mut restored, &model, self.device)?;
        optimizer.set_masks(&model, &masks, self.device);
        movements.restore(&mut restored, &model, self.device)?;
        Ok((model, masks))
    }
}
