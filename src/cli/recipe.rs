//! Recipes on the command line: `--model`, `--set`, and reading from standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::api::files;
use crate::api::{Recipe, RecipeOptions};
use crate::diag::{Code, Diagnostic};

/// Flags of every command that compiles a recipe.
#[derive(Args, Debug, Clone)]
pub struct RecipeArgs {
    /// The model in place of the recipe's: a Hugging Face folder or a name on the hub; patterns are checked against its
    /// parameters
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Set a parameter of the recipe, as `--set target=97%`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

impl RecipeArgs {
    /// The flags as the library's `RecipeOptions`.
    pub fn options(&self) -> RecipeOptions {
        RecipeOptions { model: self.model.clone(), set: self.set.clone() }
    }
}

/// The name of a file in messages.
pub fn shown(path: &Path) -> String {
    if is_stdin(path) { "<stdin>".to_owned() } else { path.display().to_string() }
}

/// Whether a path means standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// A recipe in a file, or from standard input.
pub fn recipe(path: &Path) -> Result<Recipe, Diagnostic> {
    match is_stdin(path) {
        false => Ok(Recipe::file(path)),
        true => read(path).map(|text| Recipe::text(shown(path), text)),
    }
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
