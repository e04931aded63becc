//! Resolves one name or pattern of a SparseML recipe against the parameters of the model.

use crate::diag::{Code, Diagnostic, Findings, Span, counted, nearest};
use crate::params::{Parameter, ParameterTable, Selector};
use crate::yaml::recipe::{Fields, quoted};

use super::model_names::{ModelNames, split_layer};

/// Resolves a name, or a pattern that begins with `re:`, to a selector. `prunes` limits suggestions to parameters
/// that can be pruned.
///
/// Like `re.match` in SparseML, a pattern is anchored at its start only. A pattern that matches nothing is an
/// error; one that matches more than the name in which it ends is a warning.
pub(super) fn resolve(
    model: &ModelNames,
    text: &str,
    span: Span,
    prunes: bool,
    fields: &mut Fields,
    findings: &mut Findings,
) -> Option<Selector> {
    let Some(pattern) = text.strip_prefix("re:") else {
        if let Some(table) = model.table.filter(|t| t.find(text).is_none()) {
            let looks_like_a_pattern = text.contains(['*', '\\', '|', '(', '[']);
            let fits = |p: &&Parameter| !prunes || p.is_prunable();
            let near = nearest(text, table.iter().filter(fits).map(|p| p.name.as_str()));
            let as_pattern = Selector::Regex(format!("{text}.*")).select(table).unwrap_or_default();
            let (help, meant) = match near {
                _ if looks_like_a_pattern && !as_pattern.is_empty() => {
                    (format!("for a pattern, write `re:{text}`"), Some(format!("re:{text}")))
                }
                Some(near) => (format!("did you mean `{near}`?"), Some(near.to_owned())),
                None => ("write the whole name, or a pattern that begins with `re:`".to_owned(), None),
            };
            let message = format!("{} has no parameter `{text}`", model.label());
            let help = model.missing(text, help);
            let proposed = meant.filter(|meant| help.contains(&format!("`{meant}`")));
            let error = Diagnostic::error(Code::MatchesNothing, message, span, "matches nothing").help(help);
            fields.report(
                findings,
                match proposed {
                    Some(meant) => error.fix(span, quoted(&meant)),
                    None => error,
                },
            );
            return None;
        }
        return Some(Selector::Glob(text.to_owned()));
    };
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern).replace('"', "\\x22");
    let exact = Selector::Regex(pattern.clone());
    let open = Selector::Regex(format!("{pattern}.*"));
    if let Err(error) = exact.matcher() {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
        let help = if text.contains("(?") {
            "regular expressions have no look-around here: write a pattern for the names to select"
        } else {
            "close every bracket, and write `\\.` for a dot"
        };
        fields.refuse(
            findings,
            Code::BadPattern,
            span,
            "this regular expression cannot be read".into(),
            why,
            help.into(),
        );
        return None;
    }
    let Some(table) = model.table else { return Some(if text.ends_with('$') { exact } else { open }) };
    let selected = |s: &Selector| s.select(table).unwrap_or_default();
    // Anchored at the end of a name or of a module's name.
    let whole = Selector::Regex(format!(r"(?:{pattern})(?:\..*)?"));
    let (with_name, taken) = (selected(&whole), selected(&open));
    let ends = selected(&exact);
    let closed = text.ends_with('$');
    if taken.is_empty() || closed && ends.is_empty() {
        fields.refuse(
            findings,
            Code::MatchesNothing,
            span,
            format!("`{text}` matches none of the {} parameters of {}", table.len(), model.label())
                .trim_end_matches(',')
                .to_owned(),
            "matches nothing".into(),
            model.missing(&pattern, nearest_name(&pattern, table)),
        );
        return None;
    }
    if closed || ends == taken {
        return Some(as_glob(&pattern).unwrap_or(exact));
    }
    if let Some(more) = taken.iter().find(|i| !with_name.contains(i)).filter(|_| !with_name.is_empty()) {
        findings.push(
            Diagnostic::warning(
                Code::BeyondTheName,
                format!("this pattern also selects `{}`", table.get(*more).name),
                span,
                format!(
                    "selects {}, {} of them with the name in which it ends",
                    counted(taken.len(), "parameter", "parameters"),
                    with_name.len()
                ),
            )
            .help("SparseML anchors a pattern at its start only; end it with `$` to exclude them"),
        );
    }
    Some(open)
}

/// A help that names the parameter nearest to a pattern, or shows what the model's names look like.
fn nearest_name(pattern: &str, table: &ParameterTable) -> String {
    let plain = pattern.replace("\\.", ".").replace(".*", ".");
    match nearest(&plain, table.iter().map(|p| p.name.as_str())) {
        Some(near) => format!("the nearest name is `{near}`"),
        None => match table.iter().find(|p| p.is_prunable()) {
            Some(first) => format!("the model's names are like `{}`", first.name),
            None => "list the names with `obertc params --model DIR '**'`".to_owned(),
        },
    }
}

/// Translates a regular expression into the glob that matches the same names; `None` if there is none.
fn as_glob(pattern: &str) -> Option<Selector> {
    let mut glob = String::new();
    let mut depth = 0;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let tokens = [("[^.]*", "*"), (".*", "**"), ("[^.]", "?"), ("(?:", "{"), (")", "}")];
        if let Some((regex, text)) = tokens.iter().find(|(regex, _)| rest.starts_with(regex)) {
            depth += i32::from(*text == "{") - i32::from(*text == "}");
            glob.push_str(text);
            rest = &rest[regex.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = rest.chars().next().filter(|c| matches!(c, '.' | '-' | '_'))?;
                rest = &rest[1..];
                glob.push(escaped);
            }
            '|' if depth > 0 => glob.push(','),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') => glob.push(c),
            _ => return None,
        }
    }
    (depth == 0).then_some(Selector::Glob(glob))
}

/// Writes a SparseML pattern that matches these names only; layers with the same parameter share `[0-9]+`.
pub(super) fn matching_only(names: &[&str]) -> Option<String> {
    let mut kinds: Vec<String> = Vec::new();
    for name in names {
        let kind = match split_layer(name) {
            Some((before, _, after)) => format!("{before}[0-9]+{after}"),
            None => (*name).to_owned(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match kinds.as_slice() {
        [] => None,
        [one] => Some(format!("re:{one}$")),
        several => Some(format!("re:(?:{})$", several.join("|"))),
    }
}
