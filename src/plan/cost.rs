//! What pruning asks of the machine: forward and backward passes, and memory for the Fisher matrix.

use serde::Serialize;

use crate::params::ParameterTable;
use crate::schedule::ir::{Criterion, Obs, Stage};
use crate::schedule::memory::Pass;
use crate::schedule::{Schedule, Timeline};

/// The cost of one `prune` statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Parameters that are pruned.
    pub parameters: usize,
    /// Their weights.
    pub weights: usize,
    /// Pruning events.
    pub events: usize,
    /// Gradients over all events, each a forward and a backward pass of one batch.
    pub gradients: usize,
    /// Groups of parameters that are estimated one after the other, so that the allowed memory is
    /// kept.
    pub passes: usize,
    /// How often the gradients of an estimate are computed for that.
    pub sweeps: usize,
    /// The most bytes of Fisher blocks at a time.
    pub fisher: u64,
    /// The most bytes of gradients held back before they are summed.
    pub chunk: u64,
}

/// The parameters of the model in each stage: fewer once layers were dropped.
pub fn tables(schedule: &Schedule, table: &ParameterTable) -> Vec<ParameterTable> {
    let mut tables: Vec<ParameterTable> = Vec::new();
    let mut carried = table.clone();
    for stage in &schedule.stages {
        let start = match &stage.branch_from {
            None => carried.clone(),
            Some(from) => {
                let of = schedule.stages.iter().position(|s| s.name == *from);
                of.and_then(|i| tables.get(i)).unwrap_or(table).clone()
            }
        };
        let kept = stage.layers.as_ref().and_then(|l| l.kept(start.layers()));
        let own = kept.map_or_else(|| start.clone(), |kept| start.keep_layers(&kept));
        if stage.branch_from.is_none() {
            carried = own.clone();
        }
        tables.push(own);
    }
    tables
}

/// The cost of a stage's `prune` statement of an index.
pub fn of(stage: &Stage, statement: usize, timeline: &Timeline, table: &ParameterTable) -> Cost {
    let prune = &stage.prune[statement];
    let index = prune.targets.selector.select(table).unwrap_or_default();
    let weights: usize = index.iter().map(|i| table.get(*i).count()).sum();
    let events = timeline.prunes().iter().filter(|e| e.prune == statement).count();
    let counts: Vec<usize> = index.iter().map(|i| table.get(*i).count()).collect();
    let (gradients, passes, sweeps, fisher, chunk) = match &prune.by {
        Criterion::Magnitude | Criterion::Movement => (0, 0, 0, 0, 0),
        Criterion::Obs(obs) => {
            // What does not fit at all is refused before; its cost is that of no limit.
            let unlimited = || Obs { memory: None, ..obs.clone() }.passes(&counts);
            let passes = obs.passes(&counts).or_else(unlimited).unwrap_or_default();
            let sweeps = prune.sweeps(passes.len());
            let most = |bytes: fn(&Pass) -> u64| passes.iter().map(bytes).max().unwrap_or(0);
            let gradients = events * obs.gradients * obs.recompute * sweeps;
            (gradients, passes.len(), sweeps, most(|p| p.fisher), most(|p| p.chunk))
        }
    };
    Cost { parameters: index.len(), weights, events, gradients, passes, sweeps, fisher, chunk }
}
