//! One pruning event.

use crate::method::criterion;
use crate::method::mask::Mask;
use crate::method::mask::select::{Selection, select, spread};
use crate::method::obs::ObsError;
use crate::method::obs::{self as surgeon, Parameter, Settings};
use crate::schedule::PruneEvent;
use crate::schedule::ir::{Criterion, Obs, Pattern, Prune, Rank, Update};
use crate::task::Task;
use crate::task::parameters::{self, ModuleParameter, Values};

use super::EngineError;
use super::gradients;
use super::masks::Masks;
use burn::tensor::Device;

/// What an event needs to know of the run.
pub struct Context<'a> {
    /// The stage, for messages.
    pub stage: &'a str,
    /// The step, for messages.
    pub step: u64,
    /// The device that trains.
    pub device: &'a Device,
    /// The seed of this event's batches.
    pub seed: u64,
}

/// Targets that are ranked together and reach one sparsity.
struct Group {
    members: Vec<usize>,
    /// The sparsity after the event.
    goal: f64,
}

/// Does what a statement says for an event; returns the model with its zeros, and the damp that it
/// took if the recipe's had to be raised.
///
/// # Errors
/// A parameter that cannot be pruned. The masks are unchanged then.
pub fn prune<T: Task>(
    task: &T,
    model: T::Model,
    statement: &Prune,
    event: &PruneEvent,
    masks: &mut Masks,
    context: &Context,
    mut progress: impl FnMut(u64, u64),
) -> Result<(T::Model, Option<f64>), EngineError> {
    let targets = targets(&model, statement, context.stage)?;
    let names: Vec<&str> = targets.iter().map(|t| t.parameter.name.as_str()).collect();
    let (rounds, per_round) = match &statement.by {
        Criterion::Magnitude | Criterion::Movement => (1, 0),
        Criterion::Obs(obs) => (obs.recompute as u64, obs.gradients as u64),
    };
    let groups = groups(&names, statement, event, context.stage)?;
    let mut model = model;
    let mut round_masks: Option<Vec<Mask>> = None;
    let mut starts: Option<Vec<f64>> = None;
    let mut raised_damp = None;
    for round in 1..=rounds {
        let mut values = parameters::read(&model, |name| names.contains(&name));
        let mut weights: Vec<Vec<f32>> =
            names.iter().map(|n| values.remove(*n).unwrap_or_default()).collect();
        let mut current = round_masks.take().unwrap_or_else(|| {
            let masked = names.iter().zip(&weights);
            masked.map(|(name, w)| masks.get(name).cloned().unwrap_or_else(|| Mask::of_nonzeros(w))).collect()
        });
        // Rounds divide the way from where the masks were to the target evenly.
        let starts =
            starts.get_or_insert_with(|| groups.iter().map(|g| overall(&current, &g.members)).collect());
        let goals = groups.iter().zip(starts.iter()).map(|(group, start)| match round == rounds {
            true => group.goal,
            false => start + (group.goal - start) * round as f64 / rounds as f64,
        });
        let goals: Vec<(&[usize], f64)> = groups.iter().map(|g| g.members.as_slice()).zip(goals).collect();
        match &statement.by {
            Criterion::Magnitude => {
                for (members, goal) in goals {
                    magnitude(chosen(&mut weights, members), chosen(&mut current, members), statement, goal);
                }
            }
            Criterion::Movement => return Err(EngineError::NotBuilt("movement pruning".into())),
            Criterion::Obs(obs) => {
                let seed = context.seed.wrapping_add(round);
                let done = (round - 1) * per_round;
                let estimates =
                    gradients::collect(task, &model, &targets, obs, seed, context.device, |n, _| {
                        progress(done + n, rounds * per_round);
                    });
                let mut estimates: Vec<_> = estimates.into_iter().map(Some).collect();
                for (members, goal) in goals {
                    let estimates = members.iter().filter_map(|i| estimates[*i].take()).collect();
                    let (weights, current) = (chosen(&mut weights, members), chosen(&mut current, members));
                    let damp = obs_round(weights, current, estimates, statement, obs, goal).map_err(
                        |(i, source)| EngineError::Surgeon {
                            stage: context.stage.to_owned(),
                            step: context.step,
                            parameter: names[members[i]].to_owned(),
                            source,
                        },
                    )?;
                    if damp > obs.damp {
                        raised_damp = Some(raised_damp.map_or(damp, |d: f64| d.max(damp)));
                    }
                }
            }
        }
        let updated: Values = names.iter().map(|n| (*n).to_owned()).zip(weights).collect();
        model = parameters::write(model, updated);
        round_masks = Some(current);
    }
    for (name, mask) in names.iter().zip(round_masks.unwrap_or_default()) {
        masks.set((*name).to_owned(), mask);
    }
    Ok((model, raised_damp))
}

/// The statement's exceptions by themselves, and all others.
fn groups(
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

/// The items of these indices, which ascend.
fn chosen<'a, T>(items: &'a mut [T], indices: &[usize]) -> Vec<&'a mut T> {
    items.iter_mut().enumerate().filter(|(i, _)| indices.binary_search(i).is_ok()).map(|(_, t)| t).collect()
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

/// The largest damp that is tried before a block is given up.
const LARGEST_DAMP: f64 = 1.0;

/// One estimate's pruning; returns the damp that it took.
fn obs_round(
    weights: Vec<&mut Vec<f32>>,
    masks: Vec<&mut Mask>,
    estimates: Vec<surgeon::Estimate>,
    statement: &Prune,
    obs: &Obs,
    goal: f64,
) -> Result<f64, (usize, ObsError)> {
    let mut settings = Settings {
        block: obs.block,
        damp: obs.damp,
        divisor: obs.gradients,
        exact: obs.update == Update::Exact,
        group: statement.pattern.group(),
        correlated: false,
    };
    let mut list: Vec<Parameter> = weights
        .into_iter()
        .zip(masks)
        .zip(estimates)
        .map(|((weights, mask), estimate)| Parameter { weights, mask, estimate })
        .collect();
    loop {
        match surgeon::prune(&mut list, selection(statement, goal), &settings) {
            Ok(_) => return Ok(settings.damp),
            Err((_, ObsError::NotFactored { .. })) if obs.raise_damp && settings.damp < LARGEST_DAMP => {
                settings.damp *= 10.0;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Removes the weights (or groups) of least absolute value.
fn magnitude(weights: Vec<&mut Vec<f32>>, masks: Vec<&mut Mask>, statement: &Prune, goal: f64) {
    let group = statement.pattern.group();
    let scores: Vec<Vec<f32>> = weights
        .iter()
        .zip(masks.iter())
        .map(|(w, mask)| criterion::magnitude::scores(w, mask, group))
        .collect();
    let pruned = select(&scores, selection(statement, goal));
    for ((w, mask), groups) in weights.into_iter().zip(masks).zip(pruned) {
        for (index, _) in spread(&groups, group, w.len()).iter().enumerate().filter(|(_, pruned)| **pruned) {
            mask.prune(index);
        }
        mask.apply(w);
    }
}

fn selection(statement: &Prune, sparsity: f64) -> Selection {
    match (statement.pattern, statement.rank) {
        (Pattern::NofM { keep, of }, _) => Selection::NofM { keep, of },
        (_, Rank::Global) => Selection::Global(sparsity),
        (_, Rank::Layer) => Selection::Layer(sparsity),
    }
}
