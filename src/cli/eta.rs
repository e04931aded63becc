//! Estimating the remaining time of a run: from the model's size before the first step, then from the times of the
//! steps, pruning events and evaluations so far.

use std::collections::HashMap;

use crate::output::numbers::duration;
use crate::schedule::ir::{Criterion, Data, Stage};
use crate::schedule::{Schedule, Timeline};

/// Floating-point operations per weight and token of a training step: two forward, four backward.
const OPERATIONS: f64 = 6.0;
/// Floating-point operations per second of one thread: at the lower end of current processors.
const PER_THREAD: f64 = 15e9;

/// The remaining steps, pruning events and evaluations of a run, and the times of those that are done.
pub struct Eta {
    stages: Vec<StageLeft>,
    limit: Option<u64>,
    /// Maximum sequence length in tokens.
    tokens: usize,
    pace: Pace,
    /// Seconds and number of the pruning events so far, by criterion.
    events: HashMap<&'static str, (f64, u32)>,
    /// Seconds since the present pruning event began.
    spent: f64,
    /// Seconds and number of the evaluations so far.
    evaluations: (f64, u32),
}

/// Seconds of a forward and a backward pass per example.
#[derive(Default)]
struct Pace {
    /// Estimated from the model's size.
    estimated: Option<f64>,
    /// Measured over the gradients of a pruning event.
    of_gradients: Option<f64>,
    /// A running mean over the steps of the last stage that trained, with its name.
    of_steps: Option<(String, f64)>,
}

impl Pace {
    fn seconds(&self) -> Option<f64> {
        let of_steps = self.of_steps.as_ref().map(|(_, seconds)| *seconds);
        of_steps.or(self.of_gradients).or(self.estimated)
    }

    fn is_measured(&self) -> bool {
        self.of_steps.is_some() || self.of_gradients.is_some()
    }
}

/// A stage and its state.
struct StageLeft {
    stage: Stage,
    batch: usize,
    done: bool,
    timeline: Option<StageSteps>,
}

/// The steps of a stage, with its events.
struct StageSteps {
    steps: u64,
    /// The next step.
    at: u64,
    prunes: Vec<Due>,
    evaluations: Vec<u64>,
}

/// A pruning event that is not done.
struct Due {
    step: u64,
    criterion: &'static str,
    /// Examples in a gradient.
    batch: usize,
    /// Examples of all its gradients.
    examples: usize,
}

/// The remaining time of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// Seconds.
    pub seconds: f64,
    /// Whether they are estimated from the model's size, before the first step or gradient.
    pub is_estimated: bool,
}

impl Eta {
    /// The state before a run.
    pub fn new(schedule: &Schedule, limit: Option<u64>) -> Self {
        let stages = schedule.stages.iter().map(|stage| StageLeft {
            batch: (stage.train.batch * stage.train.accumulate).max(1),
            stage: stage.clone(),
            done: false,
            timeline: None,
        });
        Eta {
            stages: stages.collect(),
            limit,
            tokens: tokens(&schedule.data),
            pace: Pace::default(),
            events: HashMap::new(),
            spent: 0.0,
            evaluations: (0.0, 0),
        }
    }

    /// Estimates the time per example from the number of weights in linear layers and the number of CPU threads.
    pub fn estimate(&mut self, weights: usize, threads: usize) {
        let operations = OPERATIONS * weights as f64 * self.tokens as f64;
        self.pace.estimated = Some(operations / (PER_THREAD * threads.max(1) as f64));
    }

    /// Receives that a stage begins, and its steps per epoch. Later stages train on as many examples.
    pub fn begin(&mut self, name: &str, steps_per_epoch: u64) {
        let Some(index) = self.stages.iter().position(|s| s.stage.name == name) else { return };
        let batch = self.stages[index].batch;
        for stage in &mut self.stages[index + 1..] {
            let examples = steps_per_epoch.saturating_mul(batch as u64);
            let own = examples.div_ceil(stage.batch as u64);
            stage.timeline =
                Some(StageSteps::new(&Timeline::limited(&stage.stage, own, self.limit), &stage.stage));
        }
        let begun = &mut self.stages[index];
        begun.timeline = Some(StageSteps::new(&Timeline::new(&begun.stage, steps_per_epoch), &begun.stage));
        // A run that is resumed does not report the stages before.
        for stage in &mut self.stages[..index] {
            stage.done = true;
        }
    }

    /// Receives that a step is done.
    pub fn stepped(&mut self, stage: &str, step: u64, seconds: f64) {
        let Some(ahead) = self.stages.iter_mut().find(|s| s.stage.name == stage) else { return };
        if let Some(timeline) = &mut ahead.timeline {
            timeline.at = step + 1;
        }
        let seconds = seconds / ahead.batch as f64;
        match &mut self.pace.of_steps {
            // Stages differ in their losses: the mean begins again.
            Some((of, mean)) if of == stage => *mean = 0.95 * *mean + 0.05 * seconds,
            of_steps => *of_steps = Some((stage.to_owned(), seconds)),
        }
    }

    /// Receives that `done` gradients of a pruning event were computed in the `seconds` since it began.
    pub fn gradients(&mut self, stage: &str, done: u64, seconds: f64) {
        self.spent = seconds;
        let Some(due) = self.timeline(stage).and_then(|timeline| timeline.prunes.first()) else { return };
        let examples = done as f64 * due.batch as f64;
        if examples > 0.0 {
            self.pace.of_gradients = Some(seconds / examples);
        }
    }

    /// Sets the seconds since the present pruning event began.
    pub fn in_event(&mut self, seconds: f64) {
        self.spent = seconds;
    }

    /// Records the duration of a finished pruning event before a step.
    pub fn pruned(&mut self, stage: &str, step: u64, seconds: f64) {
        self.spent = 0.0;
        let Some(timeline) = self.timeline(stage) else { return };
        let Some(index) = timeline.prunes.iter().position(|due| due.step <= step) else { return };
        let due = timeline.prunes.remove(index);
        let (sum, count) = self.events.entry(due.criterion).or_default();
        *sum += seconds;
        *count += 1;
    }

    /// Receives that the model was evaluated before a step.
    pub fn evaluated(&mut self, stage: &str, step: u64, seconds: f64) {
        self.evaluations.0 += seconds;
        self.evaluations.1 += 1;
        if let Some(timeline) = self.timeline(stage) {
            timeline.evaluations.retain(|at| *at > step);
        }
    }

    /// Receives that a stage is finished.
    pub fn finished(&mut self, stage: &str) {
        if let Some(stage) = self.stages.iter_mut().find(|s| s.stage.name == stage) {
            stage.done = true;
        }
    }

    fn timeline(&mut self, stage: &str) -> Option<&mut StageSteps> {
        self.stages.iter_mut().find(|s| s.stage.name == stage)?.timeline.as_mut()
    }

    /// Training examples per second.
    pub fn speed(&self, stage: &str) -> Option<f64> {
        let of_steps = self.pace.of_steps.as_ref();
        of_steps.filter(|(of, seconds)| of == stage && *seconds > 0.0).map(|(_, s)| 1.0 / s)
    }

    /// The remaining time of the whole run. `None` until the model's size and the steps of a stage are known.
    pub fn left(&self) -> Option<Left> {
        let pace = self.pace.seconds()?;
        let mut seconds = 0.0;
        let mut spent = self.spent;
        for stage in self.stages.iter().filter(|s| !s.done) {
            let timeline = stage.timeline.as_ref()?;
            // A step over twice as many examples takes about twice as long.
            let steps = timeline.steps.saturating_sub(timeline.at) as f64;
            seconds += pace * stage.batch as f64 * steps;
            for due in &timeline.prunes {
                let event = match self.events.get(due.criterion) {
                    Some((sum, count)) => sum / f64::from(*count),
                    None => pace * due.examples as f64,
                };
                // The first event may have begun.
                seconds += (event - std::mem::take(&mut spent)).max(0.0);
            }
            let (sum, count) = self.evaluations;
            seconds += sum / f64::from(count.max(1)) * timeline.evaluations.len() as f64;
        }
        Some(Left { seconds, is_estimated: !self.pace.is_measured() })
    }
}

/// The maximum sequence length of the data in tokens.
fn tokens(data: &Data) -> usize {
    match data {
        Data::Squad { max_length, .. } | Data::SquadV2 { max_length, .. } => *max_length,
        Data::Mnli { max_length } | Data::Qqp { max_length } | Data::MaskedText { max_length } => *max_length,
        Data::Classify(columns) => columns.max_length,
        Data::ClassifyTokens(columns) => columns.max_length,
        Data::Regression(columns) | Data::Rerank(columns) => columns.max_length,
        Data::MultiLabel(columns) => columns.max_length,
        Data::Embeddings(settings) => settings.max_length,
        Data::BuiltinReading { .. } | Data::Own => 64,
    }
}

impl StageSteps {
    fn new(timeline: &Timeline, stage: &Stage) -> Self {
        let due = |step: u64, index: usize| {
            let (criterion, batch, gradients) = match &stage.prune[index].by {
                Criterion::Magnitude => ("magnitude", 0, 0),
                Criterion::Movement => ("movement", 0, 0),
                Criterion::Obs(obs) => ("obs", obs.batch, obs.gradients * obs.recompute),
            };
            Due { step, criterion, batch, examples: gradients * batch }
        };
        let mut at: Vec<u64> = timeline.prunes().iter().map(|e| e.step).collect();
        at.dedup();
        let events = at.into_iter().flat_map(|step| timeline.prunes_before(step));
        let steps = timeline.steps();
        StageSteps {
            steps,
            at: 0,
            prunes: events.map(|e| due(e.step, e.prune)).collect(),
            // Every stage is evaluated at its end.
            evaluations: (0..steps).filter(|s| timeline.evaluates_before(*s)).chain([steps]).collect(),
        }
    }
}

impl Left {
    /// `12m 05s left`, or `roughly 12m 05s left` if it is estimated.
    pub fn words(&self) -> String {
        let roughly = if self.is_estimated { "roughly " } else { "" };
        format!("{roughly}{} left", duration(self.seconds))
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
    prune encoder_linears over 0..3 epochs every 1 epoch {
      by: obs(gradients: 8, batch: 4), sparsity: 30% -> 60% cubic
    }
  }
}
";
        let compiled = compile("r.obert", text, &NoFiles, Options::default());
        Eta::new(&compiled.schedule.expect("a good recipe"), limit)
    }

    fn seconds(eta: &Eta) -> f64 {
        eta.left().expect("something is known").seconds
    }

    #[test]
    fn before_the_first_step_the_models_size_says_how_long_it_roughly_takes() {
        let mut eta = eta(None);
        assert_eq!(eta.left(), None);
        eta.estimate(1_000_000, 2);
        eta.begin("a", 10);
        // 20 steps of 32 examples, 20 of 64, and 4 events of 8 gradients of 4 examples, each of 64 tokens.
        let examples = 20.0 * 32.0 + 20.0 * 64.0 + 4.0 * 32.0;
        let expected = examples * 6.0 * 1e6 * 64.0 / 30e9;
        assert!((seconds(&eta) - expected).abs() < 1e-9 * expected);
        assert!(eta.left().unwrap().words().starts_with("roughly "));
        eta.stepped("a", 0, 3.2);
        assert_eq!(eta.left().unwrap().words(), "3m 21s left", "0.1 s an example, then");
    }

    #[test]
    fn steps_events_and_evaluations_to_come_are_counted_with_what_they_cost() {
        let mut eta = eta(None);
        eta.begin("a", 10);
        eta.stepped("a", 0, 3.2);
        // 19 steps of 3.2 s, then 20 steps over twice the examples, four events of 32 examples.
        assert!((seconds(&eta) - (19.0 * 3.2 + 20.0 * 6.4 + 4.0 * 3.2)).abs() < 1e-9);
        assert!((eta.speed("a").unwrap() - 10.0).abs() < 1e-9);
        for step in 1..10 {
            eta.stepped("a", step, 3.2);
        }
        eta.evaluated("a", 10, 3.0);
        // Three evaluations are left: at the ends of a, b and c.
        assert!((seconds(&eta) - (10.0 * 3.2 + 20.0 * 6.4 + 4.0 * 3.2 + 9.0)).abs() < 1e-9);
        for step in 10..20 {
            eta.stepped("a", step, 3.2);
        }
        eta.evaluated("a", 20, 3.0);
        eta.finished("a");
        eta.begin("b", 10);
        eta.pruned("b", 0, 1.0);
        eta.evaluated("b", 0, 3.0);
        eta.finished("b");
        eta.begin("c", 5);
        // In the first event of c: what it took so far is not to come.
        eta.in_event(1.2);
        assert!((seconds(&eta) - (20.0 * 6.4 + 4.0 * 3.2 - 1.2 + 3.0)).abs() < 1e-9);
        eta.pruned("c", 0, 7.0);
        // Three events as long as the first.
        assert!((seconds(&eta) - (20.0 * 6.4 + 21.0 + 3.0)).abs() < 1e-9);
        eta.stepped("c", 0, 12.8);
        assert!((seconds(&eta) - (19.0 * 12.8 + 21.0 + 3.0)).abs() < 1e-9);
        assert_eq!(eta.left().unwrap().words(), "4m 27s left");
    }

    #[test]
    fn the_gradients_of_a_first_event_measure_the_pace_before_any_step() {
        let mut eta = eta(None);
        eta.estimate(1_000_000_000, 1);
        eta.begin("c", 5);
        eta.gradients("c", 4, 1.6);
        // 16 examples in 1.6 s: 20 steps of 64, and four events of 32 less what is done.
        assert!((seconds(&eta) - (20.0 * 6.4 + 4.0 * 3.2 - 1.6)).abs() < 1e-9);
        assert!(!eta.left().unwrap().is_estimated);
    }

    #[test]
    fn a_limit_of_steps_shortens_what_is_still_to_come() {
        let mut eta = eta(Some(8));
        eta.begin("a", 4);
        eta.stepped("a", 0, 3.2);
        // Of c, 4 epochs of 2 steps, with its events.
        assert!((seconds(&eta) - (7.0 * 3.2 + 8.0 * 6.4 + 4.0 * 3.2)).abs() < 1e-9);
    }
}
