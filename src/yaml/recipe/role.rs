//! Classifies the entries of a recipe: groups, stages, metadata, variables, misplaced modifiers.

use crate::yaml::reader::{Entry, Handling, Node, Value};

use super::registry;

/// What an entry of a recipe or of a stage is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    /// `pruning_modifiers: …`
    Group,
    /// A mapping that holds groups.
    Stage,
    /// `stages:`, a mapping of stages.
    Stages,
    Metadata,
    /// Modifiers where SparseML does not read any.
    Misplaced,
    Variable,
}

impl Role {
    /// Classifies an entry by its key and by what it holds.
    pub(super) fn of(entry: &Entry) -> Self {
        let groups = |node: &Node| node.entries().iter().any(|inner| is_group_key(key(inner)));
        match key(entry) {
            "__metadata__" => Role::Metadata,
            name if is_group_key(name) => Role::Group,
            "stages" if matches!(entry.value.value, Value::Map(_)) => Role::Stages,
            _ if groups(&entry.value) => Role::Stage,
            name if is_modifier_name(name) || holds_modifiers(&entry.value) => Role::Misplaced,
            _ => Role::Variable,
        }
    }
}

/// The text of an entry's key; empty if the key is not a scalar.
pub(super) fn key(entry: &Entry) -> &str {
    entry.key.text().unwrap_or("")
}

/// Whether SparseML takes a key for a group of modifiers.
fn is_group_key(key: &str) -> bool {
    key.contains("modifiers")
}

/// Whether a key is the type of a modifier, known or not.
pub(super) fn is_modifier_name(key: &str) -> bool {
    registry::find(key).is_some() || key.len() > "Modifier".len() && key.ends_with("Modifier")
}

/// Whether there are modifiers anywhere in a node: tagged items, or keys that are their types.
fn holds_modifiers(node: &Node) -> bool {
    let tagged = node.tag.as_ref().is_some_and(|t| is_modifier_name(t.name.rsplit('.').next().unwrap_or("")));
    tagged
        || match &node.value {
            Value::Scalar { .. } => false,
            Value::List(items) => items.iter().any(|item| holds_modifiers(item)),
            Value::Map(entries) => {
                entries.iter().any(|e| is_modifier_name(key(e)) || holds_modifiers(&e.value))
            }
        }
}

/// Whether no part of a node was read. An alias elsewhere may have read some of it.
pub(super) fn is_unread(node: &Node) -> bool {
    node.mark.get() == Handling::Unread
        && match &node.value {
            Value::Scalar { .. } => true,
            Value::List(items) => items.iter().all(|item| is_unread(item)),
            Value::Map(entries) => entries.iter().all(|e| is_unread(&e.value)),
        }
}
