//! The command line: one file for each command. Only here is anything printed.

#![allow(clippy::print_stderr)]

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use clap::{Parser, Subcommand, ValueEnum};

use crate::api::Error;
use crate::diag::render::full;
use crate::diag::{Diagnostic, Sources};

#[cfg(feature = "infer")]
mod bench;
mod check;
#[cfg(feature = "engine")]
mod checkpointing;
mod completions;
#[cfg(feature = "engine")]
mod data_args;
#[cfg(feature = "engine")]
mod eta;
#[cfg(feature = "engine")]
mod eval;
mod explain;
mod export;
#[cfg(feature = "infer")]
mod fetching;
mod fmt;
mod import;
#[cfg(not(target_family = "wasm"))]
mod lsp;
mod man;
mod new;
#[cfg(feature = "engine")]
mod oneshot;
#[cfg(feature = "infer")]
mod pack;
mod params;
mod plan;
#[cfg(feature = "infer")]
mod predict;
#[cfg(feature = "engine")]
mod progress;
#[cfg(feature = "engine")]
mod ranks;
mod recipe;
mod report;
#[cfg(feature = "engine")]
mod run;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "infer")]
mod settings_args;
#[cfg(feature = "engine")]
mod stop;
#[cfg(feature = "engine")]
mod sweep;
#[cfg(feature = "engine")]
mod trial_args;
mod version;
mod watch;

/// Compress transformers from a recipe.
#[derive(Parser, Debug)]
#[command(name = "obertc", about, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 success; 1 errors in the input, or a metric outside the recipe's `expect`; 2 wrong usage."
)]
struct Cli {
    /// Print the version; with --verbose also commit, features, target and instruction set
    #[arg(long, short = 'V')]
    version: bool,
    /// With --version: print the commit, features, target, instruction set and Burn's version
    #[arg(long, short, requires = "version")]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Check recipes without running them
    Check(check::CheckArgs),
    /// Show which event of a recipe happens at which step
    Plan(plan::PlanArgs),
    /// Run a recipe: train, prune, quantize and evaluate
    #[cfg(feature = "engine")]
    Run(run::RunArgs),
    /// Evaluate a saved model
    #[cfg(feature = "engine")]
    Eval(eval::EvalArgs),
    /// Write the report of a run from its folder, or one that compares several runs
    Report(report::ReportArgs),
    /// Compare pruning criteria: prune one-shot at several sparsities, and evaluate
    #[cfg(feature = "engine")]
    Oneshot(oneshot::OneshotArgs),
    /// Tune OBS settings: prune one-shot with each point of a grid, and evaluate
    #[cfg(feature = "engine")]
    Sweep(sweep::SweepArgs),
    /// Convert a model to another format: for inference with obertc or other programs
    #[cfg(feature = "infer")]
    Pack(pack::PackArgs),
    /// Compute predictions for JSON lines from standard input
    #[cfg(feature = "infer")]
    Predict(predict::PredictArgs),
    /// Serve models over HTTP
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Benchmark inference on the CPU
    #[cfg(feature = "infer")]
    Bench(bench::BenchArgs),
    /// Format recipes
    Fmt(fmt::FmtArgs),
    /// Translate a SparseML recipe to an .obert recipe
    Import(import::ImportArgs),
    /// Translate a recipe to YAML that SparseML loads
    Export(export::ExportArgs),
    /// List the parameters that a name pattern selects
    Params(params::ParamsArgs),
    /// Explain a diagnostic code, a statement or a setting
    Explain(explain::ExplainArgs),
    /// Run a language server for editors (LSP over standard input and output)
    #[cfg(not(target_family = "wasm"))]
    Lsp(lsp::LspArgs),
    /// Check and plan a recipe again whenever it is saved
    Watch(watch::WatchArgs),
    /// Write a commented recipe to start from
    New(new::NewArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write man pages, one for each command
    Man(man::ManArgs),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Full,
    /// For programs
    Json,
}

/// Runs the command line and returns the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> i32 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help to stdout and mistakes to stderr.
            let _ = error.print();
            return if error.use_stderr() { USAGE } else { FINE };
        }
    };
    // Without arguments clap prints the help.
    let Some(command) = cli.command else {
        print(&version::text(cli.verbose));
        return FINE;
    };
    let done = match command {
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        #[cfg(feature = "engine")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "engine")]
        Command::Eval(args) => eval::run(&args),
        Command::Report(args) => report::run(&args),
        #[cfg(feature = "engine")]
        Command::Oneshot(args) => oneshot::run(&args),
        #[cfg(feature = "engine")]
        Command::Sweep(args) => sweep::run(&args),
        #[cfg(feature = "infer")]
        Command::Pack(args) => pack::run(&args),
        #[cfg(feature = "infer")]
        Command::Predict(args) => predict::run(&args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "infer")]
        Command::Bench(args) => bench::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Params(args) => params::run(&args),
        Command::Explain(args) => explain::run(&args),
        #[cfg(not(target_family = "wasm"))]
        Command::Lsp(args) => lsp::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::New(args) => new::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    done.unwrap_or_else(|error| fail(&error))
}

/// Success.
const FINE: i32 = 0;
/// The input has errors.
const ERRORS: i32 = 1;
/// Wrong usage.
const USAGE: i32 = 2;

/// Prints to stdout. A reader that has gone away, such as `head`, is no error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to stderr.
fn eprint(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints diagnostics for people to stderr.
fn print_diagnostics(diagnostics: &[Diagnostic], sources: &Sources) {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = full::render_all(diagnostics, sources, color);
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints an error and returns its exit code.
fn fail(error: &Error) -> i32 {
    if !error.details().is_empty() {
        eprint(&format!("{}\n", error.details()));
    }
    print_diagnostics(error.diagnostics(), error.sources());
    ERRORS
}
