//! What the recipe means, and whether it can be meant.
//!
//! - [`value`]: expressions evaluated to typed values, names and parameters included;
//! - [`fields`]: a statement's operands, clauses and settings read against the vocabulary;
//! - [`recipe`]: the typed [`recipe::Recipe`];
//! - [`build`]: from the bound recipe to the typed one;
//! - [`fixes`]: replacements that mend what was found;
//! - [`time`]: windows and learning rates within their stages;
//! - [`method`]: what pruning, quantization and training ask of each other, and lints;
//! - [`targets`]: selectors against the model's parameters, told by their [`names`].

mod build;
mod fields;
mod fixes;
mod method;
mod names;
pub mod recipe;
mod targets;
mod time;
pub(in crate::language) mod value;

pub use recipe::Recipe;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span};
use crate::params::ParameterTable;

use super::resolve::{BoundRecipe, Names};

/// Types the recipe and checks what does not depend on a model's parameters. A recipe that leaves its model out
/// begins with `model`.
pub fn check(
    names: &mut Names,
    recipe: &BoundRecipe,
    model: Option<&str>,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<Recipe> {
    let typed = build::recipe(names, recipe, model, sources, findings)?;
    let mut own = Findings::new();
    for stage in &typed.stages {
        let mut found = Findings::new();
        time::check(stage, sources, &mut found);
        method::check_stage(&typed, stage, sources, &mut found);
        stage.tell_at_user(&mut found, 0, sources);
        found.allow(&stage.allow);
        own.extend(found);
    }
    let known = own.iter().count();
    method::check_recipe(&typed, &mut own);
    // What is missing where something could not be read may stand just there.
    if typed.complete {
        method::across_stages(&typed, sources, &mut own);
        unused(names, &mut own);
        edition(names, &mut own);
    }
    for stage in &typed.stages {
        stage.tell_at_user(&mut own, known, sources);
    }
    own.allow(&typed.allow);
    findings.extend(own);
    Some(typed)
}

/// Checks every selector against the parameters of the model.
pub fn check_targets(recipe: &Recipe, table: &ParameterTable, sources: &Sources, findings: &mut Findings) {
    let mut own = Findings::new();
    targets::check(recipe, table, sources, &mut own);
    own.allow(&recipe.allow);
    findings.extend(own);
}

/// Says that the selectors were not checked, where the recipe has any.
pub fn not_at_hand(recipe: &Recipe, findings: &mut Findings) {
    let selects = recipe
        .stages
        .iter()
        .any(|s| !(s.prune.is_empty() && s.hold.is_empty() && s.freeze.is_empty() && s.quantize.is_empty()));
    if !selects {
        return;
    }
    let mut own = Findings::new();
    own.push(
        Diagnostic::advice(
            Code::ModelNotAtHand,
            "the selectors were not checked: the model is not at hand",
            recipe.model.span,
            "neither a folder on this machine nor a well-known model",
        )
        .help("give its folder with `--model DIR`"),
    );
    own.allow(&recipe.allow);
    findings.extend(own);
}

fn unused(names: &Names, findings: &mut Findings) {
    let warning = |message: String, span, help: &str| {
        Diagnostic::warning(Code::UnusedName, message, span, "not used").help(help)
    };
    for (name, span) in names.unused() {
        findings.push(warning(format!("`{name}` is never used"), span, "remove it, or use it"));
    }
    for (module, span) in names.unused_modules() {
        findings.push(warning(format!("nothing of `{module}` is used"), span, "remove it"));
    }
}

fn edition(names: &Names, findings: &mut Findings) {
    let module = names.main_module();
    if !module.has_edition() {
        let start = Span::new(module.id, 0..0);
        findings.push(
            Diagnostic::advice(Code::NoEdition, "this file names no edition", start, "the file")
                .help("begin it with `edition 2026`, so that later compilers read it as it was meant")
                .fix(start, "edition 2026\n\n"),
        );
    }
}
