//! Globs over parameter names, matched without a regular expression.
//!
//! A recipe may list many thousands of names. Compiling a regular expression for each takes about a
//! tenth of a millisecond; this costs nothing to prepare. Braces stay with the regular expressions.

/// Whether `name` matches `glob`: `*` is one segment between dots (or a part of it), `**` any text,
/// `?` one character that is no dot. There are no braces in `glob`.
///
/// One place to return to for the last `*` and one for the last `**` are enough: an earlier star
/// never has to give back what a later one of its kind could take. So the time is at most the product
/// of both lengths.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    let (glob, name) = (glob.as_bytes(), name.as_bytes());
    let (mut g, mut n) = (0, 0);
    // Where to go on in the glob and in the name when what follows the star does not fit.
    let mut segment: Option<(usize, usize)> = None;
    let mut text: Option<(usize, usize)> = None;
    loop {
        if glob[g..].starts_with(b"**") {
            g += 2;
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
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!matches(&"**a".repeat(50), &"a.".repeat(2_000).replace("a.a", "b")));
        assert!(!matches(&format!("{}b", "*a**".repeat(40)), &"a".repeat(3_000)));
    }
}
