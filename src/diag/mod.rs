//! Diagnostics: errors, warnings and advice with their places in source texts.
//!
//! Every stage of obert reports a [`Diagnostic`]: a stable [`Code`], a message, a primary label, secondary
//! labels, help, and possibly a [`Fix`]. [`render`] turns diagnostics into text for a terminal
//! ([`render::full`]) and for tools. Nothing here prints.

mod codes;
mod counted;
pub mod fix;
pub mod render;
mod source;
mod suggest;

pub use codes::Code;
pub use counted::{agreeing, counted};
pub use source::{FileId, LineColumn, SourceFile, Sources, Span};
pub use suggest::nearest;

use serde::Serialize;

/// How serious a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Prevents the run.
    Error,
    /// The recipe runs, but probably not as intended.
    Warning,
    /// The recipe runs as intended, but could be better. Shown by `check` only.
    Advice,
}

/// A span of a source file with a short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The bytes that are marked.
    pub span: Span,
    /// A few words, shown beside them.
    pub text: String,
}

/// A replacement of text that resolves a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The bytes to replace.
    pub span: Span,
    /// The replacement.
    pub replacement: String,
    /// Whether it is almost certainly what was intended.
    pub safe: bool,
}

/// An error, a warning or advice, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code, `OB0201` and so on.
    pub code: Code,
    /// How serious it is.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// The main place. `None` if there is no text to point into, such as for a missing file; the message then
    /// names the path.
    pub primary: Option<Label>,
    /// Other places involved.
    pub secondary: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
    /// The replacement that the help describes, if it can be made automatically.
    pub fix: Option<Fix>,
}

impl Severity {
    /// The word that is shown: `error`, `warning` or `advice`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "advice",
        }
    }
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self::unlocated(code, message).at(span, label)
    }

    /// A warning at `span`.
    pub fn warning(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Self::error(code, message, span, label) }
    }

    /// Advice at `span`.
    pub fn advice(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Advice, ..Self::error(code, message, span, label) }
    }

    /// An error without a source text; its message names the file or flag.
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

    /// Adds a secondary label.
    pub fn and_at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: label.into() });
        self
    }

    /// Sets the help.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the help if it has none.
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = self.help.or(help);
        self
    }

    /// Adds a safe fix: replaces `span` by what was almost certainly intended.
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into(), safe: true });
        self
    }

    /// Adds an unsafe fix, which resolves the diagnostic but may not be what was intended.
    pub fn unsafe_fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, replacement: replacement.into(), safe: false });
        self
    }

    /// Adds help and a safe fix that replace a misspelt word at `span` by a similar one; `otherwise` is the help
    /// if there is none.
    pub fn did_you_mean(self, span: Span, near: Option<&str>, otherwise: impl FnOnce() -> String) -> Self {
        match near {
            Some(near) => self.help(format!("did you mean `{near}`?")).fix(span, near),
            None => self.help(otherwise()),
        }
    }

    /// Truncates texts that quote long parts of a recipe.
    fn shorten(&mut self) {
        let labels = self.primary.iter_mut().chain(&mut self.secondary).map(|l| &mut l.text);
        for text in labels.chain([&mut self.message]).chain(&mut self.help) {
            if let Some((cut, _)) = text.char_indices().nth(MOST_CHARACTERS) {
                text.truncate(cut);
                text.push('…');
            }
        }
    }

    /// Maps every span, such as from a generated text to its source.
    pub(crate) fn move_places(&mut self, moved: impl Fn(Span) -> Span) {
        for label in self.primary.iter_mut().chain(&mut self.secondary) {
            label.span = moved(label.span);
        }
        if let Some(fix) = &mut self.fix {
            fix.span = moved(fix.span);
        }
    }

    /// Whether it is an error, which prevents the run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The most characters of a message, a label or a help.
const MOST_CHARACTERS: usize = 500;

/// The most diagnostics that are listed for one recipe.
pub const MOST_FINDINGS: usize = 100;

/// The diagnostics of a stage, which continues after errors.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Diagnostic>,
}

impl Findings {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all diagnostics of another stage.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(other);
    }

    /// Removes warnings and advice with these codes.
    pub fn allow(&mut self, codes: &[Code]) {
        self.list.retain(|d| d.is_error() || !codes.contains(&d.code));
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// Removes diagnostics that are consequences of others: parts that are missing because a statement could
    /// not be parsed, and warnings about a statement that has an error.
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
        // The statement with the unknown verb may use the name or have the setting.
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

    /// The diagnostics by file and offset, those without a place last. Duplicates are removed; beyond
    /// [`MOST_FINDINGS`] the others are only counted.
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
            let message = counted(more, "more finding is not listed", "more findings are not listed");
            let rest = Diagnostic::unlocated(Code::TooManyFindings, message);
            self.list.push(Diagnostic { severity, ..rest.help("fix these first") });
        }
        self.list.iter_mut().for_each(Diagnostic::shorten);
        self.list
    }

    /// Changes all diagnostics after the first `known`.
    pub fn change_after(&mut self, known: usize, change: impl FnMut(&mut Diagnostic)) {
        self.list.iter_mut().skip(known).for_each(change);
    }

    /// The diagnostics in the order they were added.
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
