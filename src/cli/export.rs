//! `obertc export`.

use std::path::PathBuf;

use clap::Args;

use super::compile::{Compiler, RecipeArgs};
use super::{ERRORS, FINE, fail, print, print_diagnostics};
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
    let compiled = match Compiler::new(&args.recipe_args).and_then(|compiler| compiler.file(&args.recipe)) {
        Ok(compiled) => compiled,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
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
