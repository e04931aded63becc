//! Diagnostics with offsets as JavaScript counts them.

use obert::diagnostics::{Diagnostic, FileId, Label, Sources, Span};
use serde::Serialize;

/// A diagnostic.
#[derive(Debug, Serialize, PartialEq)]
pub struct Finding {
    /// `OB0203` and so on.
    pub code: String,
    /// `error`, `warning` or `advice`.
    pub severity: &'static str,
    /// One sentence.
    pub message: String,
    /// Its place; `None` if it is not in the checked text.
    pub place: Option<Place>,
    /// Other places in the checked text.
    pub related: Vec<Place>,
    /// What to write instead.
    pub help: Option<String>,
    /// The replacement that resolves it.
    pub fix: Option<Change>,
}

/// A part of the checked text.
#[derive(Debug, Serialize, PartialEq)]
pub struct Place {
    /// The first UTF-16 code unit.
    pub from: usize,
    /// The code unit after the last.
    pub to: usize,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is said about the place.
    pub text: String,
}

/// A replacement in the checked text.
#[derive(Debug, Serialize, PartialEq)]
pub struct Change {
    /// The first UTF-16 code unit.
    pub from: usize,
    /// The code unit after the last.
    pub to: usize,
    /// The new text.
    pub insert: String,
    /// Whether it is almost certainly what was intended.
    pub safe: bool,
}

/// A checked text, for conversion of spans in it.
pub(crate) struct Checked<'a> {
    pub(crate) main: FileId,
    pub(crate) sources: &'a Sources,
    /// The code units before the text of `sources`: 1 for a byte order mark.
    pub(crate) before: usize,
}

impl Checked<'_> {
    pub(crate) fn findings(&self, diagnostics: &[Diagnostic]) -> Vec<Finding> {
        diagnostics.iter().map(|diagnostic| self.finding(diagnostic)).collect()
    }

    fn finding(&self, diagnostic: &Diagnostic) -> Finding {
        let fix = diagnostic.fix.as_ref().filter(|fix| fix.span.file == self.main);
        Finding {
            code: diagnostic.code.to_string(),
            severity: diagnostic.severity.name(),
            message: diagnostic.message.clone(),
            place: diagnostic.primary.as_ref().and_then(|label| self.place(label)),
            related: diagnostic.secondary.iter().filter_map(|label| self.place(label)).collect(),
            help: diagnostic.help.clone(),
            fix: fix.map(|fix| {
                let (from, to) = self.offsets(fix.span);
                Change { from, to, insert: fix.replacement.clone(), safe: fix.safe }
            }),
        }
    }

    fn place(&self, label: &Label) -> Option<Place> {
        if label.span.file != self.main {
            return None;
        }
        let (from, to) = self.offsets(label.span);
        let at = self.sources.line_column(label.span);
        Some(Place { from, to, line: at.line, column: at.column, text: label.text.clone() })
    }

    fn offsets(&self, span: Span) -> (usize, usize) {
        let text = &self.sources.get(self.main).text;
        let units = |bytes: usize| self.before + text[..bytes.min(text.len())].encode_utf16().count();
        (units(span.range().start), units(span.range().end))
    }
}
