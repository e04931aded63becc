//! The recipe after expansion of its templates: statements with the scopes of their names.

use crate::diag::Span;
use crate::language::syntax::ast::{Entry, Expr, Setting, Word};

use super::extension::Extension;
use super::names::ScopeId;

/// A statement with the scope of its names.
#[derive(Clone, Debug)]
pub struct Bound<T> {
    /// The statement.
    pub node: T,
    /// The scope in which its names are looked up.
    pub scope: ScopeId,
}

/// Stage or branch.
#[derive(Clone, Debug)]
pub enum StageKind {
    /// A stage, from whose result the next one starts.
    Stage,
    /// A branch, with the expression after `from`.
    Branch(Option<Expr>),
}

/// A stage, a branch, or a recipe without stages.
#[derive(Clone, Debug)]
pub struct BoundStage {
    /// Its name.
    pub name: Word,
    /// Stage or branch.
    pub kind: StageKind,
    /// The value of `for`.
    pub length: Option<Bound<Expr>>,
    /// Its doc comment.
    pub doc: String,
    /// Its `name: value` lines.
    pub settings: Vec<Bound<Setting>>,
    /// Its statements.
    pub entries: Vec<Bound<Entry>>,
    /// The template that it extends.
    pub extends: Option<Extension>,
    /// The statement without its block.
    pub head: Span,
}

/// The recipe of a file.
#[derive(Clone, Debug)]
pub struct BoundRecipe {
    /// Its name.
    pub name: Word,
    /// Its doc comment.
    pub doc: String,
    /// The settings that its stages share.
    pub settings: Vec<Bound<Setting>>,
    /// Statements outside its stages, such as `train` and `expect`.
    pub entries: Vec<Bound<Entry>>,
    /// The stages and branches; a single stage with the recipe's name if it declares none.
    pub stages: Vec<BoundStage>,
    /// The template that it extends.
    pub extends: Option<Extension>,
    /// The statement without its block.
    pub head: Span,
}
