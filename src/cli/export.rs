//! `obertc export`.

use std::path::PathBuf;

use clap::Args;

use super::recipe::{RecipeArgs, recipe};
use super::{ERRORS, FINE, fail, fail_with, print, print_diagnostics};
use crate::api::recipe::Compiler;
use crate::diag::Sources;
use crate::yaml;

/// Write a recipe as YAML that SparseML loads.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    recipe_args: RecipeArgs,
    /// Write the YAML here instead of printing it
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &ExportArgs) -> i32 {
    let recipe = match recipe(&args.recipe) {
        Ok(recipe) => recipe,
        Err(diagnostic) => return fail(&[diagnostic], &Sources::new()),
    };
    let compiled = match Compiler::new(&args.recipe_args.options()).and_then(|c| c.recipe(&recipe)) {
        Ok(compiled) => compiled,
        Err(error) => return fail_with(&error),
    };
    print_diagnostics(&compiled.diagnostics, &compiled.sources);
    let Some(schedule) = &compiled.schedule else { return ERRORS };
    let text = match yaml::export(schedule, compiled.parameters.as_ref()) {
        Ok(text) => text,
        Err(refused) => return fail(&refused, &compiled.sources),
    };
    match &args.out {
        None => print(&text),
        Some(out) => {
            if let Err(diagnostic) = crate::files::write_whole(out, text.as_bytes()) {
                return fail(&[diagnostic], &Sources::new());
            }
        }
    }
    FINE
}
