//! Application of fixes to a text (`obertc check --fix`).

use super::{Diagnostic, FileId, Fix};

/// Applies the fixes of `diagnostics` to the text of `file`. Returns the text and the number of fixes; `None` if
/// there are none. Of fixes that overlap or touch, only the first is applied; the next check finds the others
/// again.
pub fn apply(
    text: &str,
    file: FileId,
    diagnostics: &[Diagnostic],
    unsafe_too: bool,
) -> Option<(String, usize)> {
    let mut fixes: Vec<&Fix> = diagnostics
        .iter()
        .filter_map(|d| d.fix.as_ref())
        .filter(|f| f.span.file == file && (f.safe || unsafe_too) && text.get(f.span.range()).is_some())
        .collect();
    fixes.sort_by_key(|f| (f.span.start, f.span.end));
    let mut fixed = String::with_capacity(text.len());
    let (mut done, mut count) = (0, 0);
    for fix in fixes {
        let range = fix.span.range();
        if count > 0 && range.start <= done {
            continue;
        }
        fixed.push_str(&text[done..range.start]);
        fixed.push_str(&fix.replacement);
        (done, count) = (range.end, count + 1);
    }
    fixed.push_str(&text[done..]);
    (count > 0).then_some((fixed, count))
}

/// Checks and fixes a text until no fix is left. Fixes that undo each other end at the text before the first of
/// them. Returns the text and the number of fixes.
pub fn fix_all(
    text: &str,
    unsafe_too: bool,
    mut check: impl FnMut(&str) -> (FileId, Vec<Diagnostic>),
) -> (String, usize) {
    let mut seen = vec![text.to_owned()];
    let mut total = 0;
    while let Some(now) = seen.last() {
        let (file, diagnostics) = check(now);
        let Some((fixed, count)) = apply(now, file, &diagnostics, unsafe_too) else { break };
        if seen.contains(&fixed) || seen.len() > MOST_ROUNDS {
            let first = seen.iter().position(|s| *s == fixed).unwrap_or(0);
            seen.truncate(first + 1);
            break;
        }
        seen.push(fixed);
        total += count;
    }
    let rounds = seen.len() - 1;
    (seen.pop().unwrap_or_default(), if rounds == 0 { 0 } else { total })
}

/// The most rounds of checking and fixing.
const MOST_ROUNDS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Code, Sources, Span};

    #[test]
    fn fixes_that_undo_each_other_end_where_they_began() {
        let file = Sources::new().add("x", "");
        let flip = |text: &str| {
            let other = if text == "a" { "b" } else { "a" };
            let found = Diagnostic::unlocated(Code::UnknownName, "").fix(Span::new(file, 0..1), other);
            (file, vec![found])
        };
        assert_eq!(fix_all("a", false, flip), ("a".into(), 0));
    }

    #[test]
    fn fixes_that_touch_are_left_for_the_next_round_and_unsafe_ones_need_a_flag() {
        let text = "one two three";
        let file = Sources::new().add("x", text);
        let at = |range: std::ops::Range<usize>| {
            Diagnostic::unlocated(Code::UnknownName, "").fix(Span::new(file, range), "X")
        };
        let mut guess = at(8..13);
        if let Some(fix) = &mut guess.fix {
            fix.safe = false;
        }
        let list = [at(0..3), at(3..7), guess];
        assert_eq!(apply(text, file, &list, false), Some(("X two three".into(), 1)));
        assert_eq!(apply(text, file, &list, true), Some(("X two X".into(), 2)));
        assert_eq!(apply(text, file, &[], true), None);
    }
}
