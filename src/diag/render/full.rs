//! The format for a terminal: source lines with labels, drawn by miette.

use miette::{
    Diagnostic as MietteDiagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode,
};

use super::snippet::{APART, JOINED, Lines, drawable};
use crate::diag::{Diagnostic, Label, Severity, Sources, counted};

/// Renders one diagnostic with its source lines, 100 columns wide.
///
/// `color` chooses between ANSI colours with Unicode drawing and plain Unicode drawing.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false).tab_width(2);
    let mut text = String::new();
    let home = diagnostic.primary.as_ref().filter(|l| drawable(l.span, sources).is_some());
    // Labels far away, in another file or on a very long line are listed below the source.
    let drawn = |label: &&Label| home.is_some_and(|home| is_near(label, home, sources));
    let others = diagnostic.secondary.iter().filter(drawn).map(|l| (l, false));
    let labels = home.iter().map(|l| (*l, true)).chain(others);
    let report = Report {
        diagnostic,
        source: home.map(|home| Lines(sources.get(home.span.file))),
        labels: labels.filter_map(|(l, main)| labeled(l, main, sources)).collect(),
    };
    // invariant: writing into a String cannot fail.
    handler.render_report(&mut text, &report).expect("a string takes everything");
    for label in diagnostic.primary.iter().chain(&diagnostic.secondary).filter(|l| !drawn(l)) {
        let place = sources.line_column(label.span);
        let name = &sources.get(label.span.file).name;
        text.push_str(&format!("  note: {} ({name}:{}:{})\n", label.text, place.line, place.column));
    }
    text
}

/// Renders all diagnostics and a final line with their numbers.
pub fn render_all(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&render(diagnostic, sources, color));
        text.push('\n');
    }
    text.push_str(&count_line(diagnostics));
    text
}

/// `2 errors, 1 warning`, or nothing without diagnostics.
pub fn count_line(diagnostics: &[Diagnostic]) -> String {
    let count = |severity, one: &str, many: &str| {
        let n = diagnostics.iter().filter(|d| d.severity == severity).count();
        (n > 0).then(|| counted(n, one, many))
    };
    let parts: Vec<_> = [
        count(Severity::Error, "error", "errors"),
        count(Severity::Warning, "warning", "warnings"),
        count(Severity::Advice, "piece of advice", "pieces of advice"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { String::new() } else { format!("{}\n", parts.join(", ")) }
}

/// Whether a label is drawn in the same snippet as the primary one. A separate snippet above it would be shown
/// first.
fn is_near(label: &Label, home: &Label, sources: &Sources) -> bool {
    let line = |l: &Label| sources.line_column(l.span).line;
    let (own, main) = (line(label), line(home));
    let far = if own < main { main - own > JOINED } else { own - main > APART };
    label.span.file == home.span.file && drawable(label.span, sources).is_some() && !far
}

fn labeled(label: &Label, main: bool, sources: &Sources) -> Option<LabeledSpan> {
    let range = drawable(label.span, sources)?;
    let text = (!label.text.is_empty()).then(|| label.text.clone());
    Some(if main {
        LabeledSpan::new_primary_with_span(text, range)
    } else {
        LabeledSpan::new_with_span(text, range)
    })
}

#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<Lines<'a>>,
    labels: Vec<LabeledSpan>,
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report<'_> {}

impl MietteDiagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Advice => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|h| Box::new(h) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|s| s as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
