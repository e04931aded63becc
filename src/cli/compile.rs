//! From a recipe's path to its schedule, as `check`, `plan` and `run` do it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{files, model};
use crate::diag::{Code, Diagnostic, Severity, Sources, Span};
use crate::language::{Compilation, Options, Override, compile};
use crate::params::ParameterTable;
use crate::yaml;

/// What is wrong before there is anything to compile.
pub type Failure = (Vec<Diagnostic>, Sources);

/// The flags that decide what a recipe means.
#[derive(Args, Debug, Clone)]
pub struct RecipeArgs {
    /// Check against this Hugging Face model folder, and use it in place of the recipe's model; or the
    /// name of a model on the hub
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Give a parameter of the recipe a value, as `--set target=97%`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// Compiles recipes under the same flags.
pub struct Compiler {
    overrides: Vec<Override>,
    parameters: Option<ParameterTable>,
}

impl Compiler {
    /// Reads the flags, and the shapes of the model folder if there is one.
    pub fn new(meaning: &RecipeArgs) -> Result<Self, Failure> {
        let mut sources = Sources::new();
        let overrides = match overrides(&meaning.set, &mut sources) {
            Ok(overrides) => overrides,
            Err(diagnostic) => return Err((vec![diagnostic], sources)),
        };
        let parameters = match &meaning.model {
            None => None,
            Some(path) => match model::table(path, &mut sources) {
                Ok(table) => Some(table),
                Err(diagnostics) => return Err((diagnostics, sources)),
            },
        };
        Ok(Compiler { overrides, parameters })
    }

    /// Compiles a file for a command that does something with it. Advice is left to `check`.
    pub fn file(&self, path: &Path) -> Result<Compilation, Failure> {
        let text = read(path).map_err(|d| (vec![d], Sources::new()))?;
        Ok(self.for_command(&shown(path), &text))
    }

    /// The same of a text that was read before: standard input can be read only once.
    pub fn for_command(&self, name: &str, text: &str) -> Compilation {
        let mut compiled = self.text(name, text);
        compiled.diagnostics.retain(|d| d.severity != Severity::Advice);
        compiled
    }

    /// Compiles a text: a SparseML recipe if its name says so.
    pub fn text(&self, name: &str, text: &str) -> Compilation {
        if yaml::is_yaml(Path::new(name)) {
            let options = yaml::Options {
                overrides: &self.overrides,
                parameters: self.parameters.clone(),
                find_model: Some(&model::local_table),
                ..Default::default()
            };
            return yaml::compile(name, text, options);
        }
        let options = Options {
            overrides: &self.overrides,
            parameters: self.parameters.clone(),
            find_model: Some(&model::local_table),
        };
        compile(name, text, &files::Disk, options)
    }
}

/// The name under which a file is shown.
pub fn shown(path: &Path) -> String {
    if is_stdin(path) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// Whether a path means standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads a recipe from a file or from standard input.
pub fn read(path: &Path) -> Result<String, Diagnostic> {
    if !is_stdin(path) {
        return files::read_recipe(path);
    }
    let mut bytes = Vec::new();
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::RecipeNotText, format!("cannot read standard input: {why}"))
            .help("pass a recipe as UTF-8 text")
    };
    std::io::stdin().read_to_end(&mut bytes).map_err(|e| unreadable(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))
}

/// Splits `name=value`.
pub fn overrides(set: &[String], sources: &mut Sources) -> Result<Vec<Override>, Diagnostic> {
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
