//! Rust types of values in statements.

use std::collections::BTreeMap;

use crate::diag::Span;
use crate::language::syntax::ast::Spanned;
use crate::params::Selector;
use crate::schedule::Time;

/// A window of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeRange {
    /// The start.
    pub start: Time,
    /// The end.
    pub end: Time,
}

/// Parameters selected by a statement.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The selector.
    pub selector: Spanned<Selector>,
    /// How many parameters must match.
    pub expect: Option<Spanned<usize>>,
}

/// A choice with the spans of its arguments.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// The choice with its span.
    pub choice: Spanned<T>,
    /// The span of each argument, by its name; that of the choice for a default.
    pub arguments: BTreeMap<&'static str, Span>,
}
