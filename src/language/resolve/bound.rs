//! A recipe whose templates are taken over: statements with the scopes of their names.

use crate::diag::Span;
use crate::language::syntax::ast::{Entry, Expr, Setting, Word};

use super::extension::Extension;
use super::names::ScopeId;

/// A statement with the scope of its names.
#[derive(Clone, Debug)]
pub struct Bound<T> {
    /// The statement.
    pub node: T,
    /// Where its names are looked up.
    pub scope: ScopeId,
}

/// What kind of stretch this is.
#[derive(Clone, Debug)]
pub enum StageKind {
    /// It is carried on.
    Stage,
    /// It is evaluated only; the expression names the stage it starts from.
    Branch(Option<Expr>),
}

/// A stage, a branch, or a recipe without stages.
#[derive(Clone, Debug)]
pub struct BoundStage {
    /// Its name.
    pub name: Word,
    /// Stage or branch.
    pub kind: StageKind,
    /// What `for` says.
    pub length: Option<Bound<Expr>>,
    /// Its doc comment.
    pub doc: String,
    /// Its `name: value` lines.
    pub settings: Vec<Bound<Setting>>,
    /// Its statements.
    pub entries: Vec<Bound<Entry>>,
    /// The template it takes over.
    pub extends: Option<Extension>,
    /// The head of the statement.
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
    /// Its stages; one of the recipe's own name when it has none.
    pub stages: Vec<BoundStage>,
    /// The template it takes over.
    pub extends: Option<Extension>,
    /// The head of the statement.
    pub head: Span,
}
