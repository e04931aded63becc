//! `obertc plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::recipe::{RecipeArgs, is_stdin, recipe};
use super::{FINE, print, print_diagnostics};
use crate::api::recipe::Compiler;
use crate::api::{Error, Plan, plan_with};
use crate::plan::diff;

#[derive(Args, Debug)]
pub struct PlanArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Another recipe: show the differences between both plans
    #[arg(value_name = "OTHER", conflicts_with_all = ["svg", "format"])]
    other: Option<PathBuf>,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// Steps per epoch, to show steps beside epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps_per_epoch: Option<u64>,
    /// Also show the memory of each of N ranks (mpirun)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    #[arg(conflicts_with_all = ["other", "format"])]
    ranks: Option<u64>,
    /// How the plan is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Do not draw the curves of sparsity and learning rate
    #[arg(long)]
    no_chart: bool,
    /// Draw sparsity and learning rate into this SVG file; `-` prints nothing but the SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables and curves, for people
    #[default]
    Full,
    /// For programs; docs/plan-format.md describes the fields
    Json,
    /// The compiled schedule that `run` executes, as JSON
    Ir,
}

pub fn run(args: &PlanArgs) -> Result<i32, Error> {
    let compiler = Compiler::new(&args.recipe_args.options())?;
    let read = |path| {
        let plan = plan_with(&compiler, &recipe(path)?, args.steps_per_epoch)?;
        print_diagnostics(&plan.warnings, &plan.sources);
        Ok::<_, Error>(plan)
    };
    let plan = read(&args.recipe)?;
    match &args.other {
        Some(other) => show_difference(&plan, &read(other)?),
        None => show(&plan, args)?,
    }
    Ok(FINE)
}

fn show(plan: &Plan, args: &PlanArgs) -> Result<(), Error> {
    if args.svg.as_deref().is_some_and(is_stdin) {
        print(&plan.svg());
        return Ok(());
    }
    match args.format {
        Format::Ir => print(&json(&plan.schedule)),
        Format::Json => print(&json(&plan.json())),
        Format::Full => {
            print(&plan.table(!args.no_chart));
            print(&args.ranks.map_or(String::new(), |ranks| plan.memory_of_rank(ranks as usize)));
        }
    }
    if let Some(path) = &args.svg {
        crate::files::write_whole(path, plan.svg().as_bytes())?;
    }
    Ok(())
}

fn show_difference(before: &Plan, after: &Plan) {
    let text = diff::render(&before.table(false), &after.table(false));
    print(if text.is_empty() { "no difference\n" } else { &text });
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain data of strings and numbers always serializes.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
