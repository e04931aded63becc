//! From a recipe and flags to a schedule and the folder of its model, fetched from the hub where it has to be.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::flags;
use super::models::find_model;
use super::recipe::{Compiler, Recipe, RecipeOptions};
use crate::diag::{Diagnostic, Span};
use crate::engine::events::Observer;
use crate::language::Compilation;
use crate::schedule::Schedule;
use crate::schedule::ir::Model;

/// A recipe with the values of its flags.
pub(super) struct Request<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) options: &'a RecipeOptions,
    pub(super) data: Option<&'a Path>,
    pub(super) offline: bool,
    /// Applies the flags to the schedule; returns a diagnostic for each that is missing or has no effect.
    pub(super) apply: &'a dyn Fn(&mut Schedule) -> Vec<Diagnostic>,
}

/// A recipe that can be executed.
pub(super) struct Resolved {
    pub(super) schedule: Schedule,
    pub(super) compiled: Compilation,
    /// The model's folder, if it is not the one that the schedule describes.
    pub(super) model: Option<PathBuf>,
}

/// Compiles a recipe and finds its model. A model is fetched after everything that can be checked without it.
pub(super) fn resolve(request: &Request, observer: &mut dyn Observer) -> Result<Resolved, Error> {
    let mut options = request.options.clone();
    // A model that is still to be fetched has a name and no parameters.
    let given = options.model.clone().filter(|folder| !folder.exists());
    let compiler = if given.is_some() { Compiler::before_model(&options)? } else { Compiler::new(&options)? };
    let (schedule, compiled) = compile(request, &compiler)?;
    let named = match (&options.model, &schedule.model) {
        (None, Model::Named(name)) if !Path::new(name).is_dir() => Some(PathBuf::from(name)),
        _ => None,
    };
    let lacks_data = flags::reads_files(&schedule.data) && !request.data.is_some_and(Path::exists);
    let Some(name) = given.as_ref().or(named.as_ref()).filter(|_| !lacks_data) else {
        observer.warnings(&compiled.diagnostics, &compiled.sources);
        return Ok(Resolved { schedule, compiled, model: options.model.filter(|_| given.is_none()) });
    };
    match find_model(name, request.offline, observer) {
        Err(diagnostic) => {
            let written = given.is_none().then(|| place_of(&name.display().to_string(), &compiled)).flatten();
            let diagnostic = match written {
                Some(place) => diagnostic.at(place, "this model"),
                None => diagnostic,
            };
            Err(Error::new(vec![diagnostic], compiled.sources))
        }
        Ok(folder) => {
            options.model = Some(folder);
            let compiler = Compiler::new(&options)?.called(given.as_deref());
            let (schedule, compiled) = compile(request, &compiler)?;
            observer.warnings(&compiled.diagnostics, &compiled.sources);
            Ok(Resolved { schedule, compiled, model: options.model })
        }
    }
}

/// Where the recipe names a model.
fn place_of(name: &str, compiled: &Compilation) -> Option<Span> {
    let written = format!("\"{name}\"");
    let at = compiled.sources.get(compiled.main).text.find(&written)?;
    Some(Span::new(compiled.main, at..at + written.len()))
}

/// Compiles the recipe and puts the flags into its schedule.
fn compile(request: &Request, compiler: &Compiler) -> Result<(Schedule, Compilation), Error> {
    let mut compiled = compiler.recipe(request.recipe)?;
    let Some(mut schedule) = compiled.schedule.take() else {
        let mut wrong = compiled.diagnostics;
        wrong.extend(missing_besides_the_model(request)?);
        return Err(Error::new(wrong, compiled.sources));
    };
    match (request.apply)(&mut schedule) {
        wrong if wrong.is_empty() => Ok((schedule, compiled)),
        wrong => Err(Error::new(wrong, compiled.sources)),
    }
}

/// What is wrong with the flags of a recipe that only lacks a model: reported together with the missing model.
fn missing_besides_the_model(request: &Request) -> Result<Vec<Diagnostic>, Error> {
    if request.options.model.is_some() {
        return Ok(Vec::new());
    }
    let compiler = Compiler::before_model(request.options)?.called(Some(Path::new("any")));
    let schedule = compiler.recipe(request.recipe)?.schedule;
    Ok(schedule.map_or_else(Vec::new, |mut schedule| (request.apply)(&mut schedule)))
}
