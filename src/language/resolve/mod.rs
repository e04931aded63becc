//! Name resolution.
//!
//! [`modules`] reads the recipe's file and the files it uses; [`names`] has the scopes with their names;
//! [`expand`] finds the recipe and expands its templates. The result is a [`bound`] recipe: every statement
//! with the [scope](names::ScopeId) in which its names are looked up.

mod bound;
mod expand;
mod extension;
mod head;
pub mod modules;
pub mod names;
mod placement;

pub use bound::{Bound, BoundRecipe, BoundStage, StageKind};
pub use extension::Extension;
pub use modules::{Loader, NoFiles};
pub use names::{Names, ScopeId, Symbol};

use crate::diag::{FileId, Findings, Sources};

/// `--set name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The parameter's name.
    pub name: String,
    /// The value, in the language.
    pub value: String,
}

/// Resolves the names of a file in `sources` and expands its recipe, which is `None` unless the file has
/// exactly one that can be expanded.
pub fn resolve(
    main: FileId,
    overrides: &[Override],
    loader: &dyn Loader,
    sources: &mut Sources,
    findings: &mut Findings,
) -> (Names, Option<BoundRecipe>) {
    let modules = modules::load(main, loader, sources, findings);
    let mut names = Names::declare(modules, findings);
    names.apply_overrides(overrides, sources, findings);
    let recipe = expand::expand(&mut names, findings);
    (names, recipe)
}
