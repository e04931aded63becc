//! The plan for programs: the schedule itself, what happens when, and what it costs. The fields are
//! described in docs/plan-format.md.

use serde::Serialize;

use super::cost::{self, Cost};
use super::events::{self, Happening};
use super::memory::{self, Memory};
use crate::params::ParameterTable;
use crate::schedule::{Schedule, Timeline};

/// The version of this format.
pub const FORMAT: u32 = 1;

/// A schedule laid out.
#[derive(Serialize)]
pub struct Document<'a> {
    /// [`FORMAT`].
    pub format: u32,
    /// Steps in an epoch, if known.
    pub steps_per_epoch: Option<u64>,
    /// The stages, in order.
    pub stages: Vec<StagePlan<'a>>,
    /// What is run.
    pub schedule: &'a Schedule,
}

/// A stage laid out.
#[derive(Serialize)]
pub struct StagePlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// The stage that a branch starts from.
    pub branch_from: Option<&'a str>,
    /// Its steps, if known.
    pub steps: Option<u64>,
    /// What happens, by time.
    pub events: Vec<Happening>,
    /// What each `prune` statement costs, in order; `None` if the model is unknown.
    pub cost: Option<Vec<Cost>>,
    /// The memory that it takes; `None` if the model or the data is unknown.
    pub memory: Option<Memory>,
}

/// Lays a schedule out.
pub fn document<'a>(
    schedule: &'a Schedule,
    steps_per_epoch: Option<u64>,
    table: Option<&ParameterTable>,
) -> Document<'a> {
    let tables = table.map(|table| cost::tables(schedule, table));
    let memory = table.and_then(|table| memory::of(schedule, table, memory::heads(&schedule.model, None)));
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
