//! Source lines around a span for miette, found by the index of lines, so that large files are not scanned.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::diag::{SourceFile, Sources, Span};

/// The longest line that is drawn, in bytes.
const LONGEST_LINE: usize = 2_000;
/// The most lines between labels that share one snippet.
pub const JOINED: usize = 4;
/// The most lines between a label with a snippet and the primary one.
pub const APART: usize = 12;
/// The most lines of a span that is drawn whole; of a longer one only the first line is drawn.
const MOST_LINES: usize = 12;

/// A file as a source of miette.
#[derive(Debug)]
pub struct Lines<'a>(pub &'a SourceFile);

impl SourceCode for Lines<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let file = self.0;
        let (start, end) = (span.offset(), span.offset() + span.len());
        if end > file.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let (first, last) = (file.line_at(start), file.line_at(end.saturating_sub(1).max(start)));
        let (range, line, column) = if before == 0 {
            (start..end, first, file.line_column(start as u32).column - 1)
        } else {
            let top = first.saturating_sub(before);
            (file.line(top).start..file.line(last + after).end, top, 0)
        };
        let data = &file.text.as_bytes()[range.clone()];
        let covered = (range.start, range.len()).into();
        let lines = last - line + 1;
        let line = line + file.lines_before();
        // miette joins the snippets of labels between which there are fewer lines than this.
        let count = lines + JOINED;
        Ok(Box::new(MietteSpanContents::new_named(file.name.clone(), data, covered, line, column, count)))
    }
}

/// The part of a span that is drawn; `None` if a line is too long. miette draws nothing for an empty span at the
/// end of a text, and fails for one that exceeds it, so both are moved to the last character.
pub fn drawable(span: Span, sources: &Sources) -> Option<std::ops::Range<usize>> {
    let file = sources.get(span.file);
    let text = &file.text;
    let end = (span.end as usize).min(text.len());
    let start = (span.start as usize).min(end);
    let range = if start < end || start < text.len() {
        start..end
    } else {
        let last = text.trim_end().char_indices().next_back();
        last.map_or(0..0, |(at, c)| at..at + c.len_utf8())
    };
    let (first, last) = (file.line_at(range.start), file.line_at(range.end));
    let around = first.saturating_sub(1)..=(last.min(first + MOST_LINES) + 1);
    if around.into_iter().any(|line| file.line(line).len() > LONGEST_LINE) {
        return None;
    }
    if last - first < MOST_LINES {
        return Some(range);
    }
    let line = &text[range.start..file.line(first).end];
    Some(range.start..range.start + line.trim_end().len())
}
