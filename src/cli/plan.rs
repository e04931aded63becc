//! `obertc plan`.

use clap::Args;

use super::{FINE, Format, RecipeArgs, compile_recipe, complain, fail, say};
use crate::plan::table;
use crate::schedule::Schedule;
use crate::schedule::ir::Data;

#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Steps in an epoch, to show steps beside epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps_per_epoch: Option<u64>,
    /// `full` is a table, `json` the schedule itself
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &PlanArgs) -> i32 {
    let compiled = match compile_recipe(&args.recipe) {
        Ok(compiled) => compiled,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    let Some(schedule) = &compiled.schedule else { return fail(&compiled.diagnostics, &compiled.sources) };
    complain(&compiled.diagnostics, &compiled.sources);
    match args.format {
        Format::Json => say(&(serde_json::to_string_pretty(schedule).unwrap_or_default() + "\n")),
        Format::Full => {
            let steps = args.steps_per_epoch.or_else(|| known_steps(schedule));
            say(&table::render(schedule, steps, compiled.parameters.as_ref()));
        }
    }
    FINE
}

/// The steps in an epoch where the recipe itself says how many examples there are.
fn known_steps(schedule: &Schedule) -> Option<u64> {
    let Data::BuiltinReading { train, .. } = schedule.data else { return None };
    let batch = schedule.stages.iter().map(|s| s.train.batch).max()?;
    Some(train.div_ceil(batch) as u64)
}
