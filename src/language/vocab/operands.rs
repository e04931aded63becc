//! Rust types of values that stand in statements.

use std::collections::BTreeMap;

use crate::diag::Span;
use crate::language::syntax::ast::Spanned;
use crate::params::Selector;
use crate::schedule::Time;

/// Two instants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instants {
    /// The first.
    pub start: Time,
    /// The last.
    pub end: Time,
}

/// Parameters selected by a statement.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Which.
    pub selector: Spanned<Selector>,
    /// How many there must be.
    pub expect: Option<Spanned<usize>>,
}

/// A choice with the places of its arguments.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The choice, and where it is written.
    pub choice: Spanned<T>,
    /// Where each argument is written, by its name; a default has the place of the choice.
    pub arguments: BTreeMap<&'static str, Span>,
}
