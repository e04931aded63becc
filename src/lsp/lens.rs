//! The code lens above a recipe: a summary of its plan. Its command shows the whole plan.

use std::ops::Range;

use super::over_time;
use super::snapshot::Snapshot;
use crate::api::known_steps;
use crate::diag::counted;
use crate::language::syntax::ast::Item;
use crate::plan::{table, terminal_chart};

/// A line above a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lens {
    /// The bytes of the statement's head.
    pub range: Range<usize>,
    /// The text.
    pub title: String,
}

/// The lens of the document's recipe; `None` if it has errors.
pub fn lens(snapshot: &Snapshot) -> Option<Lens> {
    let schedule = snapshot.compiled.schedule.as_ref()?;
    let head = snapshot.compiled.tree.items.iter().find_map(|item| match item {
        Item::Entry(entry) if entry.verb.value == "recipe" => Some(entry.head.range()),
        _ => None,
    })?;
    let mut parts = vec![counted(schedule.stages.len(), "stage", "stages")];
    if let [one] = schedule.stages.as_slice() {
        parts = vec![one.length.to_string()];
    }
    let recipe = snapshot.compiled.recipe.iter().flat_map(|recipe| &recipe.stages);
    let steps = known_steps(schedule);
    let events: usize = recipe
        .flat_map(|stage| &stage.prune)
        .filter_map(|prune| over_time::events(prune, steps))
        .map(|events| events.len())
        .sum();
    if events > 0 {
        parts.push(counted(events, "pruning event", "pruning events"));
    }
    let highest = schedule.stages.iter().flat_map(|stage| &stage.prune).map(|prune| prune.sparsity.to);
    if let Some(highest) = highest.reduce(f64::max) {
        parts.push(format!("{} sparsity", over_time::percent(highest)));
    }
    Some(Lens { range: head, title: format!("plan: {}", parts.join(", ")) })
}

/// The whole plan, as `obertc plan` prints it; `None` for a document with errors.
pub fn plan(snapshot: &Snapshot) -> Option<String> {
    let schedule = snapshot.compiled.schedule.as_ref()?;
    let steps = known_steps(schedule);
    Some(table::render(schedule, steps, snapshot.compiled.parameters.as_ref(), |stage| {
        terminal_chart::render(stage, steps)
    }))
}
