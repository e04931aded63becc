//! Joins equal diagnostics, and removes those that follow from others.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Severity};

/// The most diagnostics that are listed.
const MAX_FINDINGS: usize = 100;
/// Up to this number, equal warnings are listed separately, because each place has to be changed.
const FEW: usize = 3;

/// Removes assumptions and notes from a list with errors, and limits its length.
pub(super) fn without_consequences(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let failed = list.iter().any(Diagnostic::is_error);
    // Without groups or keys, the notes about the rest do not apply.
    let unreadable =
        |d: &Diagnostic| d.is_error() && (Code::YamlMalformed..=Code::UnknownModifier).contains(&d.code);
    let unreadable = list.iter().any(unreadable);
    list.retain(|d| !failed || d.is_error() || !unreadable && d.code != Code::Assumed);
    if list.len() > MAX_FINDINGS {
        list.truncate(MAX_FINDINGS);
        if let Some(last) = list.last_mut() {
            last.message = format!("{}; further findings are not shown", last.message);
        }
    }
    list
}

/// Keeps the first of equal diagnostics and adds the number of the others. Warnings are joined only if there are many.
/// Advice about numbers that PyYAML reads as text and SparseML converts counts as equal, whatever the number.
pub(super) fn grouped(list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut counts: HashMap<(Code, String), usize> = HashMap::new();
    for diagnostic in &list {
        *counts.entry(kind(diagnostic)).or_default() += 1;
    }
    let mut seen: HashMap<(Code, String), ()> = HashMap::new();
    let mut kept = Vec::new();
    for mut diagnostic in list {
        let key = kind(&diagnostic);
        let count = counts[&key];
        let joins = match diagnostic.severity {
            Severity::Error => false,
            Severity::Warning => count > FEW,
            Severity::Advice => count > 1,
        };
        if joins {
            if seen.insert(key, ()).is_some() {
                continue;
            }
            let more = if count == 2 {
                "one more like it".to_owned()
            } else {
                format!("{} more like it", count - 1)
            };
            diagnostic.message = format!("{}; {more}", diagnostic.message);
        }
        kept.push(diagnostic);
    }
    kept
}

/// The key by which diagnostics are equal.
fn kind(diagnostic: &Diagnostic) -> (Code, String) {
    match (diagnostic.code, diagnostic.severity) {
        (Code::NumberAsText, Severity::Advice) => (diagnostic.code, String::new()),
        (code, _) => (code, diagnostic.message.clone()),
    }
}
