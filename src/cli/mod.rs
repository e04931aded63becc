//! The command line: one file for each command. Only here is anything printed.

#![allow(clippy::print_stderr)]

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::diag::render::full;
use crate::diag::{Code, Diagnostic, Sources, Span};
use crate::language::{Compilation, Options, Override, compile};
use crate::params::folder;
use crate::yaml;

mod check;
#[cfg(feature = "engine")]
mod eval;
mod export;
mod files;
mod fmt;
mod import;
mod params;
mod plan;
#[cfg(feature = "engine")]
mod progress;
#[cfg(feature = "engine")]
mod run;

/// Compress transformers from a recipe.
#[derive(Parser, Debug)]
#[command(name = "obertc", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 fine; 1 the input has errors, or a metric missed what the recipe expects; 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Find every mistake in recipes, without running them
    Check(check::CheckArgs),
    /// Show what a recipe does, and when
    Plan(plan::PlanArgs),
    /// Run a recipe
    #[cfg(feature = "engine")]
    Run(run::RunArgs),
    /// Measure a saved model
    #[cfg(feature = "engine")]
    Eval(eval::EvalArgs),
    /// Write recipes in their canonical form
    Fmt(fmt::FmtArgs),
    /// Turn a SparseML recipe into an .obert recipe
    Import(import::ImportArgs),
    /// Write a recipe as YAML that SparseML loads
    Export(export::ExportArgs),
    /// List the parameters that a pattern selects
    Params(params::ParamsArgs),
}

/// What `check`, `plan` and `run` share.
#[derive(Args, Debug, Clone)]
struct RecipeArgs {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Check against this Hugging Face model folder, and use it in place of the recipe's model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Give a parameter of the recipe a value, as `--set target=97%`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
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
    match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        #[cfg(feature = "engine")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "engine")]
        Command::Eval(args) => eval::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Params(args) => params::run(&args),
    }
}

/// Nothing is wrong.
const FINE: i32 = 0;
/// The input has errors.
const ERRORS: i32 = 1;
/// The command line cannot be understood.
const USAGE: i32 = 2;

/// Prints to stdout. A reader that has gone away, such as `head`, is no mistake.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints diagnostics for people to stderr.
fn complain(diagnostics: &[Diagnostic], sources: &Sources) {
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = full::render_all(diagnostics, sources, color);
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Complains and returns the exit code for errors.
fn fail(diagnostics: &[Diagnostic], sources: &Sources) -> i32 {
    complain(diagnostics, sources);
    ERRORS
}

/// Reads and compiles the recipe of a command.
fn compile_recipe(args: &RecipeArgs) -> Result<Compilation, (Vec<Diagnostic>, Sources)> {
    let mut sources = Sources::new();
    let overrides = match overrides(&args.set, &mut sources) {
        Ok(overrides) => overrides,
        Err(diagnostic) => return Err((vec![diagnostic], sources)),
    };
    let text = files::read_recipe(&args.recipe).map_err(|d| (vec![d], Sources::new()))?;
    let parameters = match &args.model {
        None => None,
        Some(path) => match folder::read(path, &mut sources) {
            Ok(folder) => Some(folder.table),
            Err(diagnostics) => return Err((diagnostics, sources)),
        },
    };
    let name = args.recipe.display().to_string();
    if yaml::is_yaml(&args.recipe) {
        let find_model = Some(&local_model as _);
        let options = yaml::Options { overrides: &overrides, parameters, find_model, ..Default::default() };
        return Ok(yaml::compile(&name, &text, options));
    }
    let options = Options { overrides: &overrides, parameters, find_model: Some(&local_model) };
    Ok(compile(&name, &text, &files::Disk, options))
}

/// The parameters of a model folder that the recipe itself names, if it is on this machine.
fn local_model(name: &str) -> Option<crate::params::ParameterTable> {
    let path = Path::new(name);
    path.is_dir().then(|| folder::read(path, &mut Sources::new()).ok())?.map(|f| f.table)
}

/// Splits `name=value`.
fn overrides(set: &[String], sources: &mut Sources) -> Result<Vec<Override>, Diagnostic> {
    set.iter()
        .map(|given| match given.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Override { name: name.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => {
                let file = sources.add("--set", given.clone());
                Err(Diagnostic::error(
                    Code::BadSetArgument,
                    "`--set` takes name=value",
                    Span::new(file, 0..given.len()),
                    "not of that form",
                )
                .help("as `--set target=97%`"))
            }
        })
        .collect()
}
