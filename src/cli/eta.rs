//! How long a run will still take, from what it took so far.

use std::collections::HashMap;

use crate::output::figures::duration;
use crate::schedule::ir::{Criterion, Stage};
use crate::schedule::{Schedule, Timeline};

/// Knows what is still to come, and what such things have cost.
pub struct Eta {
    stages: Vec<Ahead>,
    limit: Option<u64>,
    /// The last stage that trained, and seconds of its step for each example, a running mean.
    step: Option<(String, f64)>,
    /// Seconds and number of the pruning events so far, by how importance is measured.
    events: HashMap<&'static str, (f64, u32)>,
    /// The same of measurements.
    evaluations: (f64, u32),
}

/// What a stage holds.
struct Ahead {
    stage: Stage,
    batch: usize,
    done: bool,
    laid: Option<Laid>,
}

/// A stage over real steps: when what happens.
struct Laid {
    steps: u64,
    /// The next step.
    at: u64,
    prunes: Vec<(u64, &'static str)>,
    evaluations: Vec<u64>,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Left {
    /// Seconds, as far as they can be known.
    pub seconds: f64,
    /// Pruning events whose cost is not in it: none of their kind has been seen.
    pub unknown: u32,
}

impl Eta {
    /// Before a run, of which nothing is known but the plan.
    pub fn new(schedule: &Schedule, limit: Option<u64>) -> Self {
        let stages = schedule.stages.iter().map(|stage| Ahead {
            batch: (stage.train.batch * stage.train.accumulate).max(1),
            stage: stage.clone(),
            done: false,
            laid: None,
        });
        let stages = stages.collect();
        Eta { stages, limit, step: None, events: HashMap::new(), evaluations: (0.0, 0) }
    }

    /// A stage begins, and says how long an epoch is; later stages see as many examples.
    pub fn begin(&mut self, name: &str, steps_per_epoch: u64) {
        let Some(index) = self.stages.iter().position(|s| s.stage.name == name) else { return };
        let batch = self.stages[index].batch;
        for stage in &mut self.stages[index + 1..] {
            let examples = steps_per_epoch.saturating_mul(batch as u64);
            let own = examples.div_ceil(stage.batch as u64);
            stage.laid = Some(Laid::new(&Timeline::limited(&stage.stage, own, self.limit), &stage.stage));
        }
        let begun = &mut self.stages[index];
        begun.laid = Some(Laid::new(&Timeline::new(&begun.stage, steps_per_epoch), &begun.stage));
        // A run that was taken up again does not tell of the stages before.
        for stage in &mut self.stages[..index] {
            stage.done = true;
        }
    }

    /// A step was done.
    pub fn stepped(&mut self, stage: &str, step: u64, seconds: f64) {
        let Some(ahead) = self.stages.iter_mut().find(|s| s.stage.name == stage) else { return };
        if let Some(laid) = &mut ahead.laid {
            laid.at = step + 1;
        }
        let seconds = seconds / ahead.batch as f64;
        match &mut self.step {
            // Each stage has a loss of its own: the mean begins anew.
            Some((of, mean)) if of == stage => *mean = 0.95 * *mean + 0.05 * seconds,
            step => *step = Some((stage.to_owned(), seconds)),
        }
    }

    /// A pruning event was done before a step.
    pub fn pruned(&mut self, stage: &str, step: u64, seconds: f64) {
        let Some(laid) = self.laid(stage) else { return };
        let Some(due) = laid.prunes.iter().position(|(at, _)| *at <= step) else { return };
        let (_, kind) = laid.prunes.remove(due);
        let (sum, count) = self.events.entry(kind).or_default();
        *sum += seconds;
        *count += 1;
    }

    /// The model was measured before a step.
    pub fn evaluated(&mut self, stage: &str, step: u64, seconds: f64) {
        self.evaluations.0 += seconds;
        self.evaluations.1 += 1;
        if let Some(laid) = self.laid(stage) {
            laid.evaluations.retain(|at| *at > step);
        }
    }

    /// A stage came to its end.
    pub fn finished(&mut self, stage: &str) {
        if let Some(stage) = self.stages.iter_mut().find(|s| s.stage.name == stage) {
            stage.done = true;
        }
    }

    fn laid(&mut self, stage: &str) -> Option<&mut Laid> {
        self.stages.iter_mut().find(|s| s.stage.name == stage)?.laid.as_mut()
    }

    /// Examples in a second, in training.
    pub fn speed(&self, stage: &str) -> Option<f64> {
        self.step.as_ref().filter(|(of, seconds)| of == stage && *seconds > 0.0).map(|(_, s)| 1.0 / s)
    }

    /// What the whole run still takes: steps, pruning events and measurements. `None` before the first
    /// step.
    pub fn left(&self) -> Option<Left> {
        let (_, per_example) = self.step.as_ref()?;
        let mut left = Left::default();
        for stage in self.stages.iter().filter(|s| !s.done) {
            let laid = stage.laid.as_ref()?;
            // A step over twice as many examples takes about twice as long.
            let steps = laid.steps.saturating_sub(laid.at) as f64;
            left.seconds += per_example * stage.batch as f64 * steps;
            for (_, kind) in &laid.prunes {
                match self.events.get(kind) {
                    Some((sum, count)) => left.seconds += sum / f64::from(*count),
                    None => left.unknown += 1,
                }
            }
            let (sum, count) = self.evaluations;
            left.seconds += sum / f64::from(count.max(1)) * laid.evaluations.len() as f64;
        }
        Some(left)
    }
}

impl Laid {
    fn new(timeline: &Timeline, stage: &Stage) -> Self {
        let kind = |index: usize| match stage.prune[index].by {
            Criterion::Magnitude => "magnitude",
            Criterion::Movement => "movement",
            Criterion::Obs(_) => "obs",
        };
        let mut due: Vec<u64> = timeline.prunes().iter().map(|e| e.step).collect();
        due.dedup();
        let prunes = due.into_iter().flat_map(|step| {
            timeline.prunes_before(step).into_iter().map(|e| (e.step, kind(e.prune))).collect::<Vec<_>>()
        });
        let steps = timeline.steps();
        Laid {
            steps,
            at: 0,
            prunes: prunes.collect(),
            // Every stage is measured at its end.
            evaluations: (0..steps).filter(|s| timeline.evaluates_before(*s)).chain([steps]).collect(),
        }
    }
}

impl Left {
    /// `12m 05s left`, with the events that are not in it.
    pub fn words(&self) -> String {
        let time = duration(self.seconds);
        match self.unknown {
            0 => format!("{time} left"),
            1 => format!("{time} and a pruning event left"),
            n => format!("{time} and {n} pruning events left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{NoFiles, Options, compile};

    fn eta(limit: Option<u64>) -> Eta {
        let text = "edition 2026
use std.bert.{encoder_linears}
recipe r {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 320, dev: 8)
  batch: 32
  stage a for 2 epochs {
    lr { 0..2 epochs: 1e-3 }
    evaluate every 1 epoch
  }
  branch b from a { prune encoder_linears { by: magnitude, sparsity: 50% } }
  stage c for 4 epochs {
    batch: 64
    lr { 0..4 epochs: 1e-3 }
    prune encoder_linears over 0..3 epochs every 1 epoch { by: obs(gradients: 8), sparsity: 30% -> 60% cubic }
  }
}
";
        let compiled = compile("r.obert", text, &NoFiles, Options::default());
        Eta::new(&compiled.schedule.expect("a good recipe"), limit)
    }

    #[test]
    fn steps_events_and_measurements_to_come_are_counted_with_what_they_cost() {
        let mut eta = eta(None);
        assert_eq!(eta.left(), None, "nothing is known before the first step");
        eta.begin("a", 10);
        eta.stepped("a", 0, 2.0);
        // 19 steps of 2 s, then 20 steps over twice the examples; one event of b and four of c.
        assert_eq!(eta.left(), Some(Left { seconds: 38.0 + 80.0, unknown: 5 }));
        assert_eq!(eta.speed("a"), Some(16.0));
        for step in 1..10 {
            eta.stepped("a", step, 2.0);
        }
        eta.evaluated("a", 10, 3.0);
        // Three measurements are left: at the ends of a, b and c.
        assert_eq!(eta.left().map(|l| l.seconds.round()), Some(20.0 + 80.0 + 9.0));
        for step in 10..20 {
            eta.stepped("a", step, 2.0);
        }
        eta.evaluated("a", 20, 3.0);
        eta.finished("a");
        eta.begin("b", 10);
        eta.pruned("b", 0, 1.0);
        eta.evaluated("b", 0, 3.0);
        eta.finished("b");
        eta.begin("c", 5);
        eta.pruned("c", 0, 7.0);
        // 20 steps of 4 s until its own are seen, three events of 7 s, a measurement of 3 s.
        assert_eq!(eta.left().map(|l| l.seconds.round()), Some(80.0 + 21.0 + 3.0));
        eta.stepped("c", 0, 6.4);
        assert_eq!(eta.left().map(|l| l.seconds.round()), Some(f64::round(19.0 * 6.4 + 21.0 + 3.0)));
        assert_eq!(eta.left().map(|l| l.words()), Some("2m 25s left".into()));
    }

    #[test]
    fn a_limit_of_steps_shortens_what_is_still_to_come() {
        let mut eta = eta(Some(8));
        eta.begin("a", 4);
        eta.stepped("a", 0, 1.0);
        // Of c, 4 epochs of 2 steps.
        assert_eq!(eta.left().map(|l| (l.seconds, l.unknown)), Some((7.0 + 16.0, 5)));
    }
}
