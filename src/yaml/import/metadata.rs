//! `__metadata__`: settings that our own export writes there, and comments for the rest.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::reader::{Node, Value};
use crate::yaml::recipe::Collected;

/// What becomes a setting.
const SETTINGS: [&str; 4] = ["model", "data", "per_device_train_batch_size", "seed"];
/// The most lines of comments.
const MOST_LINES: usize = 200;

fn setting<'a>(collected: &'a Collected, key: &str) -> Option<&'a Node> {
    collected.metadata.iter().find_map(|entry| entry.value.get(key)).map(|node| &**node)
}

/// A whole number in the metadata, and where it is written.
pub(super) fn number(collected: &Collected, key: &str) -> Option<(String, Span)> {
    let value = setting(collected, key)?;
    let number = value.text()?.parse::<u32>().ok()?;
    Some((number.to_string(), value.place))
}

/// A text in the metadata of characters that `fits` takes.
pub(super) fn word(collected: &Collected, key: &str, fits: fn(char) -> bool) -> Option<String> {
    let text = setting(collected, key)?.text()?;
    (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
}

/// The metadata as comments, so that nothing is lost.
pub(super) fn comments(collected: &Collected, findings: &mut Findings) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in &collected.metadata {
        entry.value.used();
        let is_setting = |node: &Node| node.text().is_some_and(|key| SETTINGS.contains(&key));
        let entries = entry.value.entries();
        if !entries.is_empty() && entries.iter().all(|e| is_setting(&e.key)) {
            continue;
        }
        lines.push(format!("# __metadata__:{}", inline(&entry.value)));
        below(&entry.value, 1, &mut lines);
        if lines.len() > MOST_LINES {
            findings.push(
                Diagnostic::warning(
                    Code::Dropped,
                    format!("the metadata is longer than {MOST_LINES} lines"),
                    entry.key.span,
                    "the lines after these are left out",
                )
                .help("copy what is needed into the imported recipe"),
            );
            lines.truncate(MOST_LINES);
        }
    }
    lines
}

/// A scalar behind its key; nothing for a list or mapping.
fn inline(node: &Node) -> String {
    node.text().map_or(String::new(), |text| format!(" {}", text.replace(['\n', '\r'], " ")))
}

fn below(node: &Node, indent: usize, lines: &mut Vec<String>) {
    let spaces = "  ".repeat(indent);
    let mut line = |head: String, value: &Node| {
        lines.push(format!("# {spaces}{head}{}", inline(value)));
        if lines.len() <= MOST_LINES {
            below(value, indent + 1, lines);
        }
    };
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => items.iter().for_each(|item| line("-".into(), item)),
        Value::Map(entries) => {
            entries.iter().for_each(|e| line(format!("{}:", e.key.text().unwrap_or("")), &e.value));
        }
    }
}
