//! Who is meant by a name.
//!
//! [`modules`] reads the recipe's file and all that it uses; [`names`] knows what each name stands
//! for and where; [`expand`] finds the recipe and takes over what its templates say. The result is
//! a [`bound`] recipe: every statement with the [`Scope`](names::ScopeId) in which its names are looked up.

mod bound;
mod expand;
mod extension;
mod head;
pub mod modules;
pub mod names;
mod placed;

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

/// Resolves the recipe of a file that was added to `sources`.
///
/// Returns what could be resolved: names are always usable; the recipe is `None` when there is
/// no single one.
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
