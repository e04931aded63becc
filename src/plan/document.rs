//! The plan as JSON: the schedule, its events, their cost and memory. docs/plan-format.md describes the fields.

use serde::Serialize;

use super::cost::{self, Cost};
use super::events::{self, Event};
use super::memory::{self, Memory};
use crate::params::ParameterTable;
use crate::schedule::{Schedule, Timeline};

/// The version of this format.
pub const FORMAT: u32 = 1;

/// The plan of a schedule.
#[derive(Serialize)]
pub struct Document<'a> {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// Steps in an epoch, if known.
    pub steps_per_epoch: Option<u64>,
    /// The stages, in order.
    pub stages: Vec<StagePlan<'a>>,
    /// The schedule itself.
    pub schedule: &'a Schedule,
}

/// The plan of a stage.
#[derive(Serialize)]
pub struct StagePlan<'a> {
    /// The stage's name.
    pub name: &'a str,
    /// The stage that a branch starts from.
    pub branch_from: Option<&'a str>,
    /// The number of steps, if known.
    pub steps: Option<u64>,
    /// The events by time.
    pub events: Vec<Event>,
    /// The cost of each `prune` statement, in order; `None` if the model is unknown.
    pub cost: Option<Vec<Cost>>,
    /// The estimated memory; `None` if the model or the data is unknown.
    pub memory: Option<Memory>,
}

/// Plans a schedule.
pub fn document<'a>(
    schedule: &'a Schedule,
    steps_per_epoch: Option<u64>,
    table: Option<&ParameterTable>,
) -> Document<'a> {
    let tables = table.map(|table| cost::tables(schedule, table));
    let architecture = memory::architecture(&schedule.model, None);
    let memory = table.and_then(|table| memory::of(schedule, table, architecture.as_ref()));
    let stages = schedule
        .stages
        .iter()
        .enumerate()
        .map(|(index, stage)| {
            let table = tables.as_ref().and_then(|tables| tables.get(index));
            let timeline = Timeline::new(stage, steps_per_epoch.unwrap_or(events::UNKNOWN));
            let costs =
                |table| (0..stage.prune.len()).map(|i| cost::of(stage, i, &timeline, table)).collect();
            StagePlan {
                name: &stage.name,
                branch_from: stage.branch_from.as_deref(),
                steps: steps_per_epoch.map(|_| timeline.steps()),
                events: events::of(stage, steps_per_epoch),
                cost: table.map(costs),
                memory: memory.as_ref().and_then(|stages| stages.get(index).copied()),
            }
        })
        .collect();
    Document { format: FORMAT, steps_per_epoch, stages, schedule }
}
