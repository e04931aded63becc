//! Finding every mistake in a recipe.

use super::error::Error;
use super::files::Disk;
use super::recipe::{Compiler, Recipe, RecipeOptions};
use crate::diag::{Diagnostic, Sources};
use crate::language::Compilation;
use crate::language::library::{self, Parts};
use crate::schedule::Schedule;
use crate::yaml;

/// What was found in a recipe.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Errors, warnings and advice, in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts into which they point.
    pub sources: Sources,
    /// What the recipe does and when; `None` if it has errors, or is a file of parts for other recipes.
    pub schedule: Option<Schedule>,
    /// What the file holds for other recipes to `use`.
    pub(crate) parts: Option<Parts>,
}

impl CheckReport {
    /// A recipe that cannot be read at all.
    pub(crate) fn failed(diagnostic: Diagnostic) -> Self {
        let (diagnostics, sources) = (vec![diagnostic], Sources::new());
        CheckReport { diagnostics, sources, schedule: None, parts: None }
    }

    /// Whether the recipe has an error: it cannot be run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// All diagnostics with their source lines and help, for a terminal; with ANSI colours if `color`.
    pub fn render(&self, color: bool) -> String {
        crate::diag::render::full::render_all(&self.diagnostics, &self.sources, color)
    }
}

/// Compiles a recipe without running it and returns everything that was found.
///
/// # Errors
/// A recipe that cannot be read, or options that are wrong themselves. Mistakes in the recipe are in the report.
pub fn check(recipe: &Recipe, options: &RecipeOptions) -> Result<CheckReport, Error> {
    let text = recipe.read().map_err(Error::unlocated)?;
    Ok(check_text(&Compiler::new(options)?, &recipe.name(), &text))
}

/// Checks one text; a compiler serves many.
pub(crate) fn check_text(compiler: &Compiler, name: &str, text: &str) -> CheckReport {
    let mut compiled = compiler.text(name, text);
    let text = compiled.sources.get(compiled.main).text.clone();
    // What compiled to a recipe is not read again to see whether it is something else.
    let is_recipe = compiled.places.is_some() || yaml::is_yaml(name.as_ref());
    let parts = if is_recipe { None } else { library::parts(&text) };
    if let Some(parts) = &parts {
        compiled = library::check(name, &text, parts, &Disk);
    }
    let Compilation { diagnostics, sources, schedule, .. } = compiled;
    CheckReport { diagnostics, sources, schedule, parts }
}
