//! `obertc export`.

use std::path::PathBuf;

use clap::Args;

use super::recipe::{RecipeArgs, recipe};
use super::{ERRORS, FINE, print, print_diagnostics};
use crate::api::Error;
use crate::api::recipe::Compiler;
use crate::{files, yaml};

/// Translate a recipe to YAML that SparseML loads.
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

pub fn run(args: &ExportArgs) -> Result<i32, Error> {
    let recipe = recipe(&args.recipe)?;
    let compiled = Compiler::new(&args.recipe_args.options())?.recipe(&recipe)?;
    print_diagnostics(&compiled.diagnostics, &compiled.sources);
    let Some(schedule) = &compiled.schedule else { return Ok(ERRORS) };
    let text = yaml::export(schedule, compiled.parameters.as_ref())
        .map_err(|refused| Error::new(refused, compiled.sources))?;
    match &args.out {
        None => print(&text),
        Some(out) => files::write_whole(out, text.as_bytes())?,
    }
    Ok(FINE)
}
