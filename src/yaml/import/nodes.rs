//! Checks that every node of a file is used, or left out with a diagnostic, unless the file is refused.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::reader::{Handling, Node, Value};

/// A value of a YAML file, and how it was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOutcome {
    /// Its bytes in the file.
    pub place: Range<usize>,
    /// How it was handled.
    pub outcome: Outcome,
}

/// How a value of a YAML file was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Read for the imported recipe.
    Used,
    /// Left out, and a diagnostic says so.
    Noted,
    /// Not imported, because the file has errors.
    Refused,
}

/// An entry or item of which nothing was read.
struct Unread<'a> {
    name: &'a Node,
    value: &'a Node,
    /// Whether it belongs to a modifier, as a field does and a variable does not.
    in_modifier: bool,
}

/// Reports every node that was not read: an unused variable, or a field without a counterpart.
pub(super) fn report_unread(root: &Node, findings: &mut Findings) {
    let mut unread = Vec::new();
    walk(root, root, false, &mut unread);
    for Unread { name, value, in_modifier } in unread {
        value.noted();
        let shown = name.text().unwrap_or("this");
        let at = if name.span == value.span { first_place(value) } else { name.span.to(value.place) };
        let diagnostic = if in_modifier {
            Diagnostic::warning(Code::Dropped, format!("`{shown}` has no counterpart here"), at, "left out")
                .help("remove it, or add its meaning to the imported recipe")
        } else {
            Diagnostic::advice(Code::Dropped, format!("nothing uses `{shown}`"), at, "left out")
                .help("no change is needed")
        };
        findings.push(diagnostic);
    }
}

/// Collects the topmost nodes of which nothing was read. Returns whether any part of `node` was read.
fn walk<'a>(node: &'a Node, name: &'a Node, in_modifier: bool, unread: &mut Vec<Unread<'a>>) -> bool {
    let before = unread.len();
    let mut read = node.mark.get() != Handling::Unread;
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for item in items {
                read |= walk(item, item, in_modifier, unread);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let group = entry.key.text().is_some_and(|key| key.contains("modifiers"));
                read |= walk(&entry.value, &entry.key, in_modifier || group, unread);
            }
        }
    }
    if !read {
        unread.truncate(before);
        unread.push(Unread { name, value: node, in_modifier });
    }
    read
}

/// The span of a scalar, or the first byte of a list or mapping.
fn first_place(node: &Node) -> Span {
    match node.value {
        Value::Scalar { .. } => node.place,
        _ => Span { end: node.place.end.min(node.place.start.saturating_add(1)), ..node.place },
    }
}

/// The outcome of every value of the file, in order; an alias is a separate value.
pub(super) fn outcomes(root: &Node, refused: bool) -> Vec<NodeOutcome> {
    let mut all = BTreeMap::new();
    gather(root, &mut all);
    all.into_iter()
        .map(|((start, end), handling)| NodeOutcome {
            place: start as usize..end as usize,
            outcome: match handling {
                _ if refused => Outcome::Refused,
                Handling::Noted => Outcome::Noted,
                Handling::Used | Handling::Unread => Outcome::Used,
            },
        })
        .collect()
}

/// Collects the handling of each node by its place. A list or mapping is used if any part of it is.
fn gather(node: &Node, all: &mut BTreeMap<(u32, u32), Handling>) -> Handling {
    let mut handling = node.mark.get();
    if node.place == node.span {
        match &node.value {
            Value::Scalar { .. } => {}
            Value::List(items) => {
                handling = items.iter().fold(handling, |most, item| most.max(gather(item, all)));
            }
            Value::Map(entries) => {
                handling = entries.iter().fold(handling, |most, entry| most.max(gather(&entry.value, all)));
            }
        }
    }
    let place = all.entry((node.place.start, node.place.end)).or_default();
    *place = (*place).max(handling);
    handling
}
