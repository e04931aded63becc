//! Findings that say the same of several places as one, and those that follow from others left out.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Severity};

/// The most findings that are listed.
const MOST_FINDINGS: usize = 100;
/// Equal warnings up to this number are listed one by one, because each place must be changed.
const FEW: usize = 3;

/// Drops what is only assumed or noted because something else cannot be read.
pub(super) fn without_consequences(mut list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let failed = list.iter().any(Diagnostic::is_error);
    // Where groups or keys are missing, what follows from the rest says nothing.
    let unreadable =
        |d: &Diagnostic| d.is_error() && (Code::YamlMalformed..=Code::UnknownModifier).contains(&d.code);
    let unreadable = list.iter().any(unreadable);
    list.retain(|d| !failed || d.is_error() || !unreadable && d.code != Code::Assumed);
    if list.len() > MOST_FINDINGS {
        list.truncate(MOST_FINDINGS);
        if let Some(last) = list.last_mut() {
            last.message = format!("{}; more is wrong behind this", last.message);
        }
    }
    list
}

/// Keeps the first of equal notes and says how many more there are. Warnings are joined only where they
/// are many, and numbers that SparseML converts by itself whatever they are.
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

fn kind(diagnostic: &Diagnostic) -> (Code, String) {
    match (diagnostic.code, diagnostic.severity) {
        (Code::NumberAsText, Severity::Advice) => (diagnostic.code, String::new()),
        (code, _) => (code, diagnostic.message.clone()),
    }
}
