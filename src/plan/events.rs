//! The events of a stage in order of time, described in words.

use serde::Serialize;

use crate::diag::counted;
use crate::schedule::ir::{Layers, LrPiece, Prune, Quantize, Scheme, Stage, Teacher};
use crate::schedule::{Ramp, Time, Timeline, Window};

/// An event of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The exact time.
    pub at: Time,
    /// The step before whose forward pass it happens; `None` if the length of an epoch is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The verb of the statement.
    pub verb: &'static str,
    /// The description.
    pub what: String,
    /// For `prune`, the sparsity after the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<f64>,
}

/// All events of a stage by time.
pub fn of(stage: &Stage, steps_per_epoch: Option<u64>) -> Vec<Event> {
    let timeline = Timeline::new(stage, steps_per_epoch.unwrap_or(UNKNOWN));
    listed(stage, &timeline, steps_per_epoch, usize::MAX)
}

/// How many pruning events at the beginning and at the end are listed where there are too many.
const FIRST_AND_LAST: (usize, usize) = (20, 5);

/// The events of a stage whose timeline is known. Of more than `most` pruning events, those in the middle
/// become one entry.
pub fn listed(stage: &Stage, timeline: &Timeline, steps_per_epoch: Option<u64>, most: usize) -> Vec<Event> {
    let mut list: Vec<Event> = Vec::new();
    let mut add = |at: Time, verb: &'static str, what: String, sparsity: Option<f64>| {
        let step = steps_per_epoch.map(|spe| at.first_step(spe));
        list.push(Event { at, step, verb, what, sparsity });
    };
    if let Some(layers) = &stage.layers {
        add(Time::ZERO, "layers", self::layers(layers), None);
    }
    for piece in &stage.lr {
        add(piece.start, "lr", format!("learning rate {}", rates(piece)), None);
    }
    for factor in &stage.lr_factors {
        let what = format!("{}: {} times the learning rate", factor.targets.selector, factor.factor);
        add(Time::ZERO, "lr", what, None);
    }
    for hold in &stage.hold {
        let what = format!("hold the zeros of {}{}", hold.targets.selector, until(stage, hold.end));
        add(hold.start, "hold", what, None);
    }
    for freeze in &stage.freeze {
        let what = format!("freeze {}{}", freeze.targets.selector, until(stage, freeze.end));
        add(freeze.start, "freeze", what, None);
    }
    for quantize in &stage.quantize {
        add(quantize.start, "quantize", self::quantize(quantize, stage), None);
        if let Some(freeze) = quantize.freeze {
            let what = format!("freeze the observers of {}", quantize.targets.selector);
            add(freeze, "quantize", what, None);
        }
    }
    if let Some(distill) = &stage.distill {
        let from = match &distill.from {
            Teacher::Flag => "the teacher".to_owned(),
            Teacher::Named(name) => format!("`{name}`"),
            Teacher::Stage(name) => format!("stage {name}"),
            Teacher::Itself => "the model at the stage's start".to_owned(),
        };
        let (hardness, temperature) = (distill.hardness, distill.temperature);
        let end = until(stage, distill.end);
        let what = format!("distill from {from}, hardness {hardness}, temperature {temperature}{end}");
        add(distill.start, "distill", what, None);
        if let Some(hidden) = &distill.hidden {
            let what = format!("match the hidden states of `{}`, gain {}", hidden.modules, hidden.gain);
            add(distill.start, "distill", what, None);
        }
    }
    let mixed: Vec<bool> = stage.prune.iter().map(|p| steps_per_epoch.is_none() && is_mixed(p)).collect();
    let names: Vec<String> = stage.prune.iter().map(|p| p.targets.selector.to_string()).collect();
    let count = timeline.prunes().iter().filter(|e| !mixed[e.prune]).count();
    let hidden = match FIRST_AND_LAST {
        (first, last) if count > most.max(first + last) => first..count - last,
        _ => count..count,
    };
    for (index, event) in timeline.prunes().iter().filter(|e| !mixed[e.prune]).enumerate() {
        if hidden.contains(&index) {
            if index == hidden.start {
                let what =
                    format!("… and {} …", counted(hidden.len(), "more pruning event", "more pruning events"));
                add(event.at, "prune", what, Some(event.sparsity));
            }
            continue;
        }
        let prune = &stage.prune[event.prune];
        let mut what = format!("prune {} to {}", names[event.prune], percent(event.sparsity));
        for (index, exception) in prune.exceptions.iter().enumerate() {
            let sparsity = percent(prune.exception_at(index, event.share));
            what.push_str(&format!(", {} to {sparsity}", exception.targets.selector));
        }
        add(event.at, "prune", what, Some(event.sparsity));
    }
    for prune in stage.prune.iter().filter(|p| steps_per_epoch.is_none() && is_mixed(p)) {
        let Ramp { from, to, .. } = prune.sparsity;
        let (every, end) = (prune.window.every, prune.window.end);
        let targets = &prune.targets.selector;
        let what =
            format!("prune {targets} from {} to {}, every {every} until {end}", percent(from), percent(to));
        add(prune.window.start, "prune", what, None);
    }
    if let Some(every) = stage.evaluate_every {
        add(every, "evaluate", format!("evaluate, and again every {every}"), None);
    }
    let end = match &stage.keep_best {
        None => "evaluate".to_owned(),
        Some(metric) => format!("evaluate; end with the weights of the best {metric} since the last pruning"),
    };
    add(stage.length, "evaluate", end, None);
    // The checker accepts only times whose order is the same for every length of an epoch.
    let spe = steps_per_epoch.unwrap_or(UNKNOWN);
    list.sort_by_cached_key(|h| h.at.in_steps(spe));
    list
}

/// The number of steps in an epoch that is assumed if it is unknown: so large that times in steps come first.
pub const UNKNOWN: u64 = 1_000_000;

/// Whether the number of pruning events in a window depends on the number of steps in an epoch.
fn is_mixed(prune: &Prune) -> bool {
    let Window { start, end, every } = prune.window;
    !every.is_zero() && end.minus(start).and_then(|length| length.ratio_to(every)).is_none()
}

/// ` until 4 epochs`, or nothing for the end of the stage.
fn until(stage: &Stage, end: Time) -> String {
    if end == stage.length { String::new() } else { format!(" until {end}") }
}

fn layers(layers: &Layers) -> String {
    let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    match layers {
        Layers::Keep(numbers) => format!("keep layers {} and drop the others", list(numbers)),
        Layers::Drop(numbers) => format!("drop layers {}", list(numbers)),
    }
}

fn quantize(quantize: &Quantize, stage: &Stage) -> String {
    let scheme = |s: &Scheme| {
        let zero = if s.symmetric { "symmetric" } else { "asymmetric" };
        format!("{} {zero} per {}", s.name(), if s.per_channel { "channel" } else { "tensor" })
    };
    let mut what = format!("quantize {}: weights {}", quantize.targets.selector, scheme(&quantize.weights));
    if let Some(activations) = &quantize.activations {
        what.push_str(&format!(", activations {}", scheme(activations)));
    }
    if quantize.attention {
        what.push_str(", attention products too");
    }
    what.push_str(&until(stage, quantize.end));
    if quantize.calibrate > 0 {
        what.push_str(&format!(", calibrated on {}", counted(quantize.calibrate, "batch", "batches")));
    }
    what
}

fn rates(piece: &LrPiece) -> String {
    let ramp = piece.ramp;
    let mut text = if ramp.from == ramp.to {
        rate(ramp.to)
    } else {
        format!("{} to {}, {}", rate(ramp.from), rate(ramp.to), ramp.shape)
    };
    if let Some(cycle) = piece.repeating {
        text.push_str(&format!(", repeating every {cycle}"));
    }
    text
}

/// `8e-5`, and plain zero.
pub(super) fn rate(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:e}") }
}

/// `87.5%`.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
