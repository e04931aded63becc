//! Code actions: the fixes of `obertc check --fix`, and the translation of a SparseML recipe.

use std::ops::Range;

use super::diagnostics::found;
use super::snapshot::{Kind, Snapshot};
use crate::api::models::local_table;
use crate::diag::{Diagnostic, Fix, fix};
use crate::yaml;

/// A fix of a finding.
#[derive(Clone, Debug)]
pub struct QuickFix<'a> {
    /// What it does, in a few words.
    pub title: String,
    /// The finding that it resolves.
    pub diagnostic: &'a Diagnostic,
    /// The bytes to replace.
    pub range: Range<usize>,
    /// The replacement.
    pub replacement: String,
    /// Whether it is almost certainly what was intended.
    pub safe: bool,
}

/// The fixes of the findings that touch a range of bytes.
pub fn quick_fixes(snapshot: &Snapshot, range: Range<usize>) -> Vec<QuickFix<'_>> {
    let main = snapshot.compiled.main;
    let touches = |span: Range<usize>| span.start <= range.end && range.start <= span.end;
    let own = found(snapshot).iter().filter_map(|diagnostic| {
        let fix = diagnostic.fix.as_ref().filter(|fix| fix.span.file == main)?;
        let place = diagnostic.primary.as_ref().filter(|label| label.span.file == main);
        let near = touches(fix.span.range()) || place.is_some_and(|label| touches(label.span.range()));
        near.then(|| QuickFix {
            title: title(snapshot, fix),
            diagnostic,
            range: fix.span.range(),
            replacement: fix.replacement.clone(),
            safe: fix.safe,
        })
    });
    own.collect()
}

fn title(snapshot: &Snapshot, fix: &Fix) -> String {
    let before = super::symbols::one_line(snapshot.text().get(fix.span.range()).unwrap_or(""));
    let after = super::symbols::one_line(&fix.replacement);
    match (before.as_str(), after.as_str()) {
        ("", after) => format!("Insert `{after}`"),
        (before, "") => format!("Remove `{before}`"),
        (before, after) => format!("Replace `{before}` by `{after}`"),
    }
}

/// The text with all safe fixes applied, and their number; `None` if there are none. `compile` compiles a text of the
/// document.
pub fn fix_all(snapshot: &Snapshot, compile: impl Fn(&str) -> Snapshot) -> Option<(String, usize)> {
    let safe =
        |d: &Diagnostic| d.fix.as_ref().is_some_and(|f| f.safe && f.span.file == snapshot.compiled.main);
    if !found(snapshot).iter().any(safe) {
        return None;
    }
    let (text, count) = fix::fix_all(snapshot.text(), false, |text| {
        let compiled = compile(text).compiled;
        (compiled.main, compiled.diagnostics)
    });
    (count > 0).then_some((text, count))
}

/// The translation of a SparseML recipe; `None` for another document, or one that cannot be translated.
pub fn converted(snapshot: &Snapshot) -> Option<String> {
    if snapshot.kind != Kind::SparseMl {
        return None;
    }
    let options = yaml::Options { find_model: Some(&local_table), ..yaml::Options::default() };
    yaml::import(&snapshot.name, snapshot.text(), options).text
}
