//! What went wrong, where, and what to type instead.
//!
//! Every stage of obert reports through one plain [`Diagnostic`]: a stable [`Code`], a message, a
//! primary label, labels for the other places involved, and a help line. Nothing here prints;
//! [`render`] turns diagnostics into text for people ([`render::full`]) and for tools.

mod codes;
pub mod fix;
pub mod render;
mod source;
mod suggest;

pub use codes::Code;
pub use source::{FileId, LineColumn, SourceFile, Sources, Span};
pub use suggest::nearest;

use serde::Serialize;

/// How serious a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing runs before it is mended.
    Error,
    /// The recipe runs, but probably not as meant.
    Warning,
    /// The recipe runs as meant, and could be better. Shown by `check` only.
    Advice,
}

/// A place in a source file and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The bytes concerned.
    pub span: Span,
    /// A few words, shown beside the place.
    pub text: String,
}

/// An exact replacement that mends a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The bytes to replace.
    pub span: Span,
    /// What to put there.
    pub replacement: String,
    /// Whether it is what was meant, as good as surely.
    pub safe: bool,
}

/// One finding: plain data, without any knowledge of how it will be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, `OB0201` and so on.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// The place to look at first. `None` only where there is no text to point into, such as a
    /// missing file; the message then names the path.
    pub primary: Option<Label>,
    /// Other places involved.
    pub secondary: Vec<Label>,
    /// What to type instead.
    pub help: Option<String>,
    /// The replacement, where it is known exactly.
    pub fix: Option<Fix>,
}

impl Severity {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

impl Diagnostic {
    /// An error that points at `span`.
    pub fn error(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self::unlocated(code, message).at(span, label)
    }

    /// A warning that points at `span`.
    pub fn warning(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Self::error(code, message, span, label) }
    }

    /// Advice about `span`.
    pub fn advice(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Advice, ..Self::error(code, message, span, label) }
    }

    /// An error with no text to point into; its message names the file or flag.
    pub fn unlocated(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// Sets the primary label.
    pub fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.primary = Some(Label { span, text: label.into() });
        self
    }

    /// Adds a place that belongs to the explanation.
    pub fn and_at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: label.into() });
        self
    }

    /// Adds the help line.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a help line if there is one.
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = self.help.or(help);
        self
    }

    /// Adds the exact replacement of `span`.
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into(), safe: true });
        self
    }

    /// Adds a replacement of `span` that silences the finding and may hide a mistake.
    pub fn unsafe_fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into(), safe: false });
        self
    }

    /// Cuts texts that quote more of a recipe than anybody reads.
    fn shorten(&mut self) {
        let labels = self.primary.iter_mut().chain(&mut self.secondary).map(|l| &mut l.text);
        for text in labels.chain([&mut self.message]).chain(&mut self.help) {
            if let Some((cut, _)) = text.char_indices().nth(MOST_CHARACTERS) {
                text.truncate(cut);
                text.push('…');
            }
        }
    }

    /// Moves every place, such as from a generated text to the one it was made of.
    pub(crate) fn move_places(&mut self, moved: impl Fn(Span) -> Span) {
        for label in self.primary.iter_mut().chain(&mut self.secondary) {
            label.span = moved(label.span);
        }
        if let Some(fix) = &mut self.fix {
            fix.span = moved(fix.span);
        }
    }

    /// Whether this finding stops the run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// As many characters as a message, a label or a help has.
const MOST_CHARACTERS: usize = 500;

/// As many findings as are listed for one recipe.
pub const MOST_FINDINGS: usize = 100;

/// Collects findings while a stage goes on past the first mistake.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Diagnostic>,
}

impl Findings {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all findings of another stage.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(other);
    }

    /// Drops warnings and advice of these codes.
    pub fn allow(&mut self, codes: &[Code]) {
        self.list.retain(|d| d.is_error() || !codes.contains(&d.code));
    }

    /// Whether anything found stops the run.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// Drops what is only missing because the statement that says it cannot be read, and doubts about a
    /// statement that is wrong anyway.
    pub fn drop_consequences(&mut self) {
        let unreadable = self.list.iter().any(|d| (100..200).contains(&d.code.number()));
        let consequences = [
            Code::MissingSetting,
            Code::MissingLr,
            Code::LrGap,
            Code::NothingToDo,
            Code::NoRecipe,
            Code::UnusedName,
        ];
        self.list.retain(|d| !(unreadable && consequences.contains(&d.code)));
        // An unknown verb may stand before the name.
        let unknown_verb = self.list.iter().any(|d| d.code == Code::UnknownVerb);
        self.list.retain(|d| !(unknown_verb && [Code::UnusedName, Code::MissingSetting].contains(&d.code)));
        let held = self.list.iter().filter(|d| d.code == Code::PruneAndHold);
        let held: Vec<Span> = held.filter_map(|d| Some(d.primary.as_ref()?.span)).collect();
        let within = |outer: Span| {
            let inside = |i: &Span| outer.file == i.file && outer.start <= i.start && i.end <= outer.end;
            held.iter().any(inside)
        };
        self.list
            .retain(|d| d.code != Code::NothingToHold || !d.primary.as_ref().is_some_and(|l| within(l.span)));
    }

    /// The findings in reading order: by file, by offset, those without a place last. A finding
    /// said twice about one place is kept once. Nobody reads more than [`MOST_FINDINGS`]: of more, the
    /// others are counted.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| {
            d.primary.as_ref().map_or((u32::MAX, u32::MAX, d.code), |l| (l.span.file.0, l.span.start, d.code))
        });
        self.list.dedup();
        let more = self.list.len().saturating_sub(MOST_FINDINGS);
        if more > 0 {
            let errors = self.list[MOST_FINDINGS..].iter().any(Diagnostic::is_error);
            self.list.truncate(MOST_FINDINGS);
            let severity = if errors { Severity::Error } else { Severity::Warning };
            let message = format!("{more} more findings are not listed");
            let rest = Diagnostic::unlocated(Code::TooManyFindings, message);
            self.list.push(Diagnostic { severity, ..rest.help("mend these first") });
        }
        self.list.iter_mut().for_each(Diagnostic::shorten);
        self.list
    }

    /// Changes the findings that were made after the first `known`.
    pub fn change_after(&mut self, known: usize, change: impl FnMut(&mut Diagnostic)) {
        self.list.iter_mut().skip(known).for_each(change);
    }

    /// The findings in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }
}

impl IntoIterator for Findings {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
