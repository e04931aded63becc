//! What the methods of a stage ask of their settings and of each other: [`prune`], [`quantize`],
//! [`learn`] (distillation, training, metrics), and [`lints`] about what runs and could be better.

mod learn;
mod lints;
mod prune;
mod quantize;

use crate::diag::{Code, Diagnostic, Findings, Sources};
use crate::schedule::ir::Model;

use super::recipe::{Recipe, Stage};
pub use lints::across_stages;

/// Checks what belongs to the recipe as a whole.
pub fn check_recipe(recipe: &Recipe, findings: &mut Findings) {
    if let Model::NewBert(shape) = &recipe.model.value {
        // The vocabulary is known only with the data.
        let shape = crate::params::BertShape { vocab: 1, ..*shape };
        if let Some(why) = shape.impossible() {
            findings.push(
                Diagnostic::error(Code::OutOfRange, "no BERT can have this shape", recipe.model.span, why)
                    .help("as `bert(layers: 2, hidden: 128, heads: 4)`"),
            );
        }
    }
    learn::data(recipe, findings);
    learn::expectations(recipe, findings);
}

/// Checks one stage.
pub fn check_stage(recipe: &Recipe, stage: &Stage, sources: &Sources, findings: &mut Findings) {
    prune::check(stage, sources, findings);
    quantize::check(stage, sources, findings);
    learn::check(recipe, stage, sources, findings);
    lints::check(stage, sources, findings);
}
