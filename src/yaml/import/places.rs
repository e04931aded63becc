//! Maps spans of the generated text back to the YAML.
//!
//! The formatter changes only white space and commas. So a position is counted in characters that are
//! neither (marks), which is the same before and after formatting.

use std::ops::Range;

use crate::diag::Span;

/// The longest span in bytes that is shown for text from several fields.
const MAX_JOINED_SPAN: u32 = 100;

/// The spans of the YAML from which the parts of a text come.
#[derive(Debug)]
pub(super) struct Places {
    /// For each byte of the formatted text, the number of marks before it.
    marks: Vec<u32>,
    /// Ranges of marks, and where they come from.
    segments: Vec<(Range<u32>, Span)>,
    fallback: Span,
}

impl Places {
    /// `segments` are byte ranges of `written`, whose formatted text is `formatted`. `None` if the formatter
    /// changed more than white space and commas.
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

    /// The span in the YAML for a span of the formatted text.
    pub(super) fn of(&self, span: Span) -> Span {
        let at = |byte: u32| self.marks[(byte as usize).min(self.marks.len() - 1)];
        let (start, end) = (at(span.start), at(span.end).max(at(span.start) + 1));
        let overlaps = |range: &Range<u32>| range.start < end && start < range.end;
        let mut found: Vec<&(Range<u32>, Span)> = self.segments.iter().filter(|(r, _)| overlaps(r)).collect();
        // The smallest segment that contains the span, or else all segments that overlap it.
        found.sort_by_key(|(range, _)| range.end - range.start);
        if let Some((_, span)) = found.iter().find(|(r, _)| r.start <= start && end <= r.end) {
            return *span;
        }
        found.sort_by_key(|(range, _)| range.start);
        match found.split_first() {
            Some(((_, first), rest)) => {
                let whole = rest.iter().fold(*first, |all, (_, s)| all.to(*s));
                if whole.end - whole.start <= MAX_JOINED_SPAN { whole } else { *first }
            }
            None => self.fallback,
        }
    }
}

/// Whether the formatter keeps a character.
fn is_mark(c: char) -> bool {
    !c.is_whitespace() && c != ','
}

/// For each byte and for the end, the number of marks before it.
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
