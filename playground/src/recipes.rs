//! Checking, formatting, explaining, importing and planning of texts.

use obert::internals::diag::{Findings, Sources};
use obert::internals::language::syntax::parse_file;
use obert::internals::language::{self, NoFiles, Options, compile, library};
use obert::internals::{explain as pages, yaml};
use obert::{Recipe, RecipeOptions};
use serde::Serialize;

use crate::findings::{self, Finding};

/// The name of the text.
const NAME: &str = "recipe.obert";

/// The result of [`check`].
#[derive(Debug, Serialize)]
pub struct Checked {
    /// All diagnostics in reading order.
    pub findings: Vec<Finding>,
    /// Whether the text is a recipe without errors, which has a plan.
    pub has_plan: bool,
}

/// The result of [`format()`].
#[derive(Debug, Serialize)]
pub struct Formatted {
    /// The formatted text; `None` if it has syntax errors.
    pub text: Option<String>,
    /// The syntax errors.
    pub findings: Vec<Finding>,
}

/// The result of [`import_yaml`].
#[derive(Debug, Serialize)]
pub struct Imported {
    /// The recipe; `None` if it has errors.
    pub text: Option<String>,
    /// Diagnostics with places in the YAML.
    pub findings: Vec<Finding>,
}

/// The result of [`plan`].
#[derive(Debug, Serialize)]
pub struct Planned {
    /// The plan as in `docs/plan-format.md`.
    pub json: serde_json::Value,
    /// Sparsity and learning rate over time, as SVG.
    pub svg: String,
    /// The tables of stages and events.
    pub table: String,
}

/// The code units of a byte order mark, which the compiler leaves out.
fn mark(text: &str) -> usize {
    usize::from(text.starts_with('\u{feff}'))
}

/// Checks a recipe, or a file of definitions that other recipes use.
pub fn check(text: &str) -> Checked {
    let mut compiled = compile(NAME, text, &NoFiles, Options::default());
    if compiled.places.is_none()
        && let Some(parts) = library::parts(text)
    {
        compiled = library::check(NAME, text, &parts, &NoFiles);
    }
    let place = findings::Checked { main: compiled.main, sources: &compiled.sources, before: mark(text) };
    Checked { findings: place.findings(&compiled.diagnostics), has_plan: compiled.schedule.is_some() }
}

/// Formats a text.
pub fn format(text: &str) -> Formatted {
    let before = mark(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut sources, mut errors) = (Sources::new(), Findings::new());
    let main = sources.add(NAME, text);
    let parsed = parse_file(main, text, &mut errors);
    let formatted = (!errors.has_errors()).then(|| language::format(text, &parsed));
    let place = findings::Checked { main, sources: &sources, before };
    Formatted { text: formatted, findings: place.findings(&errors.into_sorted()) }
}

/// The page of a code, a verb, a setting or a value, as plain text.
pub fn explain(word: &str) -> Option<String> {
    pages::explain(word, false).ok()
}

/// Translates a SparseML recipe.
pub fn import_yaml(text: &str) -> Imported {
    let imported = yaml::import("recipe.yaml", text, yaml::Options::default());
    let compiled = &imported.compilation;
    let place = findings::Checked { main: compiled.main, sources: &compiled.sources, before: mark(text) };
    Imported { findings: place.findings(&compiled.diagnostics), text: imported.text }
}

/// Plans a recipe; `None` if it has errors.
pub fn plan(text: &str, steps_per_epoch: Option<u64>) -> Option<Planned> {
    let recipe = Recipe::text(NAME, text);
    let plan = obert::plan(&recipe, &RecipeOptions::default(), steps_per_epoch).ok()?;
    Some(Planned { json: plan.json(), svg: plan.svg(), table: plan.table(false) })
}
