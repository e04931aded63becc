//! The timeline of a stage: its pruning events, evaluations and learning rates by optimizer step.

use super::ir::{LrPiece, Stage};
use super::{Rational, Time};

/// A pruning event of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PruneEvent {
    /// The step before whose forward pass it happens; the stage's number of steps for one after training.
    pub step: u64,
    /// The exact time.
    pub at: Time,
    /// The index of the stage's `prune` statement.
    pub prune: usize,
    /// The fraction of the window elapsed at the exact time, `0..=1`.
    pub share: f64,
    /// The sparsity after the event, `0..=1`.
    pub sparsity: f64,
}

/// The events of a stage by step.
///
/// An event at time E (in epochs) happens before the forward pass of the first step k with
/// k / steps_per_epoch ≥ E. Only this conversion rounds, so repeated events do not drift.
#[derive(Clone, Debug)]
pub struct Timeline {
    steps_per_epoch: u64,
    steps: u64,
    pieces: Vec<Piece>,
    prunes: Vec<PruneEvent>,
    /// Steps between evaluations.
    every: Option<Rational>,
}

#[derive(Clone, Debug)]
struct Piece {
    lr: LrPiece,
    first: u64,
    end: u64,
    start: Rational,
    length: Rational,
    cycle: Option<Rational>,
}

impl Timeline {
    /// Lays out a stage when an epoch has `steps_per_epoch` steps (at least 1).
    pub fn new(stage: &Stage, steps_per_epoch: u64) -> Self {
        let spe = steps_per_epoch.max(1);
        let steps = stage.length.first_step(spe);
        let pieces = stage.lr.iter().map(|lr| Piece::new(lr, spe)).collect();
        let mut prunes: Vec<PruneEvent> = Vec::new();
        for (index, prune) in stage.prune.iter().enumerate() {
            prunes.extend(prune.window.occurrences(spe).into_iter().map(|o| PruneEvent {
                step: o.at.first_step(spe).min(steps),
                at: o.at,
                prune: index,
                share: o.share,
                sparsity: prune.sparsity.at(o.share),
            }));
        }
        prunes.sort_by_key(|e| e.step);
        let every = stage.evaluate_every.map(|t| t.in_steps(spe));
        Timeline { steps_per_epoch: spe, steps, pieces, prunes, every }
    }

    /// Lays out a stage over at most `limit` steps, but at least one step per epoch: epochs are shortened. Several
    /// events of a statement that fall on one step become one, which prunes to the sparsity of the last.
    pub fn limited(stage: &Stage, steps_per_epoch: u64, limit: Option<u64>) -> Self {
        let mut steps_per_epoch = steps_per_epoch;
        if let Some(limit) = limit {
            while steps_per_epoch > 1 && stage.length.first_step(steps_per_epoch) > limit {
                let over = stage.length.first_step(steps_per_epoch);
                let scaled = (steps_per_epoch as u128 * u128::from(limit) / u128::from(over)) as u64;
                steps_per_epoch = scaled.clamp(1, steps_per_epoch - 1);
            }
        }
        Timeline::new(stage, steps_per_epoch)
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.steps_per_epoch
    }

    /// The number of steps of the stage.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The position of a step in epochs.
    pub fn epoch(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch as f64
    }

    /// The step before which an event at a time happens; at most the stage's number of steps.
    pub fn first_step(&self, at: Time) -> u64 {
        at.first_step(self.steps_per_epoch).min(self.steps)
    }

    /// All pruning events, by step.
    pub fn prunes(&self) -> &[PruneEvent] {
        &self.prunes
    }

    /// The pruning events before the forward pass of `step`, in the order of the recipe. Of several events
    /// of one statement at one step only the last counts, whose sparsity includes the others'.
    pub fn prunes_before(&self, step: u64) -> Vec<PruneEvent> {
        let mut due: Vec<PruneEvent> = Vec::new();
        let first = self.prunes.partition_point(|e| e.step < step);
        for event in self.prunes[first..].iter().take_while(|e| e.step == step) {
            due.retain(|d| d.prune != event.prune);
            due.push(*event);
        }
        due
    }

    /// Whether the model is evaluated before this step.
    pub fn evaluates_before(&self, step: u64) -> bool {
        let Some(every) = self.every.filter(|e| *e > Rational::ZERO) else { return false };
        // The last multiple of `every` at or before the step must be after the previous step.
        let multiple = Rational::whole(i64::try_from(step).unwrap_or(i64::MAX))
            .over(every)
            .and_then(|n| Rational::new(n.floor(), 1))
            .and_then(|n| n.times(every));
        let before = Rational::whole(i64::try_from(step).unwrap_or(i64::MAX)).minus(Rational::ONE);
        0 < step && step < self.steps && multiple.zip(before).is_some_and(|(m, b)| m > b)
    }

    /// The learning rate of a step; zero outside all pieces.
    pub fn lr(&self, step: u64) -> f64 {
        self.pieces.iter().find(|p| p.first <= step && step < p.end).map_or(0.0, |p| p.lr_at(step))
    }

    /// Whether a step is in `start..end`.
    pub fn contains(&self, start: Time, end: Time, step: u64) -> bool {
        start.first_step(self.steps_per_epoch) <= step && step < end.first_step(self.steps_per_epoch)
    }
}

impl Piece {
    fn new(lr: &LrPiece, spe: u64) -> Self {
        let start = lr.start.in_steps(spe);
        let end = lr.end.in_steps(spe);
        Piece {
            first: lr.start.first_step(spe),
            end: lr.end.first_step(spe),
            length: end.minus(start).unwrap_or(Rational::ONE),
            start,
            cycle: lr.repeating.map(|c| c.in_steps(spe)),
            lr: lr.clone(),
        }
    }

    /// The learning rate of a step inside the piece. Without cycles, step k of n is at fraction `k / n` of the
    /// ramp, so that the end value belongs to the next piece. In a cycle of C steps it is at fraction
    /// `k / (C - 1)`, so that the last step has the end value (SparseML's `cyclic_linear`); the last cycle
    /// may be shorter.
    fn lr_at(&self, step: u64) -> f64 {
        let gone = Rational::whole(step as i64).minus(self.start).unwrap_or(Rational::ZERO);
        let (gone, length) = match self.cycle {
            None => (gone, self.length),
            Some(cycle) => {
                let whole = gone.over(cycle).map_or(0, Rational::floor);
                let before = Rational::new(whole, 1).and_then(|n| n.times(cycle)).unwrap_or(Rational::ZERO);
                let into = gone.minus(before).unwrap_or(Rational::ZERO);
                let left = self.length.minus(before).unwrap_or(cycle);
                (into, cycle.min(left).minus(Rational::ONE).unwrap_or(Rational::ONE))
            }
        };
        if length <= Rational::ZERO {
            return self.lr.ramp.to;
        }
        self.lr.ramp.at(gone.to_f64() / length.to_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Ramp, Shape};

    fn piece(start: &str, end: &str, repeating: Option<&str>) -> LrPiece {
        LrPiece {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
            ramp: Ramp { from: 8e-5, to: 8e-6, shape: Shape::Linear },
            repeating: repeating.map(|r| r.parse().unwrap()),
        }
    }

    fn timeline(lr: Vec<LrPiece>, length: &str, spe: u64) -> Timeline {
        Timeline::new(&stage(lr, length), spe)
    }

    fn stage(lr: Vec<LrPiece>, length: &str) -> Stage {
        Stage {
            name: "s".into(),
            doc: String::new(),
            branch_from: None,
            length: length.parse().unwrap(),
            train: super::super::ir::Train {
                batch: 1,
                accumulate: 1,
                weight_decay: 0.0,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                clip: 0.0,
                dropout: None,
                label_smoothing: 0.0,
                batches: Default::default(),
                precision: Default::default(),
            },
            layers: None,
            lr,
            lr_factors: vec![],
            prune: vec![],
            hold: vec![],
            freeze: vec![],
            quantize: vec![],
            distill: None,
            evaluate_every: Some("0.5 epochs".parse().unwrap()),
            keep_best: None,
        }
    }

    #[test]
    fn the_papers_learning_rates_at_a_thousand_steps_an_epoch() {
        let lr = vec![piece("0 epochs", "2 epochs", None), piece("2 epochs", "30 epochs", Some("4 epochs"))];
        let t = timeline(lr, "30 epochs", 1000);
        assert_eq!(t.steps(), 30_000);
        for (step, expected) in [
            (0, 8e-5),
            (500, 6.2e-5),
            (1500, 2.6e-5),
            (2000, 8e-5),
            (2500, 7.09977494e-5),
            (4000, 4.39909977e-5),
            (5999, 8e-6),
            (6000, 8e-5),
        ] {
            let lr = t.lr(step);
            assert!((lr - expected).abs() < 1e-9 * 8.0, "step {step}: {lr} is not {expected}");
        }
    }

    #[test]
    fn pieces_hand_over_at_their_common_instant_and_nothing_lies_behind_the_end() {
        let t = timeline(vec![piece("0 epochs", "1.5 epochs", None)], "2 epochs", 3);
        assert!(t.lr(4) > 0.0);
        assert_eq!(t.lr(5), 0.0, "1.5 epochs are 4.5 steps, so step 5 is past the piece");
    }

    #[test]
    fn evaluations_fall_between_start_and_end() {
        let t = timeline(vec![], "2 epochs", 10);
        let at: Vec<u64> = (0..=20).filter(|s| t.evaluates_before(*s)).collect();
        assert_eq!(at, [5, 10, 15]);
    }

    #[test]
    fn a_limited_stage_has_at_most_the_limit_but_at_least_a_step_per_epoch() {
        let stage = stage(vec![], "8 epochs");
        let steps = |limit| Timeline::limited(&stage, 100, limit).steps();
        assert_eq!([steps(None), steps(Some(80)), steps(Some(30)), steps(Some(2))], [800, 80, 24, 8]);
    }
}
