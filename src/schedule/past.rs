//! Whether two schedules agree up to the step that a run has reached, so that it can be resumed with the
//! other one.

use super::ir::{Criterion, Distill, Hold, Prune, Stage, Targets};
use super::{Ramp, Schedule, Shape, Time, Timeline, Window};
use crate::diag::counted;

/// The position that a run has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The index of the stage in progress.
    pub stage: usize,
    /// The next step of that stage.
    pub step: u64,
    /// Steps in an epoch of the training examples.
    pub steps_per_epoch: u64,
    /// The most steps of a stage (`--limit-steps`).
    pub limit: Option<u64>,
}

/// The schedule without doc comments and recipe parameters, which do not influence the run.
pub fn essence(schedule: &Schedule) -> Schedule {
    let mut essence = schedule.clone();
    essence.doc.clear();
    essence.parameters.clear();
    for stage in &mut essence.stages {
        stage.doc.clear();
    }
    essence
}

/// Describes the first difference of `after` from `before` that concerns the part of the run already done.
/// `None` if they differ only after the position `reached`.
///
/// Finished stages must be equal. In the stage in progress, every step so far must have the same events,
/// learning rate, optimizer settings and targets.
pub fn difference(before: &Schedule, after: &Schedule, reached: Reached) -> Option<String> {
    let (before, after) = (essence(before), essence(after));
    let same = [
        ("the seed", before.seed == after.seed),
        ("the recipe's name", before.name == after.name),
        ("the model", before.model == after.model),
        ("the data", before.data == after.data),
    ];
    if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
        return Some(format!("{what} is different"));
    }
    for (index, old) in before.stages.iter().enumerate().take(reached.stage) {
        if after.stages.get(index) != Some(old) {
            return Some(format!("`{}` is finished, and its statements differ", old.name));
        }
    }
    match (before.stages.get(reached.stage), after.stages.get(reached.stage)) {
        (Some(old), Some(new)) => in_progress(old, new, reached),
        (Some(old), None) => Some(format!("`{}` is in progress, and is missing", old.name)),
        (None, _) => Some("the run has no such stage".into()),
    }
}

fn in_progress(old: &Stage, new: &Stage, reached: Reached) -> Option<String> {
    let name = &old.name;
    let fixed = [
        ("name", old.name == new.name),
        ("beginning", old.branch_from == new.branch_from),
        ("batches or optimizer", old.train == new.train),
        ("layers", old.layers == new.layers),
        ("learning rates' factors", old.lr_factors == new.lr_factors),
        ("quantization", old.quantize == new.quantize),
        // Scores accumulate from the stage's first step.
        ("pruning by movement", reached.step == 0 || movement(old) == movement(new)),
    ];
    if let Some((what, _)) = fixed.iter().find(|(_, same)| !same) {
        return Some(format!("`{name}` differs in its {what}"));
    }
    let timeline = |stage| Timeline::limited(stage, reached.steps_per_epoch, reached.limit);
    let [a, b] = [old, new].map(timeline);
    if a.steps_per_epoch() != b.steps_per_epoch() {
        return Some(format!("the epochs of `{name}` have a different length"));
    }
    if reached.step > b.steps() {
        let (done, steps) = (reached.step, b.steps());
        let done = counted(done, "step", "steps");
        return Some(format!("`{name}` has run {done}, and would have only {steps}"));
    }
    for step in 0..reached.step {
        let (was, is) = (a.lr(step), b.lr(step));
        if was.to_bits() != is.to_bits() {
            return Some(format!("step {step} of `{name}` ran at the learning rate {was:e}, and not {is:e}"));
        }
        if step_events(old, &a, step) != step_events(new, &b, step) {
            return Some(format!("`{name}` has other events before step {step}"));
        }
    }
    None
}

/// The targets of movement pruning.
fn movement(stage: &Stage) -> Vec<&Targets> {
    stage.prune.iter().filter(|p| p.by == Criterion::Movement).map(|p| &p.targets).collect()
}

/// The events and states of a step: pruning events with their settings and sparsities, targets of `hold` and
/// `freeze`, distillation, and whether the model was evaluated.
type StepEvents<'a> = (Vec<(usize, Prune, Vec<u64>)>, [Vec<&'a Targets>; 2], Option<Distill>, bool);

fn step_events<'a>(stage: &'a Stage, timeline: &Timeline, step: u64) -> StepEvents<'a> {
    let prunes = timeline.prunes_before(step).into_iter().map(|event| {
        let mut how = stage.prune[event.prune].clone();
        let goals = (0..how.exceptions.len()).map(|i| how.exception_at(i, event.share).to_bits());
        let goals = std::iter::once(event.sparsity.to_bits()).chain(goals).collect();
        // The window and the sparsities are compared as those of the event, so they are cleared here.
        how.window = Window::once(Time::ZERO);
        how.sparsity = Ramp { from: 0.0, to: 0.0, shape: Shape::Linear };
        how.exceptions.iter_mut().for_each(|e| e.sparsity = 0.0);
        (event.prune, how, goals)
    });
    let inside = |list: &'a [Hold]| -> Vec<&'a Targets> {
        let now = list.iter().filter(|h| timeline.contains(h.start, h.end, step));
        now.map(|h| &h.targets).collect()
    };
    let distill = stage.distill.as_ref().filter(|d| timeline.contains(d.start, d.end, step));
    let distill = distill.map(|d| Distill { start: Time::ZERO, end: Time::ZERO, ..d.clone() });
    (prunes.collect(), [inside(&stage.hold), inside(&stage.freeze)], distill, timeline.evaluates_before(step))
}
