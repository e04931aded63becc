//! The checker: types a resolved recipe and reports its mistakes.
//!
//! - [`value`]: evaluation of expressions to typed values;
//! - [`fields`]: a statement's operand, clauses and settings, read against the vocabulary;
//! - [`recipe`]: the typed [`recipe::Recipe`];
//! - [`build`]: from the bound recipe to the typed one;
//! - [`fixes`]: edits of the recipe's text that resolve a diagnostic;
//! - [`time`]: windows and learning rates within their stages;
//! - [`method`]: requirements of pruning, quantization, distillation and training, and lints;
//! - [`targets`]: selectors against the model's parameters, with [`selector_suggestions`].

mod build;
mod fields;
mod fixes;
mod method;
pub mod recipe;
mod selector_suggestions;
mod targets;
mod time;
pub(in crate::language) mod value;

pub use recipe::Recipe;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span};
use crate::params::ParameterTable;

use super::resolve::{BoundRecipe, Names};

/// Types the recipe and checks everything that does not depend on the model's parameters. `model` is used if
/// the recipe has none.
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
        stage.relocate(&mut found, 0, sources);
        found.allow(&stage.allow);
        own.extend(found);
    }
    let known = own.iter().count();
    method::check_recipe(&typed, &mut own);
    // What seems to be missing may be in a part that could not be read.
    if typed.complete {
        method::across_stages(&typed, sources, &mut own);
        unused(names, &mut own);
        edition(names, &mut own);
    }
    for stage in &typed.stages {
        stage.relocate(&mut own, known, sources);
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

/// Advises that the selectors were not checked because the model's parameters are unknown.
pub fn report_unknown_model(recipe: &Recipe, findings: &mut Findings) {
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
            "the selectors were not checked: the model is unknown",
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
