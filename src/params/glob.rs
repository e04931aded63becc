//! Globs over parameter names, matched without a regular expression where possible.
//!
//! A recipe may list many thousands of names, and compiling a regular expression takes about a tenth of a
//! millisecond. A glob without braces needs no preparation; braces are expanded if that gives few globs.

use regex::Regex;

/// The largest number of globs to which the braces of one are expanded.
const MOST_ALTERNATIVES: usize = 64;

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A `{` without its `}` or the reverse.
    #[error("`{0}` has an unbalanced brace")]
    Braces(String),
    /// The regular expression does not compile.
    #[error("{0}")]
    Regex(String),
}

/// Expands the braces of a glob. `None` if that gives more than [`MOST_ALTERNATIVES`] globs, or would join two `*` to
/// a `**`.
///
/// # Errors
/// An unbalanced brace.
pub(super) fn alternatives(glob: &str) -> Result<Option<Vec<String>>, SelectorError> {
    if !glob.contains(['{', '}']) {
        return Ok(Some(vec![glob.to_owned()]));
    }
    let unbalanced = || SelectorError::Braces(glob.to_owned());
    // For each open brace, and for the whole glob at the bottom: the expansions of the alternatives that have ended,
    // and those of the current one.
    let mut open: Vec<(Vec<String>, Vec<String>)> = vec![(Vec::new(), vec![String::new()])];
    for (at, c) in glob.char_indices() {
        let depth = open.len();
        let (ended, current) = open.last_mut().ok_or_else(unbalanced)?;
        match c {
            '{' => open.push((Vec::new(), vec![String::new()])),
            ',' if depth > 1 => ended.extend(std::mem::replace(current, vec![String::new()])),
            '}' => {
                let (mut inner, last) = open.pop().ok_or_else(unbalanced)?;
                inner.extend(last);
                let (_, current) = open.last_mut().ok_or_else(unbalanced)?;
                let ends = |texts: &[String]| texts.iter().any(|text| text.ends_with('*'));
                let meet = ends(current) && inner.iter().any(|text| text.starts_with('*'));
                let next = glob[at + 1..].chars().next();
                // `{a*}*` is two stars of one segment each, `a**` is one of any text.
                let meet_behind = next.is_some_and(|c| "*{}".contains(c)) && (ends(&inner) || ends(current));
                if meet || meet_behind || inner.len() * current.len() > MOST_ALTERNATIVES {
                    return regex_of(glob).map(|_| None);
                }
                let joined =
                    current.iter().flat_map(|start| inner.iter().map(move |end| format!("{start}{end}")));
                *current = joined.collect();
            }
            c => current.iter_mut().for_each(|text| text.push(c)),
        }
    }
    match open.pop() {
        Some((_, whole)) if open.is_empty() => Ok(Some(whole)),
        _ => Err(unbalanced()),
    }
}

/// Whether `name` matches a glob without braces: `*` matches any characters but dots, `**` any text, `?` one character
/// that is no dot.
///
/// Backtracks only to the last `*` and the last `**`: no earlier star of the same kind could match more. So the time
/// is at most proportional to the product of both lengths.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    // Most names differ in their last characters, after the last star.
    for (a, b) in glob.iter().rev().zip(name.iter().rev()) {
        match a {
            b'*' | b'?' => break,
            a if a != b => return false,
            _ => {}
        }
    }
    let (mut g, mut n) = (0, 0);
    // The positions in the glob and in the name to backtrack to.
    let mut segment: Option<(usize, usize)> = None;
    let mut text: Option<(usize, usize)> = None;
    loop {
        if glob[g..].starts_with(b"**") {
            g += 2;
            if g == glob.len() {
                return true;
            }
            text = Some((g, n));
            segment = None;
            continue;
        }
        if glob.get(g) == Some(&b'*') {
            g += 1;
            segment = Some((g, n));
            continue;
        }
        match (glob.get(g), name.get(n)) {
            (None, None) => return true,
            (Some(b'?'), Some(&c)) if c != b'.' => {
                g += 1;
                n += length(c);
                continue;
            }
            (Some(a), Some(b)) if a == b && *a != b'?' => {
                (g, n) = (g + 1, n + 1);
                continue;
            }
            _ => {}
        }
        if let Some((after, from)) = segment
            && let Some(&c) = name.get(from)
            && c != b'.'
        {
            let from = from + length(c);
            segment = Some((after, from));
            (g, n) = (after, from);
        } else if let Some((after, from)) = text
            && let Some(&c) = name.get(from)
        {
            let from = from + length(c);
            text = Some((after, from));
            segment = None;
            (g, n) = (after, from);
        } else {
            return false;
        }
    }
}

/// The length in bytes of the UTF-8 character that starts with this byte.
fn length(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// Compiles a regular expression, anchored at both ends.
pub(super) fn compile(pattern: &str) -> Result<Regex, SelectorError> {
    regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(1 << 18)
        .build()
        .map_err(|e| SelectorError::Regex(e.to_string()))
}

/// The compiled regular expression of a glob.
pub(super) fn regex_of(glob: &str) -> Result<Regex, SelectorError> {
    compile(&glob_to_regex(glob)?)
}

/// The regular expression of a glob, without anchors.
pub(super) fn glob_to_regex(glob: &str) -> Result<String, SelectorError> {
    let mut regex = String::new();
    let mut depth = 0usize;
    let mut chars = glob.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => regex.push_str(".*"),
            '*' => regex.push_str("[^.]*"),
            '?' => regex.push_str("[^.]"),
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            '}' => {
                depth = depth.checked_sub(1).ok_or_else(|| SelectorError::Braces(glob.to_owned()))?;
                regex.push(')');
            }
            ',' if depth > 0 => regex.push('|'),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    if depth == 0 { Ok(regex) } else { Err(SelectorError::Braces(glob.to_owned())) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..Default::default() })]

        #[test]
        fn a_glob_matches_what_its_regular_expression_matches(
            glob in "[ab.é*?]{0,9}",
            name in "[ab.é]{0,9}",
        ) {
            let regex = regex_of(&glob).unwrap();
            prop_assert_eq!(matches(&glob, &name), regex.is_match(&name), "{} on {}", glob, name);
        }

        #[test]
        fn expanded_braces_match_what_their_regular_expression_matches(
            glob in "[a.*{},]{0,12}",
            name in "[a.,]{0,6}",
        ) {
            let (expanded, regex) = (alternatives(&glob), regex_of(&glob));
            prop_assert_eq!(expanded.is_err(), regex.is_err(), "{}", glob);
            if let (Ok(Some(globs)), Ok(regex)) = (expanded, regex) {
                let found = globs.iter().any(|g| matches(g, &name));
                prop_assert_eq!(found, regex.is_match(&name), "{} on {}", glob, name);
            }
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!matches(&"**a".repeat(50), &"a.".repeat(2_000).replace("a.a", "b")));
        assert!(!matches(&format!("{}b", "*a**".repeat(40)), &"a".repeat(3_000)));
    }
}
