//! Workflow commands, which GitHub shows beside the lines of a pull request.

use crate::diag::{Diagnostic, Severity, Sources};

/// One `::error …::` (or warning, or notice) for each finding.
pub fn render_all(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics.iter().map(|d| command(d, sources)).collect()
}

fn command(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let kind = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "notice",
    };
    let mut properties = vec![format!("title={}", diagnostic.code)];
    if let Some(label) = &diagnostic.primary {
        let (from, to) = sources.ends(label.span);
        properties.push(format!("file={}", property(&sources.get(label.span.file).name)));
        properties.push(format!("line={},endLine={}", from.line, to.line));
        // GitHub shows columns only of annotations on one line.
        if from.line == to.line {
            properties.push(format!("col={},endColumn={}", from.column, to.column));
        }
    }
    let help = diagnostic.help.as_ref().map_or(String::new(), |help| format!("\nhelp: {help}"));
    format!("::{kind} {}::{}\n", properties.join(","), escaped(&format!("{}{help}", diagnostic.message)))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
