//! Checking a recipe without running it.

use super::error::Error;
use super::files::Disk;
use super::recipe::{Compiler, Recipe, RecipeOptions};
use crate::diag::{Diagnostic, Sources};
use crate::language::library::{self, Parts};
use crate::language::{Compilation, Loader};
use crate::schedule::Schedule;
use crate::yaml;

/// The diagnostics of a recipe, and its schedule.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Errors, warnings and advice, in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts into which they point.
    pub sources: Sources,
    /// The schedule; `None` if the recipe has errors, or the file only defines parts that other recipes `use`.
    pub schedule: Option<Schedule>,
    /// The definitions of a file that other recipes `use`.
    pub(crate) parts: Option<Parts>,
}

impl CheckReport {
    /// The report of a recipe that cannot be read.
    pub(crate) fn failed(diagnostic: Diagnostic) -> Self {
        let (diagnostics, sources) = (vec![diagnostic], Sources::new());
        CheckReport { diagnostics, sources, schedule: None, parts: None }
    }

    /// Whether the recipe has errors and cannot be run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// All diagnostics with their source lines and help, for a terminal; with ANSI colours if `color`.
    pub fn render(&self, color: bool) -> String {
        crate::diag::render::full::render_all(&self.diagnostics, &self.sources, color)
    }
}

/// Compiles a recipe without running it and returns all diagnostics.
///
/// # Errors
/// A recipe that cannot be read, or wrong options. Mistakes in the recipe are in the report.
pub fn check(recipe: &Recipe, options: &RecipeOptions) -> Result<CheckReport, Error> {
    let text = recipe.read().map_err(Error::unlocated)?;
    Ok(check_text(&Compiler::new(options)?, &recipe.name(), &text))
}

/// Checks a text. The compiler can be used for several.
pub(crate) fn check_text(compiler: &Compiler, name: &str, text: &str) -> CheckReport {
    let (compiled, parts) = compile_whole(compiler, name, text, &Disk);
    let Compilation { diagnostics, sources, schedule, .. } = compiled;
    CheckReport { diagnostics, sources, schedule, parts }
}

/// Compiles a recipe, or a file of definitions with trial recipes. `loader` reads the files of `use`.
pub(crate) fn compile_whole(
    compiler: &Compiler,
    name: &str,
    text: &str,
    loader: &dyn Loader,
) -> (Compilation, Option<Parts>) {
    let mut compiled = compiler.text_with(name, text, loader);
    let text = compiled.sources.get(compiled.main).text.clone();
    // A text that compiled to a recipe is no file of definitions.
    let is_recipe = compiled.places.is_some() || yaml::is_yaml(name.as_ref());
    let parts = if is_recipe { None } else { library::parts(&text) };
    if let Some(parts) = &parts {
        compiled = library::check(name, &text, parts, loader);
    }
    (compiled, parts)
}
