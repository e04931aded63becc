//! `obertc export`.

use std::path::PathBuf;

use clap::Args;

use super::{ERRORS, FINE, RecipeArgs, compile_recipe, complain, fail, say};
use crate::diag::Sources;
use crate::yaml;

/// Write a recipe as YAML that SparseML loads.
#[derive(Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Write the YAML here instead of printing it
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &ExportArgs) -> i32 {
    let compiled = match compile_recipe(&args.recipe) {
        Ok(compiled) => compiled,
        Err((diagnostics, sources)) => return fail(&diagnostics, &sources),
    };
    complain(&compiled.diagnostics, &compiled.sources);
    let Some(schedule) = &compiled.schedule else { return ERRORS };
    let text = match yaml::export(schedule, compiled.parameters.as_ref()) {
        Ok(text) => text,
        Err(refused) => return fail(&refused, &compiled.sources),
    };
    match &args.out {
        None => say(&text),
        Some(out) => {
            if let Err(diagnostic) = crate::files::write_whole(out, text.as_bytes()) {
                return fail(&[diagnostic], &Sources::new());
            }
        }
    }
    FINE
}
