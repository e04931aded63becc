//! `obertc export`.

use std::path::PathBuf;

use clap::Args;

use super::compile::{Compiler, Meaning};
use super::{ERRORS, FINE, complain, fail, say};
use crate::diag::Sources;
use crate::yaml;

/// Write a recipe as YAML that SparseML loads.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The recipe; `-` reads it from standard input
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    #[command(flatten)]
    meaning: Meaning,
    /// Write the YAML here instead of printing it
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(args: &ExportArgs) -> i32 {
    let compiled = match Compiler::new(&args.meaning).and_then(|compiler| compiler.file(&args.recipe)) {
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
