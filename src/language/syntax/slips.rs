//! Slips of other languages in a statement that cannot be read, each with what to write here.

use std::ops::Range;

/// What a slip is called, what to say, and what to put where.
pub(super) struct Slip {
    pub(super) message: Option<String>,
    pub(super) help: String,
    pub(super) fix: Option<(Range<usize>, String)>,
}

impl Slip {
    fn replace(place: Range<usize>, by: &str, help: String) -> Self {
        Slip { message: None, help, fix: Some((place, by.to_owned())) }
    }
}

/// The slip of `text` at the byte where it cannot be read on; `statement` is where its statement stands.
pub(super) fn slip(text: &str, statement: Range<usize>, at: usize) -> Option<Slip> {
    let (before, rest) = (text.get(statement.start..at)?, text.get(at..statement.end)?);
    let width = |n: usize| at..at + n;
    if before.ends_with("..") && rest.starts_with('.') {
        return Some(Slip::replace(at - 2..at + 1, "..", "a range has two dots: `0..30 epochs`".into()));
    }
    match rest.chars().next()? {
        ';' if rest[1..].trim().is_empty() => {
            Some(Slip::replace(width(1), "", "remove it: a statement ends with its line".into()))
        }
        ';' => Some(Slip::replace(width(1), ",", "write `,`, or begin a new line".into())),
        '=' if rest.starts_with("=>") => Some(Slip::replace(width(2), "->", "write `->`".into())),
        '=' => {
            let space = before.len() - before.trim_end().len();
            Some(Slip::replace(at - space..at + 1, ":", "write `:` between a name and its value".into()))
        }
        '/' if rest.starts_with("//") || before.ends_with('/') => {
            let start = if rest.starts_with("//") { at } else { at - 1 };
            Some(Slip::replace(start..start + 2, "#", "a comment begins with `#`".into()))
        }
        arrow @ ('→' | '⇒' | '⟶') => {
            Some(Slip::replace(width(arrow.len_utf8()), "->", "write `->`".into()))
        }
        '…' => Some(Slip::replace(width('…'.len_utf8()), "..", "write `..`".into())),
        '\'' => {
            let inner = rest[1..].split('\'').next()?;
            let closed = rest[1..].len() > inner.len();
            let is_number = inner.starts_with(|c: char| c.is_ascii_digit());
            let written = if is_number { inner.to_owned() } else { format!("\"{inner}\"") };
            let help = match is_number {
                true => format!("numbers are written without quotes: `{written}`"),
                false => format!("text stands in double quotes: `{written}`"),
            };
            let fix = (closed && !inner.contains('"')).then(|| (width(inner.len() + 2), written));
            Some(Slip { message: None, help, fix })
        }
        '.' => {
            let digits: String = rest[1..].chars().take_while(|c| c.is_ascii_digit()).collect();
            (!digits.is_empty())
                .then(|| Slip::replace(width(0), "0", format!("write the zero before the dot: `0.{digits}`")))
        }
        '*' => unquoted_pattern(before, rest, at),
        ':' => colon(before, rest, at),
        _ => None,
    }
}

/// `params(bert.embeddings.*)`
fn unquoted_pattern(before: &str, rest: &str, at: usize) -> Option<Slip> {
    let is_pattern = |c: char| c.is_alphanumeric() || "._*?".contains(c);
    let head = before.len() - before.trim_end_matches(is_pattern).len();
    let tail = rest.len() - rest.trim_start_matches(is_pattern).len();
    let pattern = format!("{}{}", &before[before.len() - head..], &rest[..tail]);
    if !pattern.contains(".*") {
        return None;
    }
    let inside = before[..before.len() - head].trim_end().ends_with("params(");
    let written = if inside { format!("\"{pattern}\"") } else { format!("params(\"{pattern}\")") };
    let help = format!("a pattern of names stands in quotes: `params(\"{pattern}\")`");
    Some(Slip { message: None, help, fix: Some((at - head..at + tail, written)) })
}

/// A colon behind a value: `2:4`, or a setting whose line did not end before it.
fn colon(before: &str, rest: &str, at: usize) -> Option<Slip> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let keep = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let of = digits(&rest[1..]);
    if keep > 0 && of > 0 {
        let (keep_text, of_text) = (&before[before.len() - keep..], &rest[1..1 + of]);
        let written = format!("n_of_m({keep_text}, {of_text})");
        let help = format!("write `{written}`");
        return Some(Slip::replace(at - keep..at + 1 + of, &written, help));
    }
    let (_, value) = before.rsplit_once(':').or_else(|| before.rsplit_once('{'))?;
    let key = last_key(value.trim_end())?;
    let from = at - before.len() + before.rfind(key)?;
    let gap = before.trim_end().len() - key.len();
    let space = gap - before[..gap].trim_end().len();
    Some(Slip {
        message: Some(format!("two settings on one line, and nothing between them before `{key}`")),
        help: format!("a comma or a new line is missing before `{key}`"),
        fix: Some((from - space..from, ", ".to_owned())),
    })
}

/// What stands before a colon at the end of a value that should have ended: a word, or a window.
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
