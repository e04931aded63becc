//! The format for editors and `grep`: one line for each diagnostic.

use crate::diag::{Diagnostic, Sources};

/// `file:line:column: severity: message [code]`, with the help after a dash.
pub fn render_all(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    diagnostics.iter().map(|d| line(d, sources)).collect()
}

fn line(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = diagnostic.primary.as_ref().map_or(String::new(), |label| {
        let at = sources.line_column(label.span);
        format!("{}:{}:{}: ", sources.get(label.span.file).name, at.line, at.column)
    });
    let help = diagnostic.help.as_ref().map_or(String::new(), |help| format!(" - {}", one_line(help)));
    format!(
        "{place}{}: {} [{}]{help}\n",
        diagnostic.severity.name(),
        one_line(&diagnostic.message),
        diagnostic.code
    )
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
