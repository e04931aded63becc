//! SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};

use crate::diag::{Code, Diagnostic, Label, Severity, Sources, Span};

/// One log with one run. Each group of findings has its own sources.
pub fn render_all(groups: &[(&[Diagnostic], &Sources)]) -> String {
    let mut rules: Vec<Code> = groups.iter().flat_map(|(list, _)| list.iter().map(|d| d.code)).collect();
    rules.sort();
    rules.dedup();
    let results: Vec<Value> =
        groups.iter().flat_map(|(list, sources)| list.iter().map(|d| result(d, sources, &rules))).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "obertc",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    // Plain data of strings and numbers always serializes.
    serde_json::to_string_pretty(&log).map_or_else(|_| "{}\n".into(), |text| text + "\n")
}

fn rule(code: &Code) -> Value {
    json!({
        "id": code.to_string(),
        "name": format!("{code:?}"),
        "shortDescription": { "text": code.title() },
        "help": { "text": format!("obertc explain {code}") },
    })
}

fn result(diagnostic: &Diagnostic, sources: &Sources, rules: &[Code]) -> Value {
    let help = diagnostic.help.as_ref().map_or(String::new(), |help| format!("\nhelp: {help}"));
    let mut result = json!({
        "ruleId": diagnostic.code.to_string(),
        "ruleIndex": rules.binary_search(&diagnostic.code).unwrap_or(0),
        "level": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "note",
        },
        "message": { "text": format!("{}{help}", diagnostic.message) },
    });
    if let Some(label) = &diagnostic.primary {
        result["locations"] = json!([location(label, sources)]);
    }
    if !diagnostic.secondary.is_empty() {
        result["relatedLocations"] = diagnostic.secondary.iter().map(|l| location(l, sources)).collect();
    }
    if let Some(fix) = &diagnostic.fix {
        result["fixes"] = json!([{
            "description": { "text": "obertc check --fix" },
            "artifactChanges": [{
                "artifactLocation": { "uri": uri(&sources.get(fix.span.file).name) },
                "replacements": [{
                    "deletedRegion": region(fix.span, sources),
                    "insertedContent": { "text": fix.replacement },
                }],
            }],
        }]);
    }
    result
}

fn location(label: &Label, sources: &Sources) -> Value {
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&sources.get(label.span.file).name) },
            "region": region(label.span, sources),
        },
    });
    if !label.text.is_empty() {
        location["message"] = json!({ "text": label.text });
    }
    location
}

fn region(span: Span, sources: &Sources) -> Value {
    let (from, to) = sources.ends(span);
    json!({
        "startLine": from.line,
        "startColumn": from.column,
        "endLine": to.line,
        "endColumn": to.column,
    })
}

/// A path as a URI: relative paths stay relative, whatever a URI cannot hold is escaped.
fn uri(name: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~/".contains(&c);
    let path: String = name
        .bytes()
        .map(|c| match c {
            b'\\' if cfg!(windows) => "/".to_owned(),
            c if plain(c) => char::from(c).to_string(),
            c => format!("%{c:02X}"),
        })
        .collect();
    if path.starts_with('/') { format!("file://{path}") } else { path }
}
