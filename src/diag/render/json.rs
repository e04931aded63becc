//! The format for programs: a JSON array, stable across releases.

use serde::Serialize;

use crate::diag::{Code, Diagnostic, Label, Severity, Sources};

#[derive(Serialize)]
struct Finding<'a> {
    code: Code,
    severity: Severity,
    message: &'a str,
    labels: Vec<Place<'a>>,
    help: Option<&'a str>,
    fix: Option<Replacement<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    /// The first byte.
    start: u32,
    end: u32,
    line: usize,
    column: usize,
    text: &'a str,
    primary: bool,
}

#[derive(Serialize)]
struct Replacement<'a> {
    file: &'a str,
    start: u32,
    end: u32,
    replacement: &'a str,
    /// Whether `check --fix` applies it.
    safe: bool,
}

/// All diagnostics as a JSON array, ended by a newline. Each group has its own sources.
pub fn render_all(groups: &[(&[Diagnostic], &Sources)]) -> String {
    let findings: Vec<Finding> =
        groups.iter().flat_map(|(list, sources)| list.iter().map(|d| finding(d, sources))).collect();
    // Plain data of strings and numbers always serializes.
    serde_json::to_string_pretty(&findings).map_or_else(|_| "[]\n".into(), |text| text + "\n")
}

fn finding<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Finding<'a> {
    let primary = diagnostic.primary.iter().map(|l| (l, true));
    let secondary = diagnostic.secondary.iter().map(|l| (l, false));
    Finding {
        code: diagnostic.code,
        severity: diagnostic.severity,
        message: &diagnostic.message,
        labels: primary.chain(secondary).map(|(l, main)| place(l, main, sources)).collect(),
        help: diagnostic.help.as_deref(),
        fix: diagnostic.fix.as_ref().map(|fix| Replacement {
            file: &sources.get(fix.span.file).name,
            start: fix.span.start,
            end: fix.span.end,
            replacement: &fix.replacement,
            safe: fix.safe,
        }),
    }
}

fn place<'a>(label: &'a Label, primary: bool, sources: &'a Sources) -> Place<'a> {
    let at = sources.line_column(label.span);
    Place {
        file: &sources.get(label.span.file).name,
        start: label.span.start,
        end: label.span.end,
        line: at.line,
        column: at.column,
        text: &label.text,
        primary,
    }
}
