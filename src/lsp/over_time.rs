//! Sparsity and learning rate over time, for hover and inlay hints.

use std::ops::Range;

use super::snapshot::Snapshot;
use crate::api::known_steps;
use crate::diag::counted;
use crate::language::check::recipe::{Prune, Stage};
use crate::schedule::window::Occurrence;
use crate::schedule::{Time, Timeline, Window};

/// Steps per epoch of a chart if the number is not known.
const NOMINAL: u64 = 1_000;

/// The most rows of a table.
const MOST_ROWS: usize = 14;

/// The columns of a chart in one line.
const COLUMNS: u64 = 32;

/// Steps per epoch, if the recipe says them: it generates its data.
pub fn steps_per_epoch(snapshot: &Snapshot) -> Option<u64> {
    known_steps(snapshot.compiled.schedule.as_ref()?)
}

/// The pruning events of a statement with their sparsities; `None` if their number depends on the length of an epoch.
pub fn events(prune: &Prune, steps_per_epoch: Option<u64>) -> Option<Vec<(Time, f64)>> {
    let window = match (&prune.over, &prune.every) {
        (Some(over), Some(every)) => {
            Window { start: over.value.start, end: over.value.end, every: every.value }
        }
        _ => Window::once(Time::ZERO),
    };
    let length = window.end.minus(window.start);
    let fixed =
        window.every.is_zero() || length.is_some_and(|length| length.ratio_to(window.every).is_some());
    let steps = steps_per_epoch.or(fixed.then_some(NOMINAL))?;
    let of = |Occurrence { at, share }: Occurrence| (at, prune.sparsity.value.at(share));
    Some(window.occurrences(steps).into_iter().map(of).collect())
}

/// The `prune` statement of a stage whose statement in the text contains an offset.
pub fn prune_at(snapshot: &Snapshot, offset: usize) -> Option<&Prune> {
    let main = snapshot.compiled.main;
    let statement = snapshot.statement_at(offset, "prune")?;
    let stages = snapshot.compiled.recipe.iter().flat_map(|recipe| &recipe.stages);
    stages.flat_map(|stage| &stage.prune).find(|p| p.head.file == main && p.head.range() == statement)
}

/// The table of a statement's pruning events, as Markdown.
pub fn sparsity_table(snapshot: &Snapshot, prune: &Prune) -> Option<String> {
    let steps = steps_per_epoch(snapshot);
    let events = events(prune, steps)?;
    let [.., (_, last)] = events.as_slice() else { return None };
    if events.len() == 1 {
        return Some(format!("One-shot pruning to {} at the start.", percent(*last)));
    }
    let bars = bars(events.iter().map(|(_, sparsity)| *sparsity), 1.0);
    let mut text = format!("{} `{bars}`\n\n", counted(events.len(), "pruning event", "pruning events"));
    text.push_str(if steps.is_some() {
        "| at | step | sparsity |\n|---|---:|---:|\n"
    } else {
        "| at | sparsity |\n|---|---:|\n"
    });
    let hidden = hidden(events.len());
    for (index, (at, sparsity)) in events.iter().enumerate() {
        if hidden.contains(&index) {
            if index == hidden.start {
                text.push_str(if steps.is_some() { "| … | | |\n" } else { "| … | |\n" });
            }
            continue;
        }
        let step = steps.map_or(String::new(), |steps| format!(" {} |", at.first_step(steps)));
        text.push_str(&format!("| {at} |{step} {} |\n", percent(*sparsity)));
    }
    Some(text)
}

/// The rows that are left out of a long table.
fn hidden(rows: usize) -> Range<usize> {
    if rows > MOST_ROWS { MOST_ROWS - 3..rows - 2 } else { rows..rows }
}

/// The learning rate of a stage over time, as Markdown: of the stage with this index in the schedule.
pub fn rate_table(snapshot: &Snapshot, index: usize) -> Option<String> {
    let schedule = snapshot.compiled.schedule.as_ref()?;
    let stage = schedule.stages.get(index)?;
    let known = steps_per_epoch(snapshot);
    let timeline = Timeline::new(stage, known.unwrap_or(NOMINAL));
    let steps = timeline.steps();
    if steps == 0 {
        return None;
    }
    let peak = stage.lr.iter().map(|piece| piece.ramp.from.max(piece.ramp.to)).fold(0.0, f64::max);
    let columns = COLUMNS.min(steps);
    let sampled = (0..columns).map(|column| timeline.lr(column * steps / columns));
    let mut text = format!("`{}` up to {}\n\n", bars(sampled, peak), rate(peak));
    text.push_str("| part of the stage | learning rate |\n|---:|---:|\n");
    for quarter in 0..=4 {
        let step = (quarter * steps / 4).min(steps - 1);
        let part = if quarter == 4 { "last step".to_owned() } else { format!("{}%", 25 * quarter) };
        text.push_str(&format!("| {part} | {} |\n", rate(timeline.lr(step))));
    }
    Some(text)
}

/// A summary of a stage: its length, its pruning and its learning rate.
pub fn stage_summary(snapshot: &Snapshot, index: usize) -> Option<String> {
    let stage: &Stage = snapshot.compiled.recipe.as_ref()?.stages.get(index)?;
    let mut text = if stage.length.value.is_zero() {
        "Without training.\n".to_owned()
    } else {
        let length = stage.length.value;
        let steps = steps_per_epoch(snapshot).map(|spe| format!(", {} steps", length.first_step(spe)));
        format!("Trains for {length}{}.\n", steps.unwrap_or_default())
    };
    for prune in &stage.prune {
        let to = percent(prune.sparsity.value.to);
        let events = events(prune, steps_per_epoch(snapshot));
        let events = events.map(|e| format!(" in {}", counted(e.len(), "event", "events")));
        let targets = &prune.targets.selector.value;
        text.push_str(&format!("- prunes `{targets}` to {to}{}\n", events.unwrap_or_default()));
    }
    Some(text)
}

/// Values as bars in one line, relative to the highest possible value.
pub fn bars(values: impl Iterator<Item = f64>, highest: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |value: f64| {
        let share = if highest > 0.0 { value / highest } else { 0.0 };
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    values.map(bar).collect()
}

/// Formats a rate as `8e-5`, and zero as `0`.
fn rate(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:.3e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// Formats a share as `87.5%`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
