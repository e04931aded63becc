//! A pruning event, by any criterion.

use std::ops::ControlFlow;

use crate::method::criterion::{magnitude, movement};
use crate::method::mask::Mask;
use crate::method::mask::select::{Goal, select_for_goals};
use crate::method::obs::{
    self, Allocation, GradientSource, Interrupted, ObsError, PruningEvent, PruningUpdate, Settings, Sharding,
};
use crate::ranks::Ranks;
use crate::schedule::ir::{Criterion, Obs, Precision, Prune, Update};
use crate::schedule::{PruneEvent, memory};
use crate::task::Task;

use super::EngineError;
use super::candidates::Candidates;
use super::events::Observer;
use super::gradients::{Draw, TaskGradients};
use super::masks::Masks;
use super::pruning_context::Context;
use super::reconstruction::reconstruct;
use super::step_size;
use super::targets::{Targets, partial, partitions, ranking};

/// The result of a pruning event.
pub struct Pruned<M> {
    /// The pruned model.
    pub model: M,
    /// The dampening, if the recipe's had to be raised.
    pub raised_damp: Option<f64>,
    /// The step size of the exact update in each round.
    pub step_sizes: Vec<f64>,
    /// The mean relative error of the pruned layers' outputs before and after reconstruction; empty without it.
    pub output_errors: Vec<f64>,
}

/// Prunes the model for an event of a statement, in `recompute` rounds with a new estimate of the Fisher matrix each.
///
/// # Errors
/// A parameter that cannot be pruned, or an observer that wants to stop. The masks are unchanged then.
pub fn prune<T: Task>(
    task: &T,
    model: T::Model,
    statement: &Prune,
    event: &PruneEvent,
    masks: &mut Masks,
    context: &Context,
    observer: &mut dyn Observer,
) -> Result<Pruned<T::Model>, EngineError> {
    let targets = Targets::select(&model, statement, context.stage)?;
    let goals = targets.goals(statement, event)?;
    let rounds = match &statement.by {
        Criterion::Obs(obs) => obs.recompute,
        Criterion::Magnitude | Criterion::Movement => 1,
    };
    let unpruned = model.clone();
    let mut result = Pruned { model, raised_damp: None, step_sizes: Vec::new(), output_errors: Vec::new() };
    let mut weights = targets.weights(&result.model);
    let masked = targets.names().zip(&weights);
    let mut current: Vec<Mask> =
        masked.map(|(n, w)| masks.get(n).cloned().unwrap_or_else(|| Mask::of_nonzeros(w))).collect();
    let from: Vec<f64> = goals.iter().map(|goal| goal.reached(&current)).collect();
    let end = PruneEvent { share: 1.0, sparsity: statement.sparsity.to, ..*event };
    let last = targets.goals(statement, &end)?;
    let partitions = partitions(&targets, &last);
    for round in 1..=rounds {
        let goals = partial(&goals, &from, round, rounds);
        match &statement.by {
            Criterion::Magnitude | Criterion::Movement => {
                let scores = scores(statement, &targets, &weights, &current, context)?;
                let removals = zeroing(scores, &targets, &weights, statement, &goals);
                apply(&removals, &mut weights, &mut current, 0.0);
            }
            Criterion::Obs(obs) => {
                let passes = passes(statement, obs, &targets, context.stage)?;
                let owners = owners(statement, &targets, &passes, context.ranks);
                let sharding = Sharding { ranks: context.ranks, owners: &owners };
                let per_round = (statement.sweeps(passes.len()) * obs.gradients) as u64;
                let mut source = TaskGradients {
                    task,
                    model: &result.model,
                    unpruned: &unpruned,
                    targets: &targets.parameters,
                    draw: draw(obs, context, round),
                    first_evaluation: obs.gradients,
                    stage: context.stage,
                    done: (round as u64 - 1) * per_round,
                    total: rounds as u64 * per_round,
                    candidates: Candidates::planned(planned_evaluations(statement, obs)),
                    observer: &mut *observer,
                    sharding,
                };
                let device = context.estimates.are_tensors(context.plain, obs).then_some(context.plain);
                let subject = Subject {
                    targets: &targets,
                    weights: &weights,
                    masks: &current,
                    goals: &goals,
                    last: &last,
                    partitions: &partitions,
                    sharding,
                };
                let event = PruningEvent { passes: &passes, device, ..subject.event(statement, obs) };
                let (removals, damp) =
                    event.run(&mut source).map_err(|e| interrupted(context, &targets, e))?;
                if damp > obs.damp {
                    result.raised_damp = Some(result.raised_damp.map_or(damp, |d: f64| d.max(damp)));
                }
                let step = step(&mut source, obs, (&weights, &current), &removals)
                    .map_err(|e| interrupted(context, &targets, e))?;
                result.step_sizes.extend(step);
                apply(&removals, &mut weights, &mut current, step.unwrap_or(1.0) as f32);
            }
        }
        let updated = if round == rounds { std::mem::take(&mut weights) } else { weights.clone() };
        result.model = targets.write(result.model, updated);
    }
    if let Some(examples) = statement.reconstruct {
        let of = (&targets, &current[..]);
        let (model, errors) = reconstruct(task, &unpruned, result.model, of, examples, context, observer)?;
        (result.model, result.output_errors) = (model, errors.into());
    }
    for (name, mask) in targets.names().zip(current) {
        masks.set(name.to_owned(), mask);
    }
    Ok(result)
}

/// The targets of an OBS event with their weights, masks and goals.
pub struct Subject<'a> {
    /// The parameters.
    pub targets: &'a Targets,
    /// Their weights.
    pub weights: &'a [Vec<f32>],
    /// Their masks.
    pub masks: &'a [Mask],
    /// The sparsities to reach.
    pub goals: &'a [Goal],
    /// The target sparsities after the statement's last event.
    pub last: &'a [Goal],
    /// The partitions of the targets for a measured allocation: see [`partitions`].
    pub partitions: &'a [Vec<Vec<usize>>],
    /// The ranks that compute the event together.
    pub sharding: Sharding<'a>,
}

impl<'a> Subject<'a> {
    /// The event of a statement, on the host and in one pass.
    pub fn event(&self, statement: &Prune, obs: &Obs) -> PruningEvent<'a> {
        let groupings = &self.targets.groupings;
        PruningEvent {
            weights: self.weights,
            masks: self.masks,
            groupings,
            goals: self.goals,
            ranking: ranking(statement),
            settings: Settings {
                block: obs.block,
                damp: obs.damp,
                divisor: obs.gradients,
                exact: obs.update == Update::Exact,
                group: groupings.first().map_or(1, |g| g.run()),
                correlated: obs.correlated,
            },
            gradients: obs.gradients,
            precision: precision(obs),
            raises_damp: obs.raise_damp,
            passes: &[],
            memory: obs.memory,
            device: None,
            at_most: statement.at_most.unwrap_or(1.0),
            allocation: statement.is_measured().then_some(Allocation {
                last: self.last,
                partitions: self.partitions,
                evaluations: statement.evaluations(obs),
            }),
            sharding: self.sharding,
        }
    }
}

/// The precision of gradients in a chunk.
pub fn precision(obs: &Obs) -> obs::Precision {
    match obs.precision {
        Precision::F32 => obs::Precision::F32,
        Precision::Bf16 => obs::Precision::Bf16,
    }
}

/// The error of an interrupted event.
pub fn interrupted(context: &Context, targets: &Targets, why: Interrupted) -> EngineError {
    let (stage, step) = (context.stage.to_owned(), context.step);
    match why {
        Interrupted::Stopped => EngineError::Stopped { stage, step },
        Interrupted::Failed(i, source) => failed(context, targets.name(i), source),
    }
}

fn failed(context: &Context, parameter: &str, source: ObsError) -> EngineError {
    let (stage, step, parameter) = (context.stage.to_owned(), context.step, parameter.to_owned());
    EngineError::NotPrunable { stage, step, parameter, source }
}

/// The forward passes of an event's round on evaluation batches, for progress.
pub fn planned_evaluations(statement: &Prune, obs: &Obs) -> u64 {
    let steps = if obs.update == Update::Exact { step_size::evaluations(obs.gradients) } else { 0 };
    (statement.evaluations(obs) + steps) as u64
}

/// The batches of a round's gradients.
pub fn draw<'a>(obs: &Obs, context: &Context<'a>, round: usize) -> Draw<'a> {
    let (device, plain) = (context.device, context.plain);
    Draw { device, plain, seed: context.seed.wrapping_add(round as u64), batch: obs.batch }
}

/// The step size of an exact update; `None` for the independent update, which is applied in full.
pub fn step(
    source: &mut dyn GradientSource,
    obs: &Obs,
    at: (&[Vec<f32>], &[Mask]),
    removals: &[PruningUpdate],
) -> Result<Option<f64>, Interrupted> {
    match obs.update {
        Update::Independent => Ok(None),
        Update::Exact => match step_size::search(source, obs.gradients, at, removals) {
            ControlFlow::Break(()) => Err(Interrupted::Stopped),
            ControlFlow::Continue(step) => Ok(Some(f64::from(step))),
        },
    }
}

/// Applies an update to weights and masks with a step size.
pub fn apply(removals: &[PruningUpdate], weights: &mut [Vec<f32>], masks: &mut [Mask], step: f32) {
    for ((removal, weights), mask) in removals.iter().zip(weights).zip(masks) {
        removal.apply(weights, mask, step);
    }
}

/// The targets divided into passes whose estimates fit into the allowed memory.
fn passes(
    statement: &Prune,
    obs: &Obs,
    targets: &Targets,
    stage: &str,
) -> Result<Vec<obs::Pass>, EngineError> {
    let counts = targets.counts();
    // A measured allocation compares candidate sparsities of all parameters, so it needs all their estimates in memory:
    // a single pass.
    let measured = statement.is_measured();
    let found = obs.passes(&counts).filter(|passes| !measured || passes.len() == 1);
    let passes = found.ok_or_else(|| EngineError::Memory {
        stage: stage.to_owned(),
        needed: match measured {
            true => obs.bytes_at_a_time(&counts),
            false => counts.iter().map(|n| obs.least_bytes(*n)).max().unwrap_or(0),
        },
        allowed: obs.memory.unwrap_or(u64::MAX),
    })?;
    Ok(passes.into_iter().map(|p| obs::Pass { parameters: p.targets, rows: p.rows }).collect())
}

/// The rank that has the Fisher matrix of each target. Empty, so that every rank has all, for one rank and for a measured
/// allocation, which computes updates of any parameter.
fn owners(statement: &Prune, targets: &Targets, passes: &[obs::Pass], ranks: &Ranks) -> Vec<usize> {
    if ranks.is_alone() || statement.is_measured() {
        return Vec::new();
    }
    let counts = targets.counts();
    let of_pass = |pass: &obs::Pass| memory::owners(&counts[pass.parameters.clone()], ranks.size());
    passes.iter().flat_map(of_pass).collect()
}

/// The magnitude or movement scores of each target's groups.
fn scores(
    statement: &Prune,
    targets: &Targets,
    weights: &[Vec<f32>],
    masks: &[Mask],
    context: &Context,
) -> Result<Vec<Vec<f32>>, EngineError> {
    let run = |i: usize| targets.groupings[i].run();
    if statement.by == Criterion::Magnitude {
        return Ok((0..weights.len()).map(|i| magnitude::scores(&weights[i], &masks[i], run(i))).collect());
    }
    let of = |i: usize| {
        let moved = context.movements.scores(&targets.parameters[i]).ok_or(ObsError::NoGradient)?;
        match moved.iter().all(|s| s.is_finite()) {
            true => Ok(movement::scores(&moved, &masks[i], run(i))),
            false => Err(ObsError::GradientNotFinite),
        }
    };
    (0..weights.len()).map(|i| of(i).map_err(|e| failed(context, targets.name(i), e))).collect()
}

/// Prunes the groups with the least scores, without an update of the remaining weights.
fn zeroing(
    scores: Vec<Vec<f32>>,
    targets: &Targets,
    weights: &[Vec<f32>],
    statement: &Prune,
    goals: &[Goal],
) -> Vec<PruningUpdate> {
    let groupings = &targets.groupings;
    let scores = scores.into_iter().zip(groupings).map(|(scores, g)| g.of_runs(scores)).collect();
    let sizes: Vec<usize> = groupings.iter().zip(weights).map(|(g, w)| g.size(w.len())).collect();
    let pruned =
        select_for_goals(scores, &sizes, goals, ranking(statement), statement.at_most.unwrap_or(1.0));
    let spread = pruned.iter().zip(groupings).zip(weights);
    spread.map(|((p, g), w)| PruningUpdate { pruned: g.spread(p, w.len()), delta: Vec::new() }).collect()
}
