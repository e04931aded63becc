//! The target parameters of a `prune` statement.

use burn::module::{Module, ParamId};

use crate::method::mask::grouping::Grouping;
use crate::method::mask::select::{Goal, Ranking};
use crate::params::layer_of;
use crate::schedule::PruneEvent;
use crate::schedule::ir::{self, Pattern, Prune, Rank};
use crate::task::parameters::{self, ModuleParameter};

use super::EngineError;

/// The target parameters of a statement, in the model's order.
pub struct Targets {
    /// The parameters.
    pub parameters: Vec<ModuleParameter>,
    /// The groups of weights of each that are pruned together.
    pub groupings: Vec<Grouping>,
    stage: String,
}

impl Targets {
    /// Selects the parameters of a statement.
    ///
    /// # Errors
    /// A selector that cannot be read or selects nothing.
    pub fn select<M: Module>(model: &M, statement: &Prune, stage: &str) -> Result<Self, EngineError> {
        let matcher = statement.targets.selector.matcher().map_err(|e| EngineError::selector(stage, e))?;
        let all = parameters::parameters(model).into_iter();
        let parameters: Vec<ModuleParameter> = all.filter(|p| matcher.matches(&p.parameter.name)).collect();
        if parameters.is_empty() {
            let selector = statement.targets.selector.to_string();
            return Err(EngineError::NothingSelected { stage: stage.to_owned(), selector });
        }
        let groupings = parameters.iter().map(|p| grouping(statement.pattern, p)).collect();
        Ok(Targets { parameters, groupings, stage: stage.to_owned() })
    }

    /// The name of a parameter in the Hugging Face model.
    pub fn name(&self, index: usize) -> &str {
        &self.parameters[index].parameter.name
    }

    /// The names of all targets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|p| p.parameter.name.as_str())
    }

    /// The number of weights of each.
    pub fn counts(&self) -> Vec<usize> {
        self.parameters.iter().map(|p| p.parameter.count()).collect()
    }

    /// The weights of each, in the Hugging Face layout.
    pub fn weights<M: Module>(&self, model: &M) -> Vec<Vec<f32>> {
        let mut values = parameters::read(model, |name| self.names().any(|own| own == name));
        self.names().map(|name| values.remove(name).unwrap_or_default()).collect()
    }

    /// Writes their weights into the model.
    pub fn write<M: Module>(&self, model: M, weights: Vec<Vec<f32>>) -> M {
        parameters::write(model, self.names().map(str::to_owned).zip(weights).collect())
    }

    /// The sparsities of an event: of each exception, and of all other targets.
    ///
    /// # Errors
    /// A selector that cannot be read.
    pub fn goals(&self, statement: &Prune, event: &PruneEvent) -> Result<Vec<Goal>, EngineError> {
        let mut rest: Vec<usize> = (0..self.parameters.len()).collect();
        let mut goals = Vec::new();
        for (index, exception) in statement.exceptions.iter().enumerate() {
            let matcher = exception.targets.selector.matcher();
            let matcher = matcher.map_err(|e| EngineError::selector(&self.stage, e))?;
            let (members, others) = rest.into_iter().partition(|i| matcher.matches(self.name(*i)));
            rest = others;
            goals.push(Goal { members, sparsity: statement.exception_at(index, event.share) });
        }
        goals.push(Goal { members: rest, sparsity: event.sparsity });
        goals.retain(|goal| !goal.members.is_empty());
        Ok(goals)
    }
}

/// The partitions of the targets that a measured allocation tries: one by encoder layer, one by role (such as
/// `attention.self.query.weight`). Parameters with different final sparsities (goals) are never in one group.
pub fn partitions(targets: &Targets, goals: &[Goal]) -> Vec<Vec<Vec<usize>>> {
    let by = |key: fn(&str) -> String| {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for goal in goals {
            let mut of_goal: Vec<(String, Vec<usize>)> = Vec::new();
            for i in &goal.members {
                let key = key(targets.name(*i));
                match of_goal.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, members)) => members.push(*i),
                    None => of_goal.push((key, vec![*i])),
                }
            }
            groups.extend(of_goal.into_iter().map(|(_, members)| members));
        }
        groups
    };
    let by_layer =
        by(|name| layer_of(name).map_or(name.to_owned(), |(stem, number, _)| format!("{stem}.{number}")));
    let by_role = by(|name| layer_of(name).map_or(name, |(_, _, role)| role).to_owned());
    let mut partitions = vec![by_layer, by_role];
    partitions.dedup();
    // A partition with one group for each goal leaves nothing to distribute.
    partitions.retain(|groups| groups.len() > goals.len());
    partitions
}

/// The ids of the parameters that a selector matches, possibly none.
///
/// # Errors
/// A selector that cannot be read.
pub fn ids<M: Module>(model: &M, targets: &ir::Targets, stage: &str) -> Result<Vec<ParamId>, EngineError> {
    let matcher = targets.selector.matcher().map_err(|e| EngineError::selector(stage, e))?;
    let all = parameters::parameters(model).into_iter();
    Ok(all.filter(|p| matcher.matches(&p.parameter.name)).map(|p| p.id).collect())
}

/// The set of groups that a statement ranks together.
pub fn ranking(statement: &Prune) -> Ranking {
    match (statement.pattern, statement.rank) {
        (Pattern::NofM { keep, of }, _) => Ranking::NofM { keep, of },
        (_, Rank::Global | Rank::Measured) => Ranking::Global,
        (_, Rank::Layer) => Ranking::Layer,
    }
}

/// The goals of round `round` of `rounds`, with sparsities linear from `from` to those of `goals`.
pub fn partial(goals: &[Goal], from: &[f64], round: usize, rounds: usize) -> Vec<Goal> {
    let sparsity = |goal: &Goal, from: f64| match round == rounds {
        true => goal.sparsity,
        false => from + (goal.sparsity - from) * round as f64 / rounds as f64,
    };
    let goals = goals.iter().zip(from);
    goals.map(|(g, from)| Goal { members: g.members.clone(), sparsity: sparsity(g, *from) }).collect()
}

fn grouping(pattern: Pattern, target: &ModuleParameter) -> Grouping {
    let columns = target.parameter.inputs();
    match pattern {
        Pattern::Unstructured | Pattern::NofM { .. } => Grouping::Runs(1),
        Pattern::Blocks(size) => Grouping::Runs(size),
        Pattern::Rows => Grouping::Rows(columns),
        Pattern::Columns => Grouping::Columns(columns),
    }
}
