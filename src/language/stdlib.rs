//! The standard library: recipes' shared parts, written in the language and built in.

/// Every module with its text.
pub const MODULES: &[(&str, &str)] = &[
    ("std.bert", include_str!("../../stdlib_recipes/std/bert.obert")),
    ("std.obert", include_str!("../../stdlib_recipes/std/obert.obert")),
];

/// The text of a module such as `std.bert`.
pub fn module(name: &str) -> Option<&'static str> {
    MODULES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
