//! Positions of the protocol: a line, counted from 0, and a column in code units of the negotiated encoding.

use std::ops::Range;

use lsp_types::{Position, PositionEncodingKind, Range as LineRange};

/// What a column counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Code units of UTF-16, the default of the protocol.
    Utf16,
    /// Characters.
    Utf32,
}

impl Encoding {
    /// The encoding to use with a client that offers these: UTF-8 if possible, which needs no conversion.
    pub fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        let offered = offered.unwrap_or_default();
        if offered.contains(&PositionEncodingKind::UTF8) {
            Encoding::Utf8
        } else if offered.contains(&PositionEncodingKind::UTF32)
            && !offered.contains(&PositionEncodingKind::UTF16)
        {
            Encoding::Utf32
        } else {
            Encoding::Utf16
        }
    }

    /// The encoding's name in the protocol.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
            Encoding::Utf32 => PositionEncodingKind::UTF32,
        }
    }

    /// The length of a text in code units.
    pub fn length(self, text: &str) -> usize {
        match self {
            Encoding::Utf8 => text.len(),
            Encoding::Utf16 => text.encode_utf16().count(),
            Encoding::Utf32 => text.chars().count(),
        }
    }
}

/// The starts of a text's lines. A line ends with LF, CRLF or a lone CR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// The lines of a text.
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(i, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(i + 1) != Some(&b'\n'),
            _ => false,
        });
        Lines { starts: std::iter::once(0).chain(ends.map(|(i, _)| i + 1)).collect() }
    }

    /// The line, counted from 0, of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// The number of lines; a text that ends with a line break has an empty last line.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// The bytes of a line without its line break.
    pub fn range(&self, line: usize, text: &str) -> Range<usize> {
        let start = self.starts.get(line).copied().unwrap_or(text.len());
        let end = self.starts.get(line + 1).copied().unwrap_or(text.len());
        start..start + text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    /// The position of a byte offset; an offset inside a character is that of the character.
    pub fn position(&self, text: &str, offset: usize, encoding: Encoding) -> Position {
        let offset = floor(text, offset);
        let line = self.line(offset);
        let column = encoding.length(&text[self.starts[line]..offset]);
        Position { line: line as u32, character: column as u32 }
    }

    /// The positions of a range of bytes.
    pub fn span(&self, text: &str, range: Range<usize>, encoding: Encoding) -> LineRange {
        LineRange {
            start: self.position(text, range.start, encoding),
            end: self.position(text, range.end.max(range.start), encoding),
        }
    }

    /// The byte offset of a position. As the protocol says, a column past the end of its line is the end of the line;
    /// a line past the last is the end of the text.
    pub fn offset(&self, text: &str, position: Position, encoding: Encoding) -> usize {
        let line = position.line as usize;
        if line >= self.starts.len() {
            return text.len();
        }
        let range = self.range(line, text);
        let column = position.character as usize;
        let mut units = 0;
        for (at, c) in text[range.clone()].char_indices() {
            let next = units + encoding.length(c.encode_utf8(&mut [0; 4]));
            // A column inside a character is that of the character.
            if next > column {
                return range.start + at;
            }
            units = next;
        }
        range.end
    }
}

/// The start of the character at an offset; the end of the text for one past it.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "aß𝄞x\r\n\rß\n";

    #[test]
    fn columns_are_counted_in_the_negotiated_units() {
        let lines = Lines::new(TEXT);
        let at = |offset, encoding| {
            let Position { line, character } = lines.position(TEXT, offset, encoding);
            (line, character)
        };
        let x = TEXT.find('x').unwrap();
        assert_eq!(at(x, Encoding::Utf8), (0, 7));
        assert_eq!(at(x, Encoding::Utf16), (0, 4));
        assert_eq!(at(x, Encoding::Utf32), (0, 3));
        assert_eq!(at(x + 4, Encoding::Utf16), (2, 0), "CRLF is one line break, and the CR after it another");
        assert_eq!(at(99, Encoding::Utf16), (3, 0));
    }

    #[test]
    fn offsets_and_positions_are_inverse_in_every_encoding() {
        let lines = Lines::new(TEXT);
        for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32] {
            for (offset, c) in TEXT.char_indices().filter(|(_, c)| !matches!(c, '\n' | '\r')) {
                let position = lines.position(TEXT, offset, encoding);
                assert_eq!(lines.offset(TEXT, position, encoding), offset, "{c} in {encoding:?}");
            }
        }
    }

    #[test]
    fn positions_outside_the_text_or_inside_a_character_are_moved_to_it() {
        let lines = Lines::new(TEXT);
        let offset = |line, character| lines.offset(TEXT, Position { line, character }, Encoding::Utf16);
        assert_eq!(offset(0, 3), TEXT.find('𝄞').unwrap(), "between the halves of a surrogate pair");
        assert_eq!(offset(0, 999), TEXT.find('\r').unwrap());
        assert_eq!(offset(999, 0), TEXT.len());
        assert_eq!(lines.position(TEXT, 2, Encoding::Utf8), Position { line: 0, character: 1 });
    }
}
