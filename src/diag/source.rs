//! Source texts and spans in them.
//!
//! A [`Span`] is a byte range of a file; lines and columns are computed when a diagnostic is rendered.

use std::ops::Range;
use std::sync::Arc;

/// The index of a text in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub(crate) u32);

/// A byte range of one source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The bytes `range` of `file`.
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { file, start: clamp(range.start), end: clamp(range.end) }
    }

    /// The smallest span that covers both; `other` is ignored if it is in another file.
    pub fn to(self, other: Span) -> Span {
        if self.file != other.file {
            return self;
        }
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The byte range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A line and a column, both counted from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineColumn {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One source text with its name.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name shown: a path as the user gave it, or `--set target`.
    pub name: String,
    /// The whole text, or the part of it that is shown.
    pub text: String,
    line_starts: Vec<u32>,
    /// The position of the text in its file.
    first: LineColumn,
}

impl SourceFile {
    fn new(name: String, text: String) -> Self {
        let mut line_starts = vec![0];
        let bytes = text.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let ends_line = *byte == b'\n' || (*byte == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
            if ends_line {
                line_starts.push(i as u32 + 1);
            }
        }
        SourceFile { name, text, line_starts, first: LineColumn { line: 1, column: 1 } }
    }

    /// The number of lines of the file before the text.
    pub(crate) fn lines_before(&self) -> usize {
        self.first.line - 1
    }

    /// The line, counted from 0, that holds a byte offset.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start as usize <= offset) - 1
    }

    /// The bytes of a line, counted from 0, with its line break; empty after the last line.
    pub(crate) fn line(&self, line: usize) -> Range<usize> {
        let start = |line: usize| self.line_starts.get(line).map_or(self.text.len(), |s| *s as usize);
        start(line)..start(line + 1)
    }

    /// The line and column, in the file, of a byte offset in the text; for an offset past the end, of the end.
    pub fn line_column(&self, offset: u32) -> LineColumn {
        let offset = (offset as usize).min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start as usize <= offset) - 1;
        let start = self.line_starts[line] as usize;
        let column = self.text.get(start..offset).map_or(offset - start, |s| s.chars().count());
        let before = if line == 0 { self.first.column - 1 } else { 0 };
        LineColumn { line: line + self.first.line, column: before + column + 1 }
    }
}

/// All texts of a compilation.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Arc<SourceFile>>,
}

impl Sources {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text and returns its index.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.files.push(Arc::new(SourceFile::new(name.into(), text.into())));
        FileId(self.files.len() as u32 - 1)
    }

    /// Adds a part of a large file, which begins at `first`.
    pub fn add_part(
        &mut self,
        name: impl Into<String>,
        text: impl Into<String>,
        first: LineColumn,
    ) -> FileId {
        let part = SourceFile { first, ..SourceFile::new(name.into(), text.into()) };
        self.files.push(Arc::new(part));
        FileId(self.files.len() as u32 - 1)
    }

    /// The text with an index that [`Sources::add`] returned.
    pub fn get(&self, file: FileId) -> &SourceFile {
        &self.files[file.0 as usize]
    }

    /// All texts, in the order they were added.
    pub(crate) fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(i, file)| (FileId(i as u32), &**file))
    }

    /// The text that a span covers.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.file).text.get(span.range()).unwrap_or("")
    }

    /// Both ends of a span as lines and columns.
    pub fn ends(&self, span: Span) -> (LineColumn, LineColumn) {
        let file = self.get(span.file);
        (file.line_column(span.start), file.line_column(span.end))
    }

    /// The span's start as line and column.
    pub fn line_column(&self, span: Span) -> LineColumn {
        self.get(span.file).line_column(span.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_lf_crlf_and_lone_cr() {
        let mut sources = Sources::new();
        let id = sources.add("x", "ab\ncd\r\ne\rfé!");
        let file = sources.get(id);
        let at = |o| (file.line_column(o).line, file.line_column(o).column);
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(7), (3, 1));
        assert_eq!(at(9), (4, 1));
        assert_eq!(at(12), (4, 3), "columns count characters");
        assert_eq!(at(4000), (4, 4));
    }

    #[test]
    fn a_part_of_a_file_has_the_lines_and_columns_of_the_file() {
        let mut sources = Sources::new();
        let part = sources.add_part("train.csv", "fé,x\nb", LineColumn { line: 70, column: 12 });
        let at = |start: usize| {
            let place = sources.line_column(Span::new(part, start..start));
            (place.line, place.column)
        };
        assert_eq!((at(0), at(4), at(6)), ((70, 12), (70, 15), (71, 1)));
    }
}
