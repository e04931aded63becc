//! `obertc plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compile::{Compiler, RecipeArgs, is_stdin};
use super::{ERRORS, FINE, fail, print, print_diagnostics};
use crate::language::Compilation;
use crate::plan::{chart, diff, document, svg, table};
use crate::schedule::Schedule;
use crate::schedule::ir::Data;

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
    let compiler = match Compiler::new(&args.recipe_args) {
        Ok(compiler) => compiler,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    let mut plans = Vec::new();
    for path in std::iter::once(&args.recipe).chain(&args.other) {
        let mut compiled = match compiler.file(path) {
            Ok(compiled) => compiled,
            Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
        };
        print_diagnostics(&compiled.diagnostics, &compiled.sources);
        let Some(schedule) = compiled.schedule.take() else { return ERRORS };
        let steps = args.steps_per_epoch.or_else(|| known_steps(&schedule));
        plans.push(Planned { schedule, steps, compiled });
    }
    match plans.as_slice() {
        [before, after] => show_difference(before, after),
        [plan] => show(plan, args),
        _ => FINE,
    }
}

/// A recipe ready to be shown.
struct Planned {
    schedule: Schedule,
    steps: Option<u64>,
    compiled: Compilation,
}

impl Planned {
    fn table(&self) -> String {
        table::render(&self.schedule, self.steps, self.compiled.parameters.as_ref(), |_| String::new())
    }
}

fn show(plan: &Planned, args: &PlanArgs) -> i32 {
    let parameters = plan.compiled.parameters.as_ref();
    if args.svg.as_deref().is_some_and(is_stdin) {
        print(&svg::render(&plan.schedule, plan.steps.unwrap_or(NOMINAL)));
        return FINE;
    }
    match args.format {
        Format::Ir => print(&json(&plan.schedule)),
        Format::Json => print(&json(&document::document(&plan.schedule, plan.steps, parameters))),
        Format::Full => print(&table::render(&plan.schedule, plan.steps, parameters, |stage| {
            if args.no_chart { String::new() } else { chart::render(stage, plan.steps) }
        })),
    }
    let Some(path) = &args.svg else { return FINE };
    let picture = svg::render(&plan.schedule, plan.steps.unwrap_or(NOMINAL));
    match crate::files::write_whole(path, picture.as_bytes()) {
        Ok(()) => FINE,
        Err(diagnostic) => fail(&[diagnostic], &crate::diag::Sources::new()),
    }
}

/// Steps in an epoch of a picture where nobody said how many.
const NOMINAL: u64 = 1_000;

fn show_difference(before: &Planned, after: &Planned) -> i32 {
    let text = diff::render(&before.table(), &after.table());
    print(if text.is_empty() { "no difference\n" } else { &text });
    FINE
}

fn json(value: &impl serde::Serialize) -> String {
    // Plain data of strings and numbers always serialises.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// The steps in an epoch where the recipe itself says how many examples there are.
fn known_steps(schedule: &Schedule) -> Option<u64> {
    let Data::BuiltinReading { train, .. } = schedule.data else { return None };
    let batch = schedule.stages.iter().map(|s| s.train.batch * s.train.accumulate).max()?;
    Some(train.div_ceil(batch) as u64)
}
