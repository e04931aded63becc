//! The account of a file's nodes: each is used, or a finding says that it is left out, or the file is
//! refused.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::reader::{Handling, Node, Value};

/// A value of a YAML file, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeOutcome {
    /// Its bytes in the file.
    pub place: Range<usize>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a value of a YAML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was read for the imported recipe.
    Used,
    /// It is left out, and a finding says so.
    Noted,
    /// There is no recipe: the file is refused with an error.
    Refused,
}

/// An entry or item of which nothing was read.
struct Left<'a> {
    name: &'a Node,
    value: &'a Node,
    /// Whether it belongs to a modifier; a variable does not.
    in_modifier: bool,
}

/// Reports what was not read: an unused variable, or a field that the import passed over.
pub(super) fn report_unread(root: &Node, findings: &mut Findings) {
    let mut left = Vec::new();
    walk(root, root, false, &mut left);
    for Left { name, value, in_modifier } in left {
        value.noted();
        let shown = name.text().unwrap_or("this");
        let at = if name.span == value.span { first_place(value) } else { name.span.to(value.place) };
        let diagnostic = if in_modifier {
            Diagnostic::warning(Code::Dropped, format!("`{shown}` has no counterpart here"), at, "left out")
                .help("remove it, or add what it means to the imported recipe")
        } else {
            Diagnostic::advice(Code::Dropped, format!("nothing uses `{shown}`"), at, "left out")
                .help("nothing needs to be done")
        };
        findings.push(diagnostic);
    }
}

/// Collects the topmost nodes of which nothing was read. Returns whether anything of `node` was.
fn walk<'a>(node: &'a Node, name: &'a Node, in_modifier: bool, left: &mut Vec<Left<'a>>) -> bool {
    let before = left.len();
    let mut read = node.mark.get() != Handling::Unread;
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for item in items {
                read |= walk(item, item, in_modifier, left);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let group = entry.key.text().is_some_and(|key| key.contains("modifiers"));
                read |= walk(&entry.value, &entry.key, in_modifier || group, left);
            }
        }
    }
    if !read {
        left.truncate(before);
        left.push(Left { name, value: node, in_modifier });
    }
    read
}

fn first_place(node: &Node) -> Span {
    match node.value {
        Value::Scalar { .. } => node.place,
        _ => Span { end: node.place.end.min(node.place.start.saturating_add(1)), ..node.place },
    }
}

/// Every value of the file once, in order; an alias is a value of its own.
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

/// Gathers the handling of each node by its place. A list or mapping counts as used with any part of it.
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
