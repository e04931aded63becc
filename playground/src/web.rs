//! The functions that the page calls. Each returns JSON.

use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

fn json(value: &impl Serialize) -> String {
    // Plain data of strings and numbers always serializes.
    serde_json::to_string(value).unwrap_or_default()
}

/// Checks a recipe: [`crate::Checked`].
#[wasm_bindgen]
pub fn check(text: &str) -> String {
    json(&crate::check(text))
}

/// Formats a recipe: [`crate::Formatted`].
#[wasm_bindgen]
pub fn format(text: &str) -> String {
    json(&crate::format(text))
}

/// The page of a code or word: a string, or null if nothing is known about it.
#[wasm_bindgen]
pub fn explain(word: &str) -> String {
    json(&crate::explain(word))
}

/// Translates a SparseML recipe: [`crate::Imported`].
#[wasm_bindgen]
pub fn import_yaml(text: &str) -> String {
    json(&crate::import_yaml(text))
}

/// Plans a recipe, or null if it has errors: [`crate::Planned`]. `steps_per_epoch` 0 stands for an unknown number.
#[wasm_bindgen]
pub fn plan(text: &str, steps_per_epoch: u32) -> String {
    json(&crate::plan(text, (steps_per_epoch > 0).then_some(steps_per_epoch.into())))
}
