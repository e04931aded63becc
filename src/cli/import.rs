//! `obertc import`.

use std::path::PathBuf;

use clap::Args;

use super::recipe::{read, shown};
use super::{ERRORS, FINE, print, print_diagnostics};
use crate::api::Error;
use crate::api::models::local_table;
use crate::api::recipe::overrides;
use crate::diag::Sources;
use crate::params::folder;
use crate::{files, yaml};

/// Translate a SparseML recipe to an .obert recipe.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// The SparseML recipe: .yaml, .yml, or .md with front matter; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the recipe here instead of printing it
    #[arg(long, short, value_name = "RECIPE")]
    out: Option<PathBuf>,
    /// The model to write: a folder or the name of a well-known model [default: bert-base-uncased]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The data to write, such as `squad` or `mnli` [default: guessed from the recipe]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Set a variable of the recipe, as `--set num_epochs=10`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

pub fn run(args: &ImportArgs) -> Result<i32, Error> {
    let mut sources = Sources::new();
    let overrides = match overrides(&args.set, &mut sources) {
        Ok(overrides) => overrides,
        Err(diagnostic) => return Err(Error::new(vec![diagnostic], sources)),
    };
    let text = read(&args.file)?;
    let parameters = match args.model.as_ref().map(PathBuf::from).filter(|m| m.is_dir()) {
        None => None,
        Some(path) => match folder::read(&path, &mut sources) {
            Ok(folder) => Some(folder.table),
            Err(diagnostics) => return Err(Error::new(diagnostics, sources)),
        },
    };
    let options = yaml::Options {
        overrides: &overrides,
        model: args.model.as_deref(),
        data: args.data.as_deref(),
        parameters,
        find_model: Some(&local_table),
    };
    let imported = yaml::import(&shown(&args.file), &text, options);
    print_diagnostics(&imported.compilation.diagnostics, &imported.compilation.sources);
    let Some(recipe) = imported.text else { return Ok(ERRORS) };
    match &args.out {
        None => print(&recipe),
        Some(out) => files::write_whole(out, recipe.as_bytes())?,
    }
    Ok(FINE)
}
