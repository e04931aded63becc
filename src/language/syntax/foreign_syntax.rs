//! Notations of other languages in a malformed statement, each with what to write instead.

use std::ops::Range;

/// A notation of another language, with help and a fix.
pub(super) struct ForeignSyntax {
    pub(super) message: Option<String>,
    /// Its span, if that is not where parsing stopped.
    pub(super) place: Option<Range<usize>>,
    pub(super) help: String,
    pub(super) fix: Option<(Range<usize>, String)>,
}

impl ForeignSyntax {
    fn replace(place: Range<usize>, by: &str, help: String) -> Self {
        ForeignSyntax { message: None, place: None, help, fix: Some((place, by.to_owned())) }
    }
}

/// Recognizes a foreign notation at byte `at`, where parsing stopped, in the statement with range `statement`.
pub(super) fn recognize(text: &str, statement: Range<usize>, at: usize) -> Option<ForeignSyntax> {
    let (before, rest) = (text.get(statement.start..at)?, text.get(at..statement.end)?);
    let width = |n: usize| at..at + n;
    if before.ends_with("..") && rest.starts_with('.') {
        return Some(ForeignSyntax::replace(
            at - 2..at + 1,
            "..",
            "a range has two dots: `0..30 epochs`".into(),
        ));
    }
    let help_only = |help: String| ForeignSyntax { message: None, place: None, help, fix: None };
    if before.starts_with("use ") && rest.starts_with("::") {
        let whole = before.len() + rest.len();
        let written = text[statement.start..statement.start + whole].replace("::", ".");
        let fix = Some((statement.start..statement.start + whole, written.clone()));
        return Some(ForeignSyntax { help: format!("write `{written}`"), fix, ..help_only(String::new()) });
    }
    match rest.chars().next()? {
        ';' if rest[1..].trim().is_empty() => {
            Some(ForeignSyntax::replace(width(1), "", "remove it: a statement ends with its line".into()))
        }
        ';' => Some(ForeignSyntax::replace(width(1), ",", "write `,`, or begin a new line".into())),
        '=' if rest.starts_with("=>") => Some(ForeignSyntax::replace(width(2), "->", "write `->`".into())),
        '=' if before.starts_with("param ") && !before.contains(':') => {
            let name = before.trim_end();
            let typed = format!(": {} ", type_of(rest));
            let help = format!("a parameter has a type: `{name}{typed}{rest}`");
            Some(ForeignSyntax::replace(at - (before.len() - name.len())..at, &typed, help))
        }
        '=' => {
            let space = before.len() - before.trim_end().len();
            Some(ForeignSyntax::replace(
                at - space..at + 1,
                ":",
                "write `:` between a name and its value".into(),
            ))
        }
        '>' | '<' => comparison(before, rest).map(help_only),
        '{' => block_as_value(before, rest, statement.start).map(|(place, help)| ForeignSyntax {
            fix: place.clone().map(|p| (p, "re".to_owned())),
            place,
            ..help_only(help)
        }),
        '.' | '/' | '~' if begins_a_path(before, rest) => {
            let path = rest.split([' ', '\t', ',', '\n', '}']).next()?;
            let written = format!("\"{path}\"");
            let help = format!("a path is written in quotes: `{written}`");
            Some(ForeignSyntax { fix: Some((width(path.len()), written)), ..help_only(help) })
        }
        '/' if rest.starts_with("//") || before.ends_with('/') => {
            let start = if rest.starts_with("//") { at } else { at - 1 };
            Some(ForeignSyntax::replace(start..start + 2, "#", "a comment begins with `#`".into()))
        }
        arrow @ ('→' | '⇒' | '⟶') => {
            Some(ForeignSyntax::replace(width(arrow.len_utf8()), "->", "write `->`".into()))
        }
        '…' => Some(ForeignSyntax::replace(width('…'.len_utf8()), "..", "write `..`".into())),
        '\'' => {
            let inner = rest[1..].split('\'').next()?;
            let closed = rest[1..].len() > inner.len();
            let is_number = inner.starts_with(|c: char| c.is_ascii_digit());
            let written = if is_number { inner.to_owned() } else { format!("\"{inner}\"") };
            let help = match is_number {
                true => format!("numbers are written without quotes: `{written}`"),
                false => format!("text is written in double quotes: `{written}`"),
            };
            let fix = (closed && !inner.contains('"')).then(|| (width(inner.len() + 2), written));
            Some(ForeignSyntax { message: None, place: None, help, fix })
        }
        '.' => {
            let digits: String = rest[1..].chars().take_while(|c| c.is_ascii_digit()).collect();
            (!digits.is_empty()).then(|| {
                ForeignSyntax::replace(width(0), "0", format!("write the zero before the dot: `0.{digits}`"))
            })
        }
        '*' => unquoted_pattern(before, rest, at),
        ':' => colon(before, rest, at),
        _ => None,
    }
}

/// `params(bert.embeddings.*)`: a pattern without quotes.
fn unquoted_pattern(before: &str, rest: &str, at: usize) -> Option<ForeignSyntax> {
    let is_pattern = |c: char| c.is_alphanumeric() || "._*?".contains(c);
    let head = before.len() - before.trim_end_matches(is_pattern).len();
    let tail = rest.len() - rest.trim_start_matches(is_pattern).len();
    let pattern = format!("{}{}", &before[before.len() - head..], &rest[..tail]);
    if !pattern.contains(".*") {
        return None;
    }
    let inside = before[..before.len() - head].trim_end().ends_with("params(");
    let written = if inside { format!("\"{pattern}\"") } else { format!("params(\"{pattern}\")") };
    let help = format!("a pattern of names is written in quotes: `params(\"{pattern}\")`");
    Some(ForeignSyntax { message: None, place: None, help, fix: Some((at - head..at + tail, written)) })
}

/// The probable type of a parameter with this default.
fn type_of(default: &str) -> &'static str {
    let ends = |word: &str| default.trim_end().ends_with(word);
    match default {
        _ if default.contains('%') => "ratio",
        _ if ["epoch", "epochs", "step", "steps"].into_iter().any(ends) => "duration",
        _ if default.contains('"') => "text",
        _ if default.contains("e-") => "rate",
        _ => "number",
    }
}

/// `f1 > 85` instead of an interval.
fn comparison(before: &str, rest: &str) -> Option<String> {
    let metric = before.trim_end();
    let start = metric.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    let metric = metric[start..].strip_prefix("expect ").unwrap_or(&metric[start..]);
    let value = rest.trim_start_matches(['>', '<', '=', ' ']);
    let value = &value[..value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len())];
    if metric.is_empty() || value.is_empty() {
        return None;
    }
    let interval = if rest.starts_with('>') { format!("{value} .. 100") } else { format!("0 .. {value}") };
    Some(format!("write the interval that it must be in: `expect {{ {metric}: {interval} }}`"))
}

/// A block instead of a value: `by: obs { … }`, `sparsity: { … }` and `prune re:"…" { … }`.
fn block_as_value(before: &str, rest: &str, start: usize) -> Option<(Option<Range<usize>>, String)> {
    if let Some(mark) = before.find("re:\"") {
        let pattern = before[mark + 4..].split('"').next()?;
        let place = start + mark..start + mark + 3;
        return Some((Some(place), format!("write `re\"{pattern}\"`, without a colon")));
    }
    let (_, value) = before.rsplit_once(':')?;
    let word = value.trim();
    if word.is_empty() {
        let help = "a setting has one value; what differs between parameters is said in lines of its own, \
                    as `target PARAMS: 80%` in `prune` and `factor PARAMS: 10` in `lr`";
        return Some((None, help.to_owned()));
    }
    let inner = rest[1..].split('}').next()?.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_word = word.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_word.then(|| (None, format!("its settings are written in parentheses: `{word}({inner})`")))
}

/// Whether a path without quotes begins here.
fn begins_a_path(before: &str, rest: &str) -> bool {
    let begins = before.trim_end().ends_with([':', ' ']) || before.trim_end().ends_with(':');
    begins && ["./", "../", "/", "~/"].into_iter().any(|p| rest.starts_with(p)) && !rest.starts_with("//")
}

/// A colon after a value: `2:4`, or a second setting on the same line.
fn colon(before: &str, rest: &str, at: usize) -> Option<ForeignSyntax> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let keep = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let of = digits(&rest[1..]);
    if keep > 0 && of > 0 {
        let (keep_text, of_text) = (&before[before.len() - keep..], &rest[1..1 + of]);
        let written = format!("n_of_m({keep_text}, {of_text})");
        let help = format!("write `{written}`");
        return Some(ForeignSyntax::replace(at - keep..at + 1 + of, &written, help));
    }
    let Some((_, value)) = before.rsplit_once(':').or_else(|| before.rsplit_once('{')) else {
        let word = before.trim();
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        let help = format!("settings belong in a recipe: `recipe NAME for 3 epochs {{ {word}{rest} }}`");
        return is_word.then_some(ForeignSyntax { message: None, place: None, help, fix: None });
    };
    let key = last_key(value.trim_end())?;
    let from = at - before.len() + before.rfind(key)?;
    let gap = before.trim_end().len() - key.len();
    let space = gap - before[..gap].trim_end().len();
    Some(ForeignSyntax {
        place: None,
        message: Some(format!("two settings on one line, and nothing between them before `{key}`")),
        help: format!("a comma or a new line is missing before `{key}`"),
        fix: Some((from - space..from, ", ".to_owned())),
    })
}

/// The key before a colon at the end of a value: a word, or a window.
fn last_key(value: &str) -> Option<&str> {
    if let Some(dots) = value.rfind("..") {
        let start = value[..dots].trim_end().rfind([' ', '\t', ')']).map_or(0, |i| i + 1);
        return Some(&value[start..]).filter(|_| start > 0);
    }
    let start = value.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    let word = &value[start..];
    (word.starts_with(|c: char| c.is_alphabetic()) && !value[..start].trim().is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_begins_on_the_line_of_another_is_found() {
        assert_eq!(last_key(" magnitude() sparsity"), Some("sparsity"));
        assert_eq!(last_key(" 8e-5 -> 8e-6 linear 2..30 epochs"), Some("2..30 epochs"));
        assert_eq!(last_key(" sparsity"), None);
        assert_eq!(last_key(" a → é"), Some("é"));
    }
}
