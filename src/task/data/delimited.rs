//! Reads CSV and TSV files with the `csv` crate; detects quoting in TSV files, and malformed rows.
//!
//! In a CSV file a cell that begins with a quote is quoted (RFC 4180): it ends with a quote, quotes within it are
//! doubled, and it may contain commas and line ends. A quote inside an unquoted cell is a literal character.
//!
//! TSV files come in two dialects. GLUE's have no quoting: every quote is a character. Those of pandas and of Python's
//! `csv` module are quoted as CSV files are. A TSV file is read as quoted if every cell that begins with a quote is
//! well-formed, all rows then have as many cells as the header, and quoting was intended: the header is quoted, or a
//! cell contains a quote, a tab or a line end. A file with a line end inside a quoted cell is nevertheless read without
//! quoting if all its rows then have the same number of cells.

use std::ops::Range;

use csv::{ReaderBuilder, StringRecord, Terminator};

/// The delimiter, and whether cells can be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    delimiter: u8,
    quoting: bool,
}

/// A row of a file.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The line where it begins, from 1.
    pub line: usize,
    /// The row as the file has it.
    pub text: &'a str,
    /// Its cells.
    pub cells: &'a StringRecord,
}

/// A fault in the quotes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The malformed bytes of the row.
    pub bytes: Range<usize>,
    /// The fault in one sentence.
    pub why: &'static str,
}

impl Dialect {
    /// The dialect of CSV files.
    pub const COMMAS: Dialect = Dialect { delimiter: b',', quoting: true };

    /// Detects the dialect of a TSV file.
    pub fn of_tsv(text: &str) -> Dialect {
        Dialect { delimiter: b'\t', quoting: is_quoted_tsv(text) }
    }

    /// Calls `take` with each row that is not blank, until it returns false.
    pub fn each<'t>(&self, text: &'t str, mut take: impl FnMut(Record<'_>) -> bool) {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.delimiter).quoting(self.quoting);
        // Without quoting a carriage return alone is a character.
        if !self.quoting && text.contains('\n') {
            builder.terminator(Terminator::Any(b'\n'));
        }
        let mut reader = builder.from_reader(text.as_bytes());
        let mut cells = StringRecord::new();
        let (mut at, mut line) = (0, 1);
        loop {
            let from = reader.position().byte() as usize;
            // The text is UTF-8 and rows may be uneven, so that reading cannot fail.
            if !reader.read_record(&mut cells).unwrap_or(false) {
                return;
            }
            let to = (reader.position().byte() as usize).min(text.len());
            let whole: &'t str = &text[from..to];
            let start = from + (whole.len() - whole.trim_start_matches(['\r', '\n']).len());
            line += line_ends(&text[at..start]);
            at = start;
            let row = text[start..to].trim_end_matches(['\r', '\n']);
            if row.trim_matches([' ', '\r', '\n']).is_empty() {
                continue;
            }
            if !take(Record { line, text: row, cells: &cells }) {
                return;
            }
        }
    }

    /// Finds a fault in the quotes of a row: quoting its cells again must give its text.
    pub fn defect(&self, record: &Record) -> Option<Defect> {
        if !self.quoting || !record.text.contains('"') {
            return None;
        }
        let mut at = 0;
        for (i, cell) in record.cells.iter().enumerate() {
            if i > 0 {
                at += 1;
            }
            let rest = record.text.get(at..)?;
            let Some(inside) = rest.strip_prefix('"') else {
                at += cell.len();
                continue;
            };
            let quotes = cell.bytes().filter(|b| *b == b'"').count();
            let length = cell.len() + quotes;
            let closed = inside.as_bytes().get(length) == Some(&b'"');
            let ends = inside.as_bytes().get(length + 1).is_none_or(|b| *b == self.delimiter);
            if !closed || !ends || inside.get(..length).is_none_or(|s| s.replace("\"\"", "\"") != *cell) {
                return Some(match closing_quote(inside).map(|end| at + 1 + end) {
                    Some(end) => {
                        Defect { bytes: end..end + 1, why: "text follows the quote that ends this cell" }
                    }
                    None => Defect { bytes: at..at + 1, why: "a quoted cell does not end" },
                });
            }
            at += length + 2;
        }
        None
    }
}

/// The position of the closing quote of a cell, in the text after its opening quote.
fn closing_quote(inside: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += inside[at..].find('"')?;
        match inside[at + 1..].starts_with('"') {
            true => at += 2,
            false => return Some(at),
        }
    }
}

/// Counts line ends: line feeds, and carriage returns without one.
fn line_ends(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |(i, byte): (usize, &u8)| {
        *byte == b'\n' || (*byte == b'\r' && bytes.get(i + 1).is_none_or(|next| *next != b'\n'))
    };
    bytes.iter().enumerate().filter(|(i, b)| ends((*i, b))).count()
}

/// Whether a TSV file is quoted; the module's documentation has the rule.
fn is_quoted_tsv(text: &str) -> bool {
    if !text.starts_with('"') && !text.contains("\t\"") && !text.contains("\n\"") {
        return false;
    }
    let quoted = Dialect { delimiter: b'\t', quoting: true };
    let (mut width, mut sound, mut on_purpose, mut has_line_ends) = (None, true, false, false);
    quoted.each(text, |record| {
        let is_header = width.is_none();
        let even = *width.get_or_insert(record.cells.len()) == record.cells.len();
        sound &= even && quoted.defect(&record).is_none();
        has_line_ends |= record.text.contains(['\n', '\r']);
        on_purpose |= is_header && record.text.starts_with('"');
        on_purpose |= record.text.contains("\"\"") || record.text.contains(['\n', '\r']);
        on_purpose |= record.cells.iter().any(|cell| cell.contains('\t'));
        sound
    });
    sound && on_purpose && !(has_line_ends && is_even(text))
}

/// Whether all rows of a TSV file have equally many cells if read without quoting.
fn is_even(text: &str) -> bool {
    let plain = Dialect { delimiter: b'\t', quoting: false };
    let (mut width, mut even) = (None, true);
    plain.each(text, |record| {
        even &= *width.get_or_insert(record.cells.len()) == record.cells.len();
        even
    });
    even
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(dialect: Dialect, text: &str) -> Vec<(usize, Vec<String>)> {
        let mut all = Vec::new();
        dialect.each(text, |record| {
            all.push((record.line, record.cells.iter().map(str::to_owned).collect()));
            true
        });
        all
    }

    fn defects(text: &str) -> Vec<(usize, usize, &'static str)> {
        let mut all = Vec::new();
        Dialect::COMMAS.each(text, |record| {
            all.extend(Dialect::COMMAS.defect(&record).map(|d| (record.line, d.bytes.start, d.why)));
            true
        });
        all
    }

    #[test]
    fn rows_have_the_line_where_they_begin() {
        let text = "a,b\r\n\r\n\"two\nlines\",2\r\n\n\n5\" pipe,1\r\nlast,3";
        let read = rows(Dialect::COMMAS, text);
        assert_eq!(read.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 7, 8]);
        assert_eq!(read[1].1, ["two\nlines", "2"]);
        assert_eq!(read[2].1, ["5\" pipe", "1"]);
        assert_eq!(rows(Dialect::COMMAS, "a\rb\rc\r").len(), 3, "line ends of an old Mac");
        assert!(defects(text).is_empty());
    }

    #[test]
    fn a_malformed_row_is_found_where_it_is() {
        let open = "a quoted cell does not end";
        let behind = "text follows the quote that ends this cell";
        assert_eq!(defects("a,b\nx,\"y\nz,1\n"), [(2, 2, open)]);
        assert_eq!(defects("a,b\n\"x\"y,1\n"), [(2, 2, behind)]);
        assert_eq!(defects("a,b\n\"he said \"no\" to, it\",1\nx,2\n")[0], (2, 9, behind));
        assert!(defects("a,b\n\"\",\"\"\"\"\n\"x,y\",z\"\"\n").is_empty());
    }

    #[test]
    fn quotes_of_a_tsv_are_quotes_only_if_they_were_written_as_such() {
        let quoted = |text: &str| Dialect::of_tsv(text).quoting;
        assert!(quoted("text\tlabel\n\"he said \"\"no\"\"\"\t1\nplain\t0\n"), "pandas");
        assert!(quoted("text\tlabel\n\"two\nlines\"\t1\nplain\t0\n"));
        assert!(quoted("text\tlabel\n\"a\tb\"\t1\n"));
        assert!(quoted("\"text\"\t\"label\"\n\"a\"\t\"b\"\n"), "everything is quoted");
        // GLUE's.
        assert!(!quoted("text\tlabel\n\"No\", he said.\t1\nhe said \"no\"\t0\n"));
        assert!(!quoted("text\tlabel\n\"No.\"\t1\nplain\t0\n"), "nothing needs these quotes");
        assert!(!quoted("text\tlabel\n\"He said \"\"no\"\"\"\t1\n\"open\t0\n"), "one is not sound");
        assert!(!quoted("text\tlabel\n\"open\tx\nplain\ty\nend\"\tz\n"), "rows are even without");
        assert!(!quoted("text\tlabel\nno quotes\t1\n"));
        let kept = rows(Dialect::of_tsv("a\tb\n\"x\ty\n"), "a\tb\n\"x\ty\r\nlone\rreturn\tz\n");
        assert_eq!(kept[1].1[0], "\"x");
        assert_eq!(kept[2].1[0], "lone\rreturn");
    }
}
