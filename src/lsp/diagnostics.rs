//! The findings of `obertc check` as diagnostics of the protocol.

use lsp_types::{
    CodeDescription, Diagnostic as Shown, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag,
    Location, NumberOrString, Range as LineRange,
};

use super::place::{Links, Place};
use super::position::Lines;
use super::snapshot::{Kind, Snapshot};
use crate::diag::{Code, Diagnostic, Label, Severity, Span};
use crate::language::syntax::ast::ImportPath;

/// The name of the program that makes the diagnostics.
pub const SOURCE: &str = "obert";

/// All diagnostics of a document, in reading order.
pub fn all(snapshot: &Snapshot, links: &dyn Links) -> Vec<Shown> {
    found(snapshot).iter().map(|diagnostic| shown(snapshot, diagnostic, links)).collect()
}

/// The findings of a document; none for a file that is no recipe.
pub fn found(snapshot: &Snapshot) -> &[Diagnostic] {
    match snapshot.kind {
        Kind::Other => &[],
        Kind::Recipe | Kind::SparseMl => &snapshot.compiled.diagnostics,
    }
}

/// One finding as a diagnostic: the message, the text of its label, and the help.
pub fn shown(snapshot: &Snapshot, diagnostic: &Diagnostic, links: &dyn Links) -> Shown {
    let primary = diagnostic.primary.as_ref();
    let mut message = diagnostic.message.clone();
    for (before, text) in [("", primary.map(|label| &label.text)), ("help: ", diagnostic.help.as_ref())] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            message.push_str(&format!("\n{before}{text}"));
        }
    }
    // A finding in a file that the document uses is shown at its `use`, with a link to the place.
    let elsewhere = primary.filter(|label| label.span.file != snapshot.compiled.main);
    let labels = elsewhere.into_iter().chain(&diagnostic.secondary);
    let related: Vec<_> = labels.filter_map(|label| related(snapshot, label, links)).collect();
    Shown {
        range: primary.map_or_else(|| snapshot.span(0..0), |label| range(snapshot, label.span)),
        severity: Some(match diagnostic.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Advice => DiagnosticSeverity::INFORMATION,
        }),
        code: Some(NumberOrString::String(diagnostic.code.to_string())),
        code_description: links.page(diagnostic.code).map(|href| CodeDescription { href }),
        source: Some(SOURCE.to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        tags: (diagnostic.code == Code::UnusedName).then(|| vec![DiagnosticTag::UNNECESSARY]),
        data: None,
    }
}

/// Where a span is shown in the document: a place in another file at the `use` of that file, else at the start.
fn range(snapshot: &Snapshot, span: Span) -> LineRange {
    if span.file == snapshot.compiled.main {
        return snapshot.span(visible(snapshot.text(), span));
    }
    let place = snapshot.place_of(span.file);
    let own = snapshot.modules.own();
    let used = own.imports.iter().find(|(_, module)| {
        module.is_some_and(|module| Some(&snapshot.modules.get(module).place) == place.as_ref())
    });
    // A file that another used file uses: the first `use` of a file.
    let indirect = || own.imports.iter().find(|(import, _)| matches!(import.from, ImportPath::File(_)));
    let import = used.or_else(indirect).map_or(0..0, |(import, _)| import.span.range());
    snapshot.span(import)
}

/// An empty span is widened to the rest of its line, so that it can be seen.
fn visible(text: &str, span: Span) -> std::ops::Range<usize> {
    let range = span.range();
    if !range.is_empty() || range.start >= text.len() {
        return range;
    }
    let rest = &text[range.start..];
    range.start..range.start + rest.find(['\n', '\r']).unwrap_or(rest.len())
}

fn related(snapshot: &Snapshot, label: &Label, links: &dyn Links) -> Option<DiagnosticRelatedInformation> {
    let place = snapshot.place_of(label.span.file)?;
    let text = &snapshot.compiled.sources.get(label.span.file).text;
    let range = match place == snapshot.place {
        true => snapshot.span(label.span.range()),
        false => Lines::new(text).span(text, label.span.range(), snapshot.encoding),
    };
    Some(DiagnosticRelatedInformation {
        location: location(&place, range, links)?,
        message: label.text.clone(),
    })
}

/// A range of a file as a location, if the client can open the file.
pub fn location(place: &Place, range: LineRange, links: &dyn Links) -> Option<Location> {
    Some(Location { uri: links.file(place)?, range })
}
