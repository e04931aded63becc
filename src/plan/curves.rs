//! Sparsity, learning rate and windows of a stage by step, for charts.

use crate::schedule::Timeline;
use crate::schedule::ir::Stage;

/// The curves of a stage.
pub struct Curves {
    /// The stage's name.
    pub name: String,
    /// The number of steps.
    pub steps: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Whether the recipe gives its length in steps.
    pub in_steps: bool,
    /// The sparsity of each `prune` statement.
    pub sparsity: Vec<Track>,
    /// Windows of other statements: the verb, the first step, and the step after the last.
    pub bands: Vec<(&'static str, u64, u64)>,
    /// The highest learning rate.
    pub peak: f64,
    timeline: Timeline,
}

/// The sparsity of a `prune` statement's targets.
pub struct Track {
    /// The selector of the targets.
    pub targets: String,
    /// The step before which each event happens, and the sparsity after it.
    pub events: Vec<(u64, f64)>,
}

impl Curves {
    /// The curves of a stage; `None` for one without training.
    pub fn new(stage: &Stage, steps_per_epoch: u64) -> Option<Self> {
        let timeline = Timeline::new(stage, steps_per_epoch);
        let steps = timeline.steps();
        if steps == 0 {
            return None;
        }
        let sparsity = stage
            .prune
            .iter()
            .enumerate()
            .map(|(index, prune)| Track {
                targets: prune.targets.selector.to_string(),
                events: timeline
                    .prunes()
                    .iter()
                    .filter(|e| e.prune == index)
                    .map(|e| (e.step, e.sparsity))
                    .collect(),
            })
            .collect();
        let at = |t: crate::schedule::Time| t.first_step(steps_per_epoch).min(steps);
        let mut bands = Vec::new();
        bands.extend(stage.hold.iter().map(|h| ("hold", at(h.start), at(h.end))));
        bands.extend(stage.freeze.iter().map(|f| ("freeze", at(f.start), at(f.end))));
        bands.extend(stage.distill.iter().map(|d| ("distill", at(d.start), at(d.end))));
        bands.extend(stage.quantize.iter().map(|q| ("quantize", at(q.start), at(q.end))));
        // Sampling would miss the peaks, which are at the ends of pieces and cycles.
        let ends = stage.lr.iter().map(|p| p.ramp.from.max(p.ramp.to));
        let peak = ends.fold(0.0, f64::max);
        let (name, in_steps) = (stage.name.clone(), stage.length.is_in_steps());
        Some(Curves { name, steps, steps_per_epoch, in_steps, sparsity, bands, peak, timeline })
    }

    /// The learning rate of a step.
    pub fn lr(&self, step: u64) -> f64 {
        self.timeline.lr(step)
    }

    /// The position of a step in epochs.
    pub fn epoch(&self, step: u64) -> f64 {
        self.timeline.epoch(step)
    }
}

impl Track {
    /// The sparsity during a step; zero before the first event.
    pub fn at(&self, step: u64) -> f64 {
        self.events.iter().rev().find(|(at, _)| *at <= step).map_or(0.0, |(_, sparsity)| *sparsity)
    }
}
