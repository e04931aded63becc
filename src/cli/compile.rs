//! From a recipe's path to its schedule, as `check`, `plan` and `run` do it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::files;
use crate::diag::{Code, Diagnostic, Severity, Sources, Span};
use crate::language::{Compilation, Options, Override, compile};
use crate::params::builtin::{Head, well_known_table};
use crate::params::{ParameterTable, cache, folder};
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
            Some(path) => match given_model(path, &mut sources) {
                Ok(table) => Some(table),
                Err(diagnostics) => return Err((diagnostics, sources)),
            },
        };
        Ok(Compiler { overrides, parameters })
    }

    /// Compiles a file for a command that does something with it. Advice is left to `check`.
    pub fn file(&self, path: &Path) -> Result<Compilation, Failure> {
        let text = read(path).map_err(|d| (vec![d], Sources::new()))?;
        let mut compiled = self.text(&shown(path), &text);
        compiled.diagnostics.retain(|d| d.severity != Severity::Advice);
        Ok(compiled)
    }

    /// Compiles a text: a SparseML recipe if its name says so.
    pub fn text(&self, name: &str, text: &str) -> Compilation {
        if yaml::is_yaml(Path::new(name)) {
            let options = yaml::Options {
                overrides: &self.overrides,
                parameters: self.parameters.clone(),
                find_model: Some(&local_model),
                ..Default::default()
            };
            return yaml::compile(name, text, options);
        }
        let options = Options {
            overrides: &self.overrides,
            parameters: self.parameters.clone(),
            find_model: Some(&local_model),
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

/// The parameters of a model that the recipe itself names, if it is on this machine.
pub fn local_model(name: &str) -> Option<ParameterTable> {
    let (path, sources) = (Path::new(name), &mut Sources::new());
    match path.is_dir() {
        true => folder::read(path, sources).ok().map(|folder| folder.table),
        false => folder::cached(&cache::find(name)?, sources).ok(),
    }
}

/// The parameters of the model that `--model` gives: a folder, a cached model or a well-known one. The
/// network is not used.
fn given_model(path: &Path, sources: &mut Sources) -> Result<ParameterTable, Vec<Diagnostic>> {
    let name = path.to_string_lossy();
    if path.exists() || !cache::is_hub_name(&name) {
        return folder::read(path, sources).map(|folder| folder.table);
    }
    if let Some(folder) = cache::find(&name) {
        return folder::cached(&folder, sources);
    }
    // A model of another task gets the head of the recipe's.
    if let Some(table) = well_known_table(&name, Head::QuestionAnswering) {
        return Ok(table);
    }
    match path.parent() {
        // A path that goes wrong at its end.
        Some(parent) if parent.as_os_str().is_empty() || parent.is_dir() => {
            folder::read(path, sources).map(|folder| folder.table)
        }
        _ => Err(vec![
            Diagnostic::unlocated(
                Code::ModelOffline,
                format!("the model `{name}` is neither a folder nor in the cache"),
            )
            .help("`obertc run` fetches it; `check` and `plan` never use the network"),
        ]),
    }
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
