//! Globs over parameter names, matched without a regular expression.
//!
//! A recipe may list many thousands of names. Compiling a regular expression for each takes about a
//! tenth of a millisecond; this costs next to nothing to prepare. Braces are written out, if that is short.

use super::SelectorError;

/// More globs than this are not written out for the braces of one.
const MOST_ALTERNATIVES: usize = 64;

/// The globs without braces that `glob` stands for; `None` if they are many, or if stars would meet.
///
/// # Errors
/// A brace without its other.
pub(super) fn alternatives(glob: &str) -> Result<Option<Vec<String>>, SelectorError> {
    if !glob.contains(['{', '}']) {
        return Ok(Some(vec![glob.to_owned()]));
    }
    let unbalanced = || SelectorError::Braces(glob.to_owned());
    // For each open brace, and for the whole at the bottom: the texts of the alternatives that have ended,
    // and those of the one at hand.
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
                    return super::selector::regex_of(glob).map(|_| None);
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

/// Whether `name` matches `glob`: `*` is one segment between dots (or a part of it), `**` any text,
/// `?` one character that is no dot. There are no braces in `glob`.
///
/// One place to return to for the last `*` and one for the last `**` are enough: an earlier star
/// never has to give back what a later one of its kind could take. So the time is at most the product
/// of both lengths.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let tail = glob.rsplit(|c| *c == b'*' || *c == b'?').next().unwrap_or(glob);
    if !name.ends_with(tail) {
        return false;
    }
    let (mut g, mut n) = (0, 0);
    // Where to go on in the glob and in the name when what follows the star does not fit.
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

/// The bytes of the character that starts with this byte.
fn length(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
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
            let regex = super::super::selector::regex_of(&glob).unwrap();
            prop_assert_eq!(matches(&glob, &name), regex.is_match(&name), "{} on {}", glob, name);
        }

        #[test]
        fn braces_written_out_match_what_their_regular_expression_matches(
            glob in "[a.*{},]{0,12}",
            name in "[a.,]{0,6}",
        ) {
            let (written_out, regex) = (alternatives(&glob), super::super::selector::regex_of(&glob));
            prop_assert_eq!(written_out.is_err(), regex.is_err(), "{}", glob);
            if let (Ok(Some(globs)), Ok(regex)) = (written_out, regex) {
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
