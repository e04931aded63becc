//! Formatting, as `obertc fmt` does it.

use lsp_types::TextEdit;

use super::snapshot::{Kind, Snapshot};
use crate::diag::{FileId, Findings};
use crate::language::format;
use crate::language::syntax::parse_file;

/// The edits that format a document: the changed lines only, so that the cursor stays where it is. `None` for a text
/// with syntax errors, or one that is no recipe of this language.
pub fn edits(snapshot: &Snapshot) -> Option<Vec<TextEdit>> {
    let text = snapshot.text();
    let formatted = formatted(snapshot)?;
    if formatted == text {
        return Some(Vec::new());
    }
    let before: Vec<&str> = text.split_inclusive('\n').collect();
    let after: Vec<&str> = formatted.split_inclusive('\n').collect();
    let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let left = before.len().min(after.len()) - same;
    let tail = before.iter().rev().zip(after.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
    let bytes = |lines: &[&str]| lines.iter().map(|line| line.len()).sum::<usize>();
    let start = bytes(&before[..same]);
    let end = bytes(&before[..before.len() - tail]);
    let new_text = after[same..after.len() - tail].concat();
    Some(vec![TextEdit { range: snapshot.span(start..end), new_text }])
}

/// The canonical form of the document; `None` as for [`edits`].
pub fn formatted(snapshot: &Snapshot) -> Option<String> {
    if snapshot.kind != Kind::Recipe {
        return None;
    }
    let mut findings = Findings::new();
    let parsed = parse_file(FileId(0), snapshot.text(), &mut findings);
    (!findings.has_errors()).then(|| format(snapshot.text(), &parsed))
}
