//! The error of every entry point.

use std::fmt;

use crate::diag::render::full;
use crate::diag::{Diagnostic, Sources, counted};

/// Why an entry point failed: one or more diagnostics, and the texts into which they point.
///
/// [`Display`](fmt::Display) gives the first error in one line; [`Error::render`] gives all of them with the
/// source lines, as `obertc` prints them.
#[derive(Clone, Debug)]
pub struct Error {
    diagnostics: Vec<Diagnostic>,
    sources: Sources,
    details: String,
    input: Option<usize>,
}

/// The error of `run`.
pub type RunError = Error;

impl Error {
    pub(crate) fn new(diagnostics: Vec<Diagnostic>, sources: Sources) -> Self {
        Error { diagnostics, sources, details: String::new(), input: None }
    }

    /// One diagnostic without a place in a text.
    pub(crate) fn unlocated(diagnostic: Diagnostic) -> Self {
        Error::new(vec![diagnostic], Sources::new())
    }

    /// The error of one of several inputs.
    #[cfg(feature = "infer")]
    pub(crate) fn of_input(mut self, index: usize) -> Self {
        self.input = Some(index);
        self
    }

    /// The index of the input that was refused, from 0, if the call had several.
    pub fn input(&self) -> Option<usize> {
        self.input
    }

    /// Adds lines that are printed before the diagnostics.
    #[cfg(feature = "engine")]
    pub(crate) fn with_details(mut self, details: String) -> Self {
        self.details = details;
        self
    }

    /// Lines that are printed before the diagnostics, such as the changes that prevent resuming a run.
    pub(crate) fn details(&self) -> &str {
        &self.details
    }

    /// The diagnostics in reading order, including warnings.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The texts into which the diagnostics point.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// All diagnostics with their source lines and help, for a terminal; with ANSI colours if `color`.
    pub fn render(&self, color: bool) -> String {
        let details = if self.details.is_empty() { String::new() } else { format!("{}\n", self.details) };
        details + &full::render_all(&self.diagnostics, &self.sources, color)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = self.diagnostics.iter().filter(|d| d.is_error());
        let Some(first) = errors.next().or(self.diagnostics.first()) else { return write!(f, "failed") };
        if let Some(index) = self.input {
            write!(f, "input {index}: ")?;
        }
        if let Some(label) = &first.primary {
            let at = self.sources.line_column(label.span);
            write!(f, "{}:{}:{}: ", self.sources.get(label.span.file).name, at.line, at.column)?;
        }
        write!(f, "{}: {}", first.code, first.message)?;
        match errors.count() {
            0 => Ok(()),
            more => write!(f, " (and {})", counted(more, "more error", "more errors")),
        }
    }
}

impl std::error::Error for Error {}

impl From<Diagnostic> for Error {
    /// An error without a place in a text.
    fn from(diagnostic: Diagnostic) -> Self {
        Error::unlocated(diagnostic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Code, Span};

    #[test]
    fn an_error_says_in_one_line_where_its_first_mistake_is_and_how_many_follow() {
        let mut sources = Sources::new();
        let file = sources.add("a.obert", "edition 2026\nrecipe");
        let first =
            Diagnostic::error(Code::UnknownSetting, "no such setting", Span::new(file, 13..19), "here");
        let second = Diagnostic::unlocated(Code::FlagMissing, "no data");
        let error = Error::new(vec![first, second], sources);
        let boxed: Box<dyn std::error::Error> = Box::new(error.clone());
        assert_eq!(boxed.to_string(), "a.obert:2:1: OB0203: no such setting (and 1 more error)");
        let rendered = error.render(false);
        assert!(rendered.contains("a.obert:2:1") && rendered.contains("no data"), "{rendered}");
    }
}
