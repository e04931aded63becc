//! One pruning event.

use std::ops::ControlFlow;

use burn::tensor::Device;

use crate::method::criterion::{magnitude, movement};
use crate::method::mask::Mask;
use crate::method::mask::grouping::Grouping;
use crate::method::mask::select::{Selection, select_sized};
use crate::method::obs::{ObsError, Removal};
use crate::schedule::PruneEvent;
use crate::schedule::ir::{Criterion, Obs, Pattern, Prune, Rank, Update};
use crate::task::Task;
use crate::task::parameters::{self, ModuleParameter, Values};

use super::EngineError;
use super::calibration;
use super::estimation::Estimates;
use super::events::{Observer, Work};
use super::gradients::Draw;
use super::masks::Masks;
use super::movement::Movements;
use super::surgery::{Halt, Surgery};

/// What an event needs to know of the run.
pub struct Context<'a> {
    /// The stage, for messages.
    pub stage: &'a str,
    /// The step, for messages.
    pub step: u64,
    /// The device that trains, with autodiff.
    pub device: &'a Device,
    /// The same without.
    pub plain: &'a Device,
    /// Where the surgeon's estimates live.
    pub estimates: Estimates,
    /// The seed of this event's batches.
    pub seed: u64,
    /// How weights have moved in the stage.
    pub movements: &'a Movements,
}

/// What came of an event.
pub struct Pruned<M> {
    /// The model with its zeros.
    pub model: M,
    /// The damp that it took, if the recipe's had to be raised.
    pub raised_damp: Option<f64>,
    /// The length of the compensation in each round where it was chosen by calibration.
    pub lengths: Vec<f64>,
}

/// Targets that are ranked together and reach one sparsity.
pub struct Group {
    /// Their indices, which ascend.
    pub members: Vec<usize>,
    /// The sparsity after the event.
    pub goal: f64,
}

/// Targets that are ranked together, and the sparsity that they reach in a round.
pub struct Goal<'a> {
    /// Their indices, which ascend.
    pub members: &'a [usize],
    /// The sparsity after the round.
    pub sparsity: f64,
}

/// Does what a statement says for an event.
///
/// # Errors
/// A parameter that cannot be pruned, or the wish to stop. The masks are unchanged then.
pub fn prune<T: Task>(
    task: &T,
    model: T::Model,
    statement: &Prune,
    event: &PruneEvent,
    masks: &mut Masks,
    context: &Context,
    observer: &mut dyn Observer,
) -> Result<Pruned<T::Model>, EngineError> {
    let targets = targets(&model, statement, context.stage)?;
    let names: Vec<&str> = targets.iter().map(|t| t.parameter.name.as_str()).collect();
    let counts: Vec<usize> = targets.iter().map(|t| t.parameter.count()).collect();
    let groupings: Vec<Grouping> = targets.iter().map(|t| grouping(statement, t)).collect();
    let (rounds, passes) = match &statement.by {
        Criterion::Magnitude | Criterion::Movement => (1, Vec::new()),
        Criterion::Obs(obs) => (obs.recompute, passes(obs, &counts, context.stage)?),
    };
    let surgeon = |halt: Halt| halted(context, &names, halt);
    let groups = groups(&names, statement, event, context.stage)?;
    let mut result = Pruned { model, raised_damp: None, lengths: Vec::new() };
    let mut current: Option<Vec<Mask>> = None;
    let mut starts: Option<Vec<f64>> = None;
    for round in 1..=rounds {
        let mut values = parameters::read(&result.model, |name| names.contains(&name));
        let mut weights: Vec<Vec<f32>> =
            names.iter().map(|n| values.remove(*n).unwrap_or_default()).collect();
        let mut round_masks = current.take().unwrap_or_else(|| {
            let masked = names.iter().zip(&weights);
            masked.map(|(name, w)| masks.get(name).cloned().unwrap_or_else(|| Mask::of_nonzeros(w))).collect()
        });
        // Rounds divide the way from where the masks were to the target evenly.
        let starts =
            starts.get_or_insert_with(|| groups.iter().map(|g| overall(&round_masks, &g.members)).collect());
        let goals = groups.iter().zip(starts.iter()).map(|(group, start)| match round == rounds {
            true => group.goal,
            false => start + (group.goal - start) * round as f64 / rounds as f64,
        });
        let goals: Vec<Goal> = groups
            .iter()
            .zip(goals)
            .map(|(group, sparsity)| Goal { members: &group.members, sparsity })
            .collect();
        match &statement.by {
            Criterion::Magnitude => {
                let scores = (0..names.len())
                    .map(|i| magnitude::scores(&weights[i], &round_masks[i], groupings[i].run()))
                    .collect();
                zero(scores, &mut weights, &mut round_masks, &groupings, statement, &goals);
            }
            Criterion::Movement => {
                let mut scores = Vec::new();
                for (i, target) in targets.iter().enumerate() {
                    let moved = context.movements.scores(target);
                    let moved = moved.ok_or_else(|| surgeon(Halt::Trouble(i, ObsError::NoGradient)))?;
                    if !moved.iter().all(|s| s.is_finite()) {
                        return Err(surgeon(Halt::Trouble(i, ObsError::GradientNotFinite)));
                    }
                    scores.push(movement::scores(&moved, &round_masks[i], groupings[i].run()));
                }
                zero(scores, &mut weights, &mut round_masks, &groupings, statement, &goals);
            }
            Criterion::Obs(obs) => {
                let draw = draw(obs, context, round);
                let per_round = (statement.sweeps(passes.len()) * obs.gradients) as u64;
                let mut done = (round as u64 - 1) * per_round;
                let surgery = Surgery {
                    task,
                    model: &result.model,
                    statement,
                    obs,
                    targets: &targets,
                    groupings: &groupings,
                    passes: &passes,
                    weights: &weights,
                    masks: &round_masks,
                    goals: &goals,
                    draw,
                    tensors_of: context.estimates.are_tensors(context.plain, obs).then_some(context.plain),
                };
                let (removals, damp) = surgery
                    .round(&mut || {
                        done += 1;
                        let total = (rounds as u64 * per_round).max(done);
                        observer.progress(Work::Gradients(context.stage), done, total);
                        goes_on(observer)
                    })
                    .map_err(surgeon)?;
                if damp > obs.damp {
                    result.raised_damp = Some(result.raised_damp.map_or(damp, |d: f64| d.max(damp)));
                }
                let at = (&mut weights[..], &mut round_masks[..]);
                let on = (obs, &draw, context.plain);
                let length =
                    carry_out(task, &result.model, &names, at, &removals, on, &mut || goes_on(observer));
                result.lengths.extend(length.map_err(surgeon)?);
            }
        }
        let updated: Values = names.iter().map(|n| (*n).to_owned()).zip(weights).collect();
        result.model = parameters::write(result.model, updated);
        current = Some(round_masks);
    }
    for (name, mask) in names.iter().zip(current.unwrap_or_default()) {
        masks.set((*name).to_owned(), mask);
    }
    Ok(result)
}

/// Whether whoever watches wants more.
pub fn goes_on(observer: &mut dyn Observer) -> ControlFlow<()> {
    if observer.wants_to_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Why an event does not come to its end.
pub fn halted(context: &Context, names: &[&str], halt: Halt) -> EngineError {
    let (stage, step) = (context.stage.to_owned(), context.step);
    match halt {
        Halt::Stopped => EngineError::Stopped { stage, step },
        Halt::Trouble(i, source) => {
            EngineError::Surgeon { stage, step, parameter: names[i].to_owned(), source }
        }
    }
}

/// Where the gradients of a round come from.
pub fn draw<'a>(obs: &Obs, context: &Context<'a>, round: usize) -> Draw<'a> {
    Draw { device: context.device, seed: context.seed.wrapping_add(round as u64), batch: obs.batch }
}

/// Does what the surgeon says. Returns the length of the compensation if it was chosen by calibration.
pub fn carry_out<T: Task>(
    task: &T,
    model: &T::Model,
    names: &[&str],
    (weights, masks): (&mut [Vec<f32>], &mut [Mask]),
    removals: &[Removal],
    (obs, draw, plain): (&Obs, &Draw, &Device),
    goes_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<f64>, Halt> {
    let length = match obs.update {
        Update::Independent => None,
        Update::Exact => {
            let on = (obs, draw, plain);
            let length = calibration::length(task, model, names, (&*weights, &*masks), removals, on, goes_on);
            Some(length.ok_or(Halt::Stopped)?)
        }
    };
    for ((removal, weights), mask) in removals.iter().zip(weights).zip(masks) {
        removal.apply(weights, mask, length.unwrap_or(1.0));
    }
    Ok(length.map(f64::from))
}

/// How a round's targets are divided so that the allowed memory is kept.
fn passes(
    obs: &Obs,
    counts: &[usize],
    stage: &str,
) -> Result<Vec<crate::schedule::memory::Pass>, EngineError> {
    obs.passes(counts).ok_or_else(|| EngineError::Memory {
        stage: stage.to_owned(),
        needed: counts.iter().map(|n| obs.least_bytes(*n)).max().unwrap_or(0),
        allowed: obs.memory.unwrap_or(u64::MAX),
    })
}

/// Which weights of a target go together.
pub fn grouping(statement: &Prune, target: &ModuleParameter) -> Grouping {
    let columns = target.parameter.inputs();
    match statement.pattern {
        Pattern::Unstructured | Pattern::NofM { .. } => Grouping::Runs(1),
        Pattern::Blocks(size) => Grouping::Runs(size),
        Pattern::Rows => Grouping::Rows(columns),
        Pattern::Columns => Grouping::Columns(columns),
    }
}

/// The statement's exceptions by themselves, and all others.
///
/// # Errors
/// A selector that cannot be read.
pub fn groups(
    names: &[&str],
    statement: &Prune,
    event: &PruneEvent,
    stage: &str,
) -> Result<Vec<Group>, EngineError> {
    let mut rest: Vec<usize> = (0..names.len()).collect();
    let mut groups = Vec::new();
    for (index, exception) in statement.exceptions.iter().enumerate() {
        let matcher = exception.targets.selector.matcher().map_err(|e| EngineError::selector(stage, e))?;
        let (members, others) = rest.into_iter().partition(|i| matcher.matches(names[*i]));
        rest = others;
        groups.push(Group { members, goal: statement.exception_at(index, event.share) });
    }
    groups.push(Group { members: rest, goal: event.sparsity });
    groups.retain(|g| !g.members.is_empty());
    Ok(groups)
}

/// The parameters that a statement selects.
///
/// # Errors
/// A selector that cannot be read or selects nothing.
pub fn targets<M: burn::module::Module>(
    model: &M,
    statement: &Prune,
    stage: &str,
) -> Result<Vec<ModuleParameter>, EngineError> {
    let matcher = statement.targets.selector.matcher().map_err(|e| EngineError::selector(stage, e))?;
    let list: Vec<ModuleParameter> =
        parameters::parameters(model).into_iter().filter(|p| matcher.matches(&p.parameter.name)).collect();
    if list.is_empty() {
        let why = format!("`{}` matches no parameter", statement.targets.selector);
        return Err(EngineError::Selector { stage: stage.to_owned(), why });
    }
    Ok(list)
}

fn overall(masks: &[Mask], members: &[usize]) -> f64 {
    let (pruned, all) =
        members.iter().map(|i| &masks[*i]).fold((0, 0), |(p, n), m| (p + m.pruned(), n + m.len()));
    pruned as f64 / usize::max(all, 1) as f64
}

/// Removes the groups of least score; the others stay as they are.
fn zero(
    scores: Vec<Vec<f32>>,
    weights: &mut [Vec<f32>],
    masks: &mut [Mask],
    groupings: &[Grouping],
    statement: &Prune,
    goals: &[Goal],
) {
    let mut scores: Vec<Vec<f32>> =
        scores.into_iter().zip(groupings).map(|(scores, grouping)| grouping.of_runs(scores)).collect();
    for goal in goals {
        let own: Vec<Vec<f32>> = goal.members.iter().map(|i| std::mem::take(&mut scores[*i])).collect();
        let sizes: Vec<usize> = goal.members.iter().map(|i| groupings[*i].size(weights[*i].len())).collect();
        let pruned = select_sized(&own, &sizes, selection(statement, goal.sparsity));
        for (i, groups) in goal.members.iter().zip(pruned) {
            let pruned = groupings[*i].spread(&groups, weights[*i].len());
            let removal = Removal { pruned, delta: Vec::new() };
            removal.apply(&mut weights[*i], &mut masks[*i], 0.0);
        }
    }
}

/// Among what a statement ranks its groups, to reach a sparsity.
pub fn selection(statement: &Prune, sparsity: f64) -> Selection {
    match (statement.pattern, statement.rank) {
        (Pattern::NofM { keep, of }, _) => Selection::NofM { keep, of },
        (_, Rank::Global) => Selection::Global(sparsity),
        (_, Rank::Layer) => Selection::Layer(sparsity),
    }
}
