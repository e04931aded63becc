//! The types that `param` may declare.

use crate::schedule::ir::Update;
use crate::settings::Type;

use super::choices::Patterns;

/// The types that `param` may declare, by name.
pub const PARAMETER_TYPES: &[(&str, Type)] = &[
    ("ratio", Type::Ratio),
    ("rate", Type::Rate),
    ("number", Type::Number),
    ("count", Type::Count),
    ("duration", Type::Duration),
    ("bytes", Type::Bytes),
    ("text", Type::Text),
    ("bool", Type::Bool),
    ("params", Type::Params),
    ("pattern", Type::Choice(Patterns::CHOICES)),
    ("update", Type::Choice(Update::CHOICES)),
    ("sparsity", Type::Sparsity),
    ("names", Type::Names),
    ("model", Type::Model),
    ("data", Type::Data),
];

/// The type with this name.
pub fn parameter_type(name: &str) -> Option<Type> {
    PARAMETER_TYPES.iter().find(|(n, _)| *n == name).map(|(_, ty)| *ty)
}
