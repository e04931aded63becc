//! From the generated text back to the YAML.
//!
//! The formatter moves words over lines and adds or removes commas, but changes nothing else. So a
//! place is counted in characters that are neither space nor comma, before and after formatting.

use std::ops::Range;

use crate::diag::Span;

/// Places that lie further apart, in bytes, are not shown as one.
const A_FEW_WORDS: u32 = 100;

/// Which words of a text come from where.
#[derive(Debug)]
pub(super) struct Places {
    /// For each byte of the formatted text, the marks before it.
    marks: Vec<u32>,
    /// Marks of the text, and where they come from.
    segments: Vec<(Range<u32>, Span)>,
    fallback: Span,
}

impl Places {
    /// `segments` are byte ranges of `written`, which the formatter made into `formatted`. `None` if
    /// the formatter changed more than space and commas.
    pub(super) fn new(
        written: &str,
        formatted: &str,
        segments: &[(Range<usize>, Span)],
        fallback: Span,
    ) -> Option<Self> {
        let same = written.chars().filter(|c| is_mark(*c)).eq(formatted.chars().filter(|c| is_mark(*c)));
        if !same {
            return None;
        }
        let before = count(written);
        let segments =
            segments.iter().map(|(range, span)| (before[range.start]..before[range.end], *span)).collect();
        Some(Places { marks: count(formatted), segments, fallback })
    }

    /// The place in the YAML of a place in the formatted text.
    pub(super) fn of(&self, span: Span) -> Span {
        let at = |byte: u32| self.marks[(byte as usize).min(self.marks.len() - 1)];
        let (start, end) = (at(span.start), at(span.end).max(at(span.start) + 1));
        let overlaps = |range: &Range<u32>| range.start < end && start < range.end;
        let mut found: Vec<&(Range<u32>, Span)> = self.segments.iter().filter(|(r, _)| overlaps(r)).collect();
        // The smallest word that holds all of it; else everything that it touches on the way.
        found.sort_by_key(|(range, _)| range.end - range.start);
        if let Some((_, span)) = found.iter().find(|(r, _)| r.start <= start && end <= r.end) {
            return *span;
        }
        found.sort_by_key(|(range, _)| range.start);
        match found.split_first() {
            Some(((_, first), rest)) => {
                let whole = rest.iter().fold(*first, |all, (_, s)| all.to(*s));
                if whole.end - whole.start <= A_FEW_WORDS { whole } else { *first }
            }
            None => self.fallback,
        }
    }
}

fn is_mark(c: char) -> bool {
    !c.is_whitespace() && c != ','
}

/// For each byte, and the end, the marks before it.
fn count(text: &str) -> Vec<u32> {
    let mut marks = Vec::with_capacity(text.len() + 1);
    let mut seen = 0;
    for c in text.chars() {
        marks.extend(std::iter::repeat_n(seen, c.len_utf8()));
        seen += u32::from(is_mark(c));
    }
    marks.push(seen);
    marks
}
