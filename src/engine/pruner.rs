//! One pruning event.

use crate::method::criterion;
use crate::method::mask::Mask;
use crate::method::mask::select::{Selection, select, spread};
use crate::method::obs::surgeon::{self, Parameter, Settings};
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

/// Prunes the targets of a statement to `sparsity`; returns the model with its zeros.
///
/// # Errors
/// A parameter that cannot be pruned. The masks are unchanged then.
pub fn prune<T: Task>(
    task: &T,
    model: T::Model,
    statement: &Prune,
    sparsity: f64,
    masks: &mut Masks,
    context: &Context,
    mut progress: impl FnMut(u64, u64),
) -> Result<T::Model, EngineError> {
    let targets = targets(&model, statement, context.stage)?;
    let names: Vec<&str> = targets.iter().map(|t| t.parameter.name.as_str()).collect();
    let (rounds, per_round) = match &statement.by {
        Criterion::Magnitude => (1, 0),
        Criterion::Obs(obs) => (obs.recompute as u64, obs.gradients as u64),
    };
    let mut model = model;
    let mut round_masks: Option<Vec<Mask>> = None;
    let mut start = None;
    for round in 1..=rounds {
        let mut values = parameters::read(&model, |name| names.contains(&name));
        let mut weights: Vec<Vec<f32>> =
            names.iter().map(|n| values.remove(*n).unwrap_or_default()).collect();
        let mut current = round_masks.take().unwrap_or_else(|| {
            let masked = names.iter().zip(&weights);
            masked.map(|(name, w)| masks.get(name).cloned().unwrap_or_else(|| Mask::of_nonzeros(w))).collect()
        });
        // Rounds divide the way from where the masks were to the target evenly.
        let start = *start.get_or_insert_with(|| overall(&current));
        let goal = if round == rounds {
            sparsity
        } else {
            start + (sparsity - start) * round as f64 / rounds as f64
        };
        match &statement.by {
            Criterion::Magnitude => magnitude(&mut weights, &mut current, statement, goal),
            Criterion::Obs(obs) => {
                let seed = context.seed.wrapping_add(round);
                let done = (round - 1) * per_round;
                let estimates =
                    gradients::collect(task, &model, &targets, obs, seed, context.device, |n, _| {
                        progress(done + n, rounds * per_round);
                    });
                obs_round(&mut weights, &mut current, estimates, statement, obs, goal).map_err(
                    |(i, source)| EngineError::Surgeon {
                        stage: context.stage.to_owned(),
                        step: context.step,
                        parameter: names[i].to_owned(),
                        source,
                    },
                )?;
            }
        }
        let updated: Values = names.iter().map(|n| (*n).to_owned()).zip(weights).collect();
        model = parameters::write(model, updated);
        round_masks = Some(current);
    }
    for (name, mask) in names.iter().zip(round_masks.unwrap_or_default()) {
        masks.set((*name).to_owned(), mask);
    }
    Ok(model)
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

fn overall(masks: &[Mask]) -> f64 {
    let (pruned, all) = masks.iter().fold((0, 0), |(p, n), m| (p + m.pruned(), n + m.len()));
    pruned as f64 / usize::max(all, 1) as f64
}

fn obs_round(
    weights: &mut [Vec<f32>],
    masks: &mut [Mask],
    estimates: Vec<surgeon::Estimate>,
    statement: &Prune,
    obs: &Obs,
    goal: f64,
) -> Result<(), (usize, crate::method::obs::ObsError)> {
    let settings = Settings {
        block: obs.block,
        damp: obs.damp,
        divisor: obs.gradients,
        exact: obs.update == Update::Exact,
        group: statement.pattern.group(),
    };
    let mut list: Vec<Parameter> = weights
        .iter_mut()
        .zip(masks)
        .zip(estimates)
        .map(|((weights, mask), estimate)| Parameter { weights, mask, estimate })
        .collect();
    surgeon::prune(&mut list, selection(statement, goal), &settings).map(|_| ())
}

/// Removes the weights (or groups) of least absolute value.
fn magnitude(weights: &mut [Vec<f32>], masks: &mut [Mask], statement: &Prune, goal: f64) {
    let group = statement.pattern.group();
    let scores: Vec<Vec<f32>> = weights
        .iter()
        .zip(masks.iter())
        .map(|(w, mask)| criterion::magnitude::scores(w, mask, group))
        .collect();
    let pruned = select(&scores, selection(statement, goal));
    for ((w, mask), groups) in weights.iter_mut().zip(masks).zip(pruned) {
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
