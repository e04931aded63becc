//! `obertc plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::recipe::{RecipeArgs, is_stdin, recipe};
use super::{FINE, fail, fail_with, print, print_diagnostics};
use crate::api::recipe::Compiler;
use crate::api::{Plan, plan_with};
use crate::diag::Sources;
use crate::plan::diff;

#[derive(Args, Debug)]
pub struct PlanArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Another recipe: show what differs in its plan
    #[arg(value_name = "OTHER", conflicts_with_all = ["svg", "format"])]
    other: Option<PathBuf>,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// Steps in an epoch, to show steps beside epochs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps_per_epoch: Option<u64>,
    /// How the plan is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Leave the curves out
    #[arg(long)]
    no_chart: bool,
    /// Draw sparsity and learning rate into this file; `-` prints the picture alone
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables and curves, for people
    #[default]
    Full,
    /// For programs; the fields are described in docs/plan-format.md
    Json,
    /// The schedule alone, as it is run
    Ir,
}

pub fn run(args: &PlanArgs) -> i32 {
    let compiler = match Compiler::new(&args.recipe_args.options()) {
        Ok(compiler) => compiler,
        Err(error) => return fail_with(&error),
    };
    let mut plans = Vec::new();
    for path in std::iter::once(&args.recipe).chain(&args.other) {
        let recipe = match recipe(path) {
            Ok(recipe) => recipe,
            Err(diagnostic) => return fail(&[diagnostic], &Sources::new()),
        };
        match plan_with(&compiler, &recipe, args.steps_per_epoch) {
            Err(error) => return fail_with(&error),
            Ok(plan) => {
                print_diagnostics(&plan.warnings, &plan.sources);
                plans.push(plan);
            }
        }
    }
    match plans.as_slice() {
        [before, after] => show_difference(before, after),
        [plan] => show(plan, args),
        _ => FINE,
    }
}

fn show(plan: &Plan, args: &PlanArgs) -> i32 {
    if args.svg.as_deref().is_some_and(is_stdin) {
        print(&plan.svg());
        return FINE;
    }
    match args.format {
        Format::Ir => print(&json(&plan.schedule)),
        Format::Json => print(&json(&plan.json())),
        Format::Full => print(&plan.table(!args.no_chart)),
    }
    let Some(path) = &args.svg else { return FINE };
    match crate::files::write_whole(path, plan.svg().as_bytes()) {
        Ok(()) => FINE,
        Err(diagnostic) => fail(&[diagnostic], &Sources::new()),
    }
}

fn show_difference(before: &Plan, after: &Plan) -> i32 {
    let text = diff::render(&before.table(false), &after.table(false));
    print(if text.is_empty() { "no difference\n" } else { &text });
    FINE
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain data of strings and numbers always serialises.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
