//! Running a recipe.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::{Error, RunError};
use super::execute::{Start, execute};
use super::flags::{self, data_of_a_program};
use super::memory_check;
use super::models::find_model;
use super::recipe::Compiler;
use super::run_config::RunConfig;
use super::run_report::RunReport;
use crate::diag::{Severity, Span};
use crate::engine::events::Observer;
use crate::language::Compilation;
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Model};
use crate::task::classification::Classification;
use crate::task::masked_language::MaskedLanguage;
use crate::task::question_answering::QuestionAnswering;

/// Runs a recipe: compiles it, reads model and data, trains, prunes, quantizes and evaluates as it says, and writes
/// the model with its log and its report into a folder.
///
/// The observer receives events as they happen, progress, notes and warnings, and may stop the run.
///
/// # Errors
/// A recipe with errors, a model or data that cannot be read or do not fit, a folder that cannot be written, and
/// whatever stops the training.
pub fn run(config: &RunConfig, observer: &mut (impl Observer + Send)) -> Result<RunReport, RunError> {
    let begin = Instant::now();
    let (schedule, compiled, model) = resolve(config, observer)?;
    let recipe = compiled.sources.get(compiled.main).text.clone();
    let mut sources = compiled.sources;
    if config.device == "cpu"
        && let Some(shortage) = memory_check::check(&schedule, compiled.parameters.as_ref(), model.as_deref())
    {
        if shortage.severity == Severity::Error {
            return Err(Error::new(vec![shortage], sources));
        }
        observer.warnings(&[shortage], &sources);
    }
    let start = Start { config, begin, schedule, recipe, model };
    let done = match &start.schedule.data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
            execute::<QuestionAnswering>(&start, &mut sources, observer)
        }
        Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
            execute::<Classification>(&start, &mut sources, observer)
        }
        Data::MaskedText { .. } => execute::<MaskedLanguage>(&start, &mut sources, observer),
        Data::Own => Err(data_of_a_program().into()),
    };
    done.map_err(|refused| Error::new(refused.diagnostics, sources).with_details(refused.details))
}

/// The schedule with the flags in it, and the folder of its model. A model is fetched after everything that can be
/// checked without it.
fn resolve(
    config: &RunConfig,
    observer: &mut dyn Observer,
) -> Result<(Schedule, Compilation, Option<PathBuf>), Error> {
    let mut options = config.options.clone();
    // A model that is still to be fetched has a name and no parameters.
    let given = options.model.clone().filter(|folder| !folder.exists());
    let compiler = if given.is_some() { Compiler::before_model(&options)? } else { Compiler::new(&options)? };
    let (schedule, compiled) = compiled(config, &compiler)?;
    let named = match (&options.model, &schedule.model) {
        (None, Model::Named(name)) if !Path::new(name).is_dir() => Some(PathBuf::from(name)),
        _ => None,
    };
    let lacks_data =
        flags::reads_files(&schedule.data) && !config.data.as_deref().is_some_and(|d| d.exists());
    let Some(name) = given.as_ref().or(named.as_ref()).filter(|_| !lacks_data) else {
        observer.warnings(&compiled.diagnostics, &compiled.sources);
        let model = options.model.filter(|_| given.is_none());
        return Ok((schedule, compiled, model));
    };
    match find_model(name, config.offline, observer) {
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
            let (schedule, compiled) =
                self::compiled(config, &Compiler::new(&options)?.called(given.as_deref()))?;
            observer.warnings(&compiled.diagnostics, &compiled.sources);
            Ok((schedule, compiled, options.model))
        }
    }
}

/// Where the recipe names a model.
fn place_of(name: &str, compiled: &Compilation) -> Option<Span> {
    let written = format!("\"{name}\"");
    let at = compiled.sources.get(compiled.main).text.find(&written)?;
    Some(Span::new(compiled.main, at..at + written.len()))
}

/// Compiles the recipe and puts the flags in its schedule.
fn compiled(config: &RunConfig, compiler: &Compiler) -> Result<(Schedule, Compilation), Error> {
    let mut compiled = compiler.recipe(&config.recipe)?;
    let Some(mut schedule) = compiled.schedule.take() else {
        return Err(Error::new(compiled.diagnostics, compiled.sources));
    };
    match flags::apply(config, &mut schedule) {
        wrong if wrong.is_empty() => Ok((schedule, compiled)),
        wrong => Err(Error::new(wrong, compiled.sources)),
    }
}
