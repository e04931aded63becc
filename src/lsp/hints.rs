//! Inlay hints: times in the other unit where the data's size is known, and the pruning events of a window.

use std::ops::Range;

use super::over_time;
use super::snapshot::Snapshot;
use crate::diag::{Span, counted};
use crate::language::check::recipe::Stage;
use crate::schedule::Time;

/// A text shown after an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The offset.
    pub at: usize,
    /// The text.
    pub text: String,
    /// More about it.
    pub tooltip: String,
}

/// The hints in a range of bytes, in order.
pub fn hints(snapshot: &Snapshot, range: Range<usize>) -> Vec<Hint> {
    let Some(recipe) = &snapshot.compiled.recipe else { return Vec::new() };
    let mut list = Vec::new();
    for stage in &recipe.stages {
        of_stage(snapshot, stage, &mut list);
    }
    list.retain(|hint| range.start <= hint.at && hint.at <= range.end);
    list.sort_by_key(|hint| hint.at);
    list.dedup();
    list
}

fn of_stage(snapshot: &Snapshot, stage: &Stage, list: &mut Vec<Hint>) {
    let steps = over_time::steps_per_epoch(snapshot);
    let main = snapshot.compiled.main;
    let mut add = |span: Span, text: String, tooltip: &str| {
        if span.file == main {
            list.push(Hint { at: span.range().end, text, tooltip: tooltip.to_owned() });
        }
    };
    if let Some(steps) = steps {
        let known = format!("An epoch has {}.", counted(steps, "step", "steps"));
        let mut time = |at: Span, time: Time| add(at, other_unit(time, steps), &known);
        if stage.length.span != stage.head {
            time(stage.length.span, stage.length.value);
        }
        stage.evaluate_every.iter().for_each(|every| time(every.span, every.value));
        let windows = stage.lr.iter().map(|piece| &piece.over);
        let windows = windows.chain(stage.prune.iter().filter_map(|prune| prune.over.as_ref()));
        for over in windows.collect::<Vec<_>>() {
            let ends = [over.value.start, over.value.end].map(|end| end.first_step(steps));
            add(over.span, format!("= steps {}..{}", ends[0], ends[1]), &known);
        }
    }
    for prune in &stage.prune {
        let Some(every) = &prune.every else { continue };
        let Some(events) = over_time::events(prune, steps) else { continue };
        let at: Vec<String> = events.iter().map(|(time, _)| time.to_string()).collect();
        let shown = match at.as_slice() {
            [first, second, .., last] if at.len() > 4 => format!("{first}, {second}, …, {last}"),
            few => few.join(", "),
        };
        let tooltip = over_time::sparsity_table(snapshot, prune).unwrap_or_default();
        add(every.span, format!("{}: {shown}", counted(events.len(), "event", "events")), &tooltip);
    }
}

/// A time in the unit that is not written.
fn other_unit(time: Time, steps_per_epoch: u64) -> String {
    if time.is_in_steps() {
        let epochs = (time.in_epochs(steps_per_epoch) * 1000.0).round() / 1000.0;
        format!("= {}", counted(epochs, "epoch", "epochs"))
    } else {
        format!("= {}", counted(time.first_step(steps_per_epoch), "step", "steps"))
    }
}
