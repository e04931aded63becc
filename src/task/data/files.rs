//! Reads the text of data files, and makes diagnostics that show a part of it.

use std::ops::Range;
use std::path::Path;

use crate::diag::{Code, Diagnostic, LineColumn, Sources, Span};

/// The maximum length of a row in bytes. Longer rows mean missing line ends or an unclosed quote.
pub const LONGEST_ROW: usize = 16 << 20;

/// Reads a text file, without its byte-order mark.
///
/// # Errors
/// A file that cannot be read, is empty, or is not UTF-8.
pub fn text(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::DataNotReadable, format!("cannot read `{shown}`: {why}"))
            .help("save it as UTF-8 text")
    };
    let mut bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(unreadable("it is UTF-16, not UTF-8".into()));
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let before = &e.as_bytes()[..at];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        // The bytes before it are UTF-8.
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        unreadable(format!("line {line} is not UTF-8, from column {column} (byte {at} of the file) on"))
    })?;
    if text.trim().is_empty() {
        return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{shown}` is empty"))
            .help("is it the right file, and was it downloaded to its end?"));
    }
    Ok(text)
}

/// A row of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileRow<'a> {
    /// The file.
    pub path: &'a Path,
    /// The line where the row begins, from 1.
    pub line: usize,
    /// The row.
    pub text: &'a str,
}

impl FileRow<'_> {
    /// An error that shows the row.
    pub fn error(
        &self,
        code: Code,
        message: impl Into<String>,
        label: impl Into<String>,
        sources: &mut Sources,
    ) -> Diagnostic {
        self.error_at(0..self.text.len(), code, message, label, sources)
    }

    /// An error that shows these bytes of the row with some text around them, as rows can be long.
    pub fn error_at(
        &self,
        bytes: Range<usize>,
        code: Code,
        message: impl Into<String>,
        label: impl Into<String>,
        sources: &mut Sources,
    ) -> Diagnostic {
        const BEFORE: usize = 40;
        const SHOWN: usize = 120;
        let (text, start) = (self.text, floor(self.text, bytes.start));
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let from = floor(text, line_start.max(start.saturating_sub(BEFORE)));
        // Of a quoted cell with line ends the first line is shown.
        let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        let to = floor(text, line_end.min(from + SHOWN)).max(start);
        let first = LineColumn {
            line: self.line + text[..from].matches('\n').count(),
            column: text[line_start..from].chars().count() + 1,
        };
        let file = sources.add_part(self.path.display().to_string(), &text[from..to], first);
        let end = floor(text, bytes.end.clamp(start, to)).max((start + 1).min(to));
        Diagnostic::error(code, message, Span::new(file, start - from..end - from), label)
    }
}

/// The last character boundary at or before a byte.
pub fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_encodings_and_empty_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.tsv");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            text(&path)
        };
        assert_eq!(read(b"\xEF\xBB\xBFa\tb\n").unwrap(), "a\tb\n");
        assert!(read(b"\xFF\xFEa\0").unwrap_err().message.contains("UTF-16"));
        let message = read(b"ok\n\xC3\xA9na\xEFve\n").unwrap_err().message;
        assert!(message.contains("line 2") && message.contains("column 4"), "{message}");
        assert_eq!(read(b" \n").unwrap_err().code, Code::DataEmpty);
    }

    #[test]
    fn a_place_in_a_long_row_is_shown_with_what_is_around_it() {
        let text = format!("{}\n{}é wrong, {}", "x".repeat(300), "y".repeat(100), "z".repeat(300));
        let place = FileRow { path: Path::new("train.csv"), line: 7, text: &text };
        let at = text.find("wrong").unwrap();
        let mut sources = Sources::new();
        let error = place.error_at(at..at + 5, Code::DataNotReadable, "no", "here", &mut sources);
        let span = error.primary.unwrap().span;
        assert_eq!(sources.slice(span), "wrong");
        let found = sources.line_column(span);
        assert_eq!((found.line, found.column), (8, 103));
        assert!(sources.get(span.file).text.len() <= 120);
    }
}
