//! What the recipe means, and whether it can be meant.
//!
//! - [`value`]: expressions evaluated to typed values, names and parameters included;
//! - [`fields`]: a statement's operands, clauses and settings read against the vocabulary;
//! - [`recipe`]: the typed [`recipe::Recipe`];
//! - [`build`]: from the bound recipe to the typed one;
//! - [`time`]: windows and learning rates within their stages;
//! - [`method`]: what pruning, holding and distilling ask of each other;
//! - [`targets`]: selectors against the model's parameters.

mod build;
mod fields;
mod method;
pub mod recipe;
mod targets;
mod time;
mod value;

pub use recipe::Recipe;

use crate::diag::{Code, Diagnostic, Findings, Sources};
use crate::params::ParameterTable;

use super::resolve::{BoundRecipe, Names};

/// Types the recipe and checks what does not depend on a model.
pub fn check(
    names: &mut Names,
    recipe: &BoundRecipe,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Recipe> {
    let typed = build::recipe(names, recipe, sources, findings)?;
    time::check(&typed, findings);
    method::check(&typed, findings);
    for (name, span) in names.unused() {
        findings.push(
            Diagnostic::warning(Code::UnusedName, format!("`{name}` is never used"), span, "declared here")
                .help("remove it, or use it"),
        );
    }
    Some(typed)
}

/// Checks every selector against the parameters of the model.
pub fn check_targets(recipe: &Recipe, table: &ParameterTable, findings: &mut Findings) {
    targets::check(recipe, table, findings);
}
