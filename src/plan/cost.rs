//! The cost of pruning: gradients to compute, and memory for Fisher blocks.

use serde::Serialize;

use crate::params::ParameterTable;
use crate::schedule::ir::{Criterion, Obs, Stage};
use crate::schedule::memory::{Pass, owners};
use crate::schedule::{Schedule, Timeline};

/// The cost of one `prune` statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The number of selected parameters.
    pub parameters: usize,
    /// The number of weights in these parameters.
    pub weights: usize,
    /// The number of pruning events.
    pub events: usize,
    /// Gradients over all events, each a forward and a backward pass of one batch.
    pub gradients: usize,
    /// The number of groups of parameters whose Fisher matrices are estimated one after the other, to stay within the
    /// memory limit.
    pub passes: usize,
    /// How many times each gradient of an estimate is computed, because of several groups.
    pub sweeps: usize,
    /// The maximum number of forward passes, over all events, that evaluate allocations of sparsity.
    #[serde(skip_serializing_if = "is_zero")]
    pub evaluations: usize,
    /// The peak size of the Fisher blocks in bytes.
    pub fisher: u64,
    /// The peak size, in bytes, of the gradients that are stored before they are added to the Fisher blocks.
    pub chunk: u64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The parameters of the model in each stage, without the layers dropped so far.
pub fn tables(schedule: &Schedule, table: &ParameterTable) -> Vec<ParameterTable> {
    let mut tables: Vec<ParameterTable> = Vec::new();
    let mut current = table.clone();
    for stage in &schedule.stages {
        let start = match &stage.branch_from {
            None => current.clone(),
            Some(from) => {
                let of = schedule.stages.iter().position(|s| s.name == *from);
                of.and_then(|i| tables.get(i)).unwrap_or(table).clone()
            }
        };
        let remaining = stage.layers.as_ref().and_then(|l| l.remaining(start.layers()));
        let own = remaining.map_or_else(|| start.clone(), |layers| start.keep_layers(&layers));
        if stage.branch_from.is_none() {
            current = own.clone();
        }
        tables.push(own);
    }
    tables
}

/// The cost of a stage's `prune` statement, given by its index.
pub fn of(stage: &Stage, statement: usize, timeline: &Timeline, table: &ParameterTable) -> Cost {
    let prune = &stage.prune[statement];
    let index = prune.targets.selector.select(table).unwrap_or_default();
    let counts: Vec<usize> = index.iter().map(|i| table.get(*i).count()).collect();
    let weights = counts.iter().sum();
    let events = timeline.prunes().iter().filter(|e| e.prune == statement).count();
    let (gradients, passes, sweeps, evaluations, fisher, chunk) = match &prune.by {
        Criterion::Magnitude | Criterion::Movement => (0, 0, 0, 0, 0, 0),
        Criterion::Obs(obs) => {
            // The checker reports a limit that no estimate can meet; the cost is then that of no limit.
            let unlimited = || Obs { memory: None, ..obs.clone() }.passes(&counts);
            let passes = obs.passes(&counts).or_else(unlimited).unwrap_or_default();
            let sweeps = prune.sweeps(passes.len());
            let most = |bytes: fn(&Pass) -> u64| passes.iter().map(bytes).max().unwrap_or(0);
            let gradients = events * obs.gradients * obs.recompute * sweeps;
            let evaluations = events * obs.recompute * prune.evaluations(obs);
            (gradients, passes.len(), sweeps, evaluations, most(|p| p.fisher), most(|p| p.chunk))
        }
    };
    Cost { parameters: index.len(), weights, events, gradients, passes, sweeps, evaluations, fisher, chunk }
}

/// The most bytes of estimates (Fisher blocks and chunk) that one of `ranks` ranks holds at a time for a statement by OBS,
/// and the most weights of which it has them.
pub fn of_rank(stage: &Stage, statement: usize, table: &ParameterTable, ranks: usize) -> (u64, usize) {
    let prune = &stage.prune[statement];
    let Criterion::Obs(obs) = &prune.by else { return (0, 0) };
    let index = prune.targets.selector.select(table).unwrap_or_default();
    let counts: Vec<usize> = index.iter().map(|i| table.get(*i).count()).collect();
    let unlimited = || Obs { memory: None, ..obs.clone() }.passes(&counts);
    let passes = obs.passes(&counts).or_else(unlimited).unwrap_or_default();
    let of_pass = |pass: &Pass| {
        let counts = &counts[pass.targets.clone()];
        let owners = owners(counts, ranks);
        let of_rank = |rank: usize| {
            let own = owners.iter().zip(counts).filter(|(owner, _)| **owner == rank);
            let own: Vec<usize> = own.map(|(_, count)| *count).collect();
            (own.iter().map(|n| obs.bytes(*n, pass.rows)).sum::<u64>(), own.iter().sum())
        };
        (0..ranks).map(of_rank).max().unwrap_or((0, 0))
    };
    passes.iter().map(of_pass).max().unwrap_or((0, 0))
}
