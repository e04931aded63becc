//! Compiling recipes, for every entry point.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::{files, models};
use crate::diag::{Code, Diagnostic, Severity, Sources, Span};
use crate::language::{Compilation, Loader, Override, compile};
use crate::params::ParameterTable;
use crate::{language, yaml};

/// A recipe: an `.obert` file, a SparseML recipe in YAML or Markdown, or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recipe {
    /// A file. It is read as a SparseML recipe if it ends in `.yaml`, `.yml` or `.md`.
    File(PathBuf),
    /// A text.
    Text {
        /// The name that diagnostics show. Paths in `use "…"` are relative to it, and its file extension selects the
        /// language, as for [`Recipe::File`].
        name: String,
        /// The text.
        text: String,
    },
}

impl Recipe {
    /// A recipe in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Recipe::File(path.into())
    }

    /// A recipe in memory.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Recipe::Text { name: name.into(), text: text.into() }
    }

    /// The name that diagnostics show.
    pub fn name(&self) -> String {
        match self {
            Recipe::File(path) => path.display().to_string(),
            Recipe::Text { name, .. } => name.clone(),
        }
    }

    pub(crate) fn read(&self) -> Result<String, Diagnostic> {
        match self {
            Recipe::File(path) => files::read_recipe(path),
            Recipe::Text { text, .. } => Ok(text.clone()),
        }
    }
}

/// Options of compilation: the flags `--model` and `--set`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipeOptions {
    /// The model in place of the recipe's: a Hugging Face folder or a name on the hub. Selectors are checked against
    /// its parameters.
    pub model: Option<PathBuf>,
    /// Values of the recipe's parameters, each as `name=value`.
    pub set: Vec<String>,
}

/// Compiles recipes with the same options.
pub(crate) struct Compiler {
    overrides: Vec<Override>,
    /// The value of `--model`.
    model: Option<String>,
    parameters: Option<ParameterTable>,
}

impl Compiler {
    /// Parses the options, and reads the shapes of the model's parameters if a model is given.
    pub(crate) fn new(options: &RecipeOptions) -> Result<Self, Error> {
        let compiler = Compiler::before_model(options)?;
        let Some(path) = &options.model else { return Ok(compiler) };
        let mut sources = Sources::new();
        match models::table(path, &mut sources) {
            Ok(table) => Ok(Compiler { parameters: Some(table), ..compiler }),
            Err(diagnostics) => Err(Error::new(diagnostics, sources)),
        }
    }

    /// The same for a model that is not on this machine yet: its parameters are not known.
    pub(crate) fn before_model(options: &RecipeOptions) -> Result<Self, Error> {
        let mut sources = Sources::new();
        let overrides = match overrides(&options.set, &mut sources) {
            Ok(overrides) => overrides,
            Err(diagnostic) => return Err(Error::new(vec![diagnostic], sources)),
        };
        let model = options.model.as_ref().map(|model| model.display().to_string());
        Ok(Compiler { overrides, model, parameters: None })
    }

    /// A compiler without options.
    pub(crate) fn plain() -> Self {
        Compiler { overrides: Vec::new(), model: None, parameters: None }
    }

    /// Sets the model's name for a recipe without `model`.
    #[cfg(feature = "engine")]
    pub(crate) fn called(mut self, model: Option<&Path>) -> Self {
        self.model = model.map(|model| model.display().to_string()).or(self.model);
        self
    }

    /// A compiler for a custom model with these parameters.
    #[cfg(feature = "engine")]
    pub(crate) fn of_parameters(parameters: ParameterTable) -> Self {
        Compiler { overrides: Vec::new(), model: None, parameters: Some(parameters) }
    }

    /// Compiles a recipe to execute it. Advice is not reported, except by `check`.
    pub(crate) fn recipe(&self, recipe: &Recipe) -> Result<Compilation, Error> {
        let text = recipe.read().map_err(Error::unlocated)?;
        let mut compiled = self.text(&recipe.name(), &text);
        compiled.diagnostics.retain(|d| d.severity != Severity::Advice);
        Ok(compiled)
    }

    /// Compiles a text: a SparseML recipe if its name says so.
    pub(crate) fn text(&self, name: &str, text: &str) -> Compilation {
        self.text_with(name, text, &files::Disk)
    }

    /// The same with another source of the files of `use`.
    pub(crate) fn text_with(&self, name: &str, text: &str, loader: &dyn Loader) -> Compilation {
        if yaml::is_yaml(Path::new(name)) {
            let options = yaml::Options {
                overrides: &self.overrides,
                parameters: self.parameters.clone(),
                find_model: Some(&models::local_table),
                ..Default::default()
            };
            return yaml::compile(name, text, options);
        }
        let options = language::Options {
            overrides: &self.overrides,
            model: self.model.as_deref(),
            parameters: self.parameters.clone(),
            find_model: Some(&models::local_table),
        };
        compile(name, text, loader, options)
    }
}

/// Parses `name=value` of `--set`.
pub(crate) fn overrides(set: &[String], sources: &mut Sources) -> Result<Vec<Override>, Diagnostic> {
    set.iter()
        .map(|given| match given.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Override { name: name.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => {
                let file = sources.add("--set", given.clone());
                Err(Diagnostic::error(
                    Code::BadSetArgument,
                    "`--set` takes name=value",
                    Span::new(file, 0..given.len()),
                    "not of that form",
                )
                .help("as `--set target=97%`"))
            }
        })
        .collect()
}
