//! The types that `param` may declare.

use super::types::Type;
use super::verbs::{PATTERNS, UPDATES};

/// The types that `param` may declare, by name.
pub const DECLARED: &[(&str, Type)] = &[
    ("ratio", Type::Ratio),
    ("rate", Type::Rate),
    ("number", Type::Number),
    ("count", Type::Count),
    ("duration", Type::Duration),
    ("bytes", Type::Bytes),
    ("text", Type::Text),
    ("bool", Type::Bool),
    ("params", Type::Params),
    ("pattern", Type::Choice(PATTERNS)),
    ("update", Type::Choice(UPDATES)),
    ("sparsity", Type::Sparsity),
    ("names", Type::Names),
    ("model", Type::Model),
    ("data", Type::Data),
];

/// The type of a name that `param` may declare.
pub fn declared(name: &str) -> Option<Type> {
    DECLARED.iter().find(|(n, _)| *n == name).map(|(_, ty)| *ty)
}
