//! Planning a recipe: which event happens at which step.

use super::error::Error;
use super::recipe::{Compiler, Recipe, RecipeOptions};
use crate::diag::{Diagnostic, Sources};
use crate::params::ParameterTable;
use crate::plan::{document, svg_chart, table, terminal_chart};
use crate::schedule::Schedule;
use crate::schedule::ir::Data;

/// Steps per epoch of a chart if the number is not known.
const NOMINAL: u64 = 1_000;

/// The plan of a recipe.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The schedule, with exact times.
    pub schedule: Schedule,
    /// Steps per epoch, if known.
    pub steps_per_epoch: Option<u64>,
    /// Warnings about the recipe.
    pub warnings: Vec<Diagnostic>,
    /// The texts into which they point.
    pub sources: Sources,
    parameters: Option<ParameterTable>,
}

/// Compiles a recipe and computes the times of its events. Without `steps_per_epoch` times are in epochs, unless the
/// recipe generates its data.
///
/// # Errors
/// A recipe that cannot be read or has errors.
pub fn plan(recipe: &Recipe, options: &RecipeOptions, steps_per_epoch: Option<u64>) -> Result<Plan, Error> {
    plan_with(&Compiler::new(options)?, recipe, steps_per_epoch)
}

/// The same with a compiler that is used for several recipes.
pub(crate) fn plan_with(
    compiler: &Compiler,
    recipe: &Recipe,
    steps_per_epoch: Option<u64>,
) -> Result<Plan, Error> {
    let compiled = compiler.recipe(recipe)?;
    match compiled.schedule {
        None => Err(Error::new(compiled.diagnostics, compiled.sources)),
        Some(schedule) => Ok(Plan {
            steps_per_epoch: steps_per_epoch.or_else(|| known_steps(&schedule)),
            schedule,
            warnings: compiled.diagnostics,
            sources: compiled.sources,
            parameters: compiled.parameters,
        }),
    }
}

impl Plan {
    /// Tables of stages and events, for people; with curves of sparsity and learning rate if `curves`.
    pub fn table(&self, curves: bool) -> String {
        table::render(&self.schedule, self.steps_per_epoch, self.parameters.as_ref(), |stage| match curves {
            true => terminal_chart::render(stage, self.steps_per_epoch),
            false => String::new(),
        })
    }

    /// The memory of each of several ranks (`mpirun`), a line for each stage; empty if it is not known.
    pub(crate) fn memory_of_rank(&self, ranks: usize) -> String {
        table::memory_of_rank(&self.schedule, self.parameters.as_ref(), ranks)
    }

    /// Curves of sparsity and learning rate as an SVG image.
    pub fn svg(&self) -> String {
        svg_chart::render(&self.schedule, self.steps_per_epoch.unwrap_or(NOMINAL))
    }

    /// The plan as JSON, with events and costs; `docs/plan-format.md` describes the fields.
    pub fn json(&self) -> serde_json::Value {
        let document = document::document(&self.schedule, self.steps_per_epoch, self.parameters.as_ref());
        // Plain data of strings and numbers always serializes.
        serde_json::to_value(document).unwrap_or_default()
    }
}

/// Steps per epoch of a recipe that generates its data; `None` for another.
pub(crate) fn known_steps(schedule: &Schedule) -> Option<u64> {
    let Data::BuiltinReading { train, .. } = schedule.data else { return None };
    let batch = schedule.stages.iter().map(|s| s.train.batch * s.train.accumulate).max()?;
    Some(train.div_ceil(batch) as u64)
}
