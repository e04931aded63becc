//! Reads `__metadata__`: the settings that `obertc export` writes there, and the rest as comments.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::reader::{Node, Value};
use crate::yaml::recipe::Collected;

/// The keys that become settings.
const SETTINGS: [&str; 4] = ["model", "data", "per_device_train_batch_size", "seed"];
/// The most lines of comments.
const MAX_LINES: usize = 200;

/// The value of a key.
fn setting<'a>(collected: &'a Collected, key: &str) -> Option<&'a Node> {
    collected.metadata.iter().find_map(|entry| entry.value.get(key)).map(|node| &**node)
}

/// A whole number in the metadata, and where it is written.
pub(super) fn number(collected: &Collected, key: &str) -> Option<(String, Span)> {
    let value = setting(collected, key)?;
    let number = value.text()?.parse::<u32>().ok()?;
    Some((number.to_string(), value.place))
}

/// A text in the metadata, if `fits` holds for all its characters.
pub(super) fn word(collected: &Collected, key: &str, fits: fn(char) -> bool) -> Option<String> {
    let text = setting(collected, key)?.text()?;
    (!text.is_empty() && text.chars().all(fits)).then(|| text.to_owned())
}

/// The metadata as comment lines, without the settings.
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
        if lines.len() > MAX_LINES {
            findings.push(
                Diagnostic::warning(
                    Code::Dropped,
                    format!("the metadata is longer than {MAX_LINES} lines"),
                    entry.key.span,
                    "the lines after these are left out",
                )
                .help("copy the rest into the imported recipe if you need it"),
            );
            lines.truncate(MAX_LINES);
        }
    }
    lines
}

/// The text of a scalar after its key; empty for a list or mapping.
fn inline(node: &Node) -> String {
    node.text().map_or(String::new(), |text| format!(" {}", text.replace(['\n', '\r'], " ")))
}

/// Adds the lines of a list or mapping, indented.
fn below(node: &Node, indent: usize, lines: &mut Vec<String>) {
    let spaces = "  ".repeat(indent);
    let mut line = |head: String, value: &Node| {
        lines.push(format!("# {spaces}{head}{}", inline(value)));
        if lines.len() <= MAX_LINES {
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
