//! Checks of the methods of a stage: [`prune`], [`quantize`], [`training`] (with distillation, data and
//! metrics), and [`lints`] about recipes that run but could be better.

mod lints;
mod prune;
mod quantize;
mod training;

use crate::diag::{Code, Diagnostic, Findings, Sources};
use crate::schedule::ir::Model;

use super::recipe::{Recipe, Stage};
pub use lints::across_stages;

/// Checks the model's shape, the data and the expected metrics.
pub fn check_recipe(recipe: &Recipe, findings: &mut Findings) {
    if let Model::NewBert(shape) = &recipe.model.value {
        // The size of the vocabulary comes from the data.
        let shape = crate::params::BertShape { vocab: 1, ..*shape };
        if let Some(why) = shape.impossible() {
            findings.push(
                Diagnostic::error(Code::OutOfRange, "no BERT can have this shape", recipe.model.span, why)
                    .help("as `bert(layers: 2, hidden: 128, heads: 4)`"),
            );
        }
    }
    training::data(recipe, findings);
    training::expectations(recipe, findings);
}

/// Checks one stage.
pub fn check_stage(recipe: &Recipe, stage: &Stage, sources: &Sources, findings: &mut Findings) {
    prune::check(stage, sources, findings);
    quantize::check(stage, sources, findings);
    training::check(recipe, stage, sources, findings);
    lints::check(stage, sources, findings);
}
