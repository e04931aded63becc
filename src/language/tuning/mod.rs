//! What a recipe's surgeon is tried with, and how what was best is written back.
//!
//! - [`grid`]: axes of settings, levels of sparsity and criteria as they are given on a command line, read
//!   by the language's own types;
//! - [`sense`]: points of a grid that could never stand in a recipe;
//! - [`write`](mod@write): other settings put into a recipe's text.

pub mod grid;
pub mod sense;
pub mod write;

use crate::language::vocab::{Body, Setting, Type, verb};

/// The settings of `obs`.
fn obs_settings() -> &'static [Setting] {
    let Some(Body::PruneSettings(settings)) = verb("prune").map(|v| v.body) else { return &[] };
    let choices = settings.iter().filter(|s| s.name == "by").find_map(|s| match s.ty {
        Type::Choice(choices) => Some(choices),
        _ => None,
    });
    choices.unwrap_or(&[]).iter().find(|c| c.name == "obs").map_or(&[], |c| c.arguments)
}
