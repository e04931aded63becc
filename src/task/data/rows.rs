//! Tables with named columns: TSV as GLUE writes it, CSV, JSON lines, and Parquet as `datasets`
//! writes it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::diag::{Code, Diagnostic, Sources, nearest};

use super::files;
use super::parquet::Parquet;

/// The extensions of tables.
pub const EXTENSIONS: &[&str] = &["tsv", "csv", "jsonl", "parquet"];

/// A table: its text and its columns.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    kind: Kind,
    text: String,
    columns: Vec<String>,
    parquet: Option<Parquet>,
}

/// The wanted cells of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file, from 1; in a Parquet file its row.
    pub line: usize,
    /// The cells in the order of the columns asked for.
    pub cells: Vec<String>,
}

/// Rows, and how many had too few or too many cells.
#[derive(Debug, Default)]
pub struct Rows {
    /// The sound rows.
    pub rows: Vec<Row>,
    /// The lines of the others, which are left out.
    pub broken: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Cells between tabs, quotes are characters like any other.
    Tabs,
    /// Cells between commas, quoted where they must be (RFC 4180).
    Commas,
    /// An object a line.
    Objects,
    /// Columns of a Parquet file; the text is a list of their names.
    Columns,
}

impl Table {
    /// Reads a table and the names of its columns.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, or whose first line names no columns.
    pub fn read(path: &Path, sources: &mut Sources) -> Result<Self, Diagnostic> {
        if path.extension().is_some_and(|e| e == "parquet") {
            let parquet = Parquet::open(path)?;
            let columns = parquet.columns().to_vec();
            let (kind, text) = (Kind::Columns, columns.join(", "));
            return Ok(Table { path: path.to_owned(), kind, text, columns, parquet: Some(parquet) });
        }
        let text = files::text(path)?;
        let kind = match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => Kind::Commas,
            Some("jsonl") => Kind::Objects,
            _ => Kind::Tabs,
        };
        let mut table = Table { path: path.to_owned(), kind, text, columns: Vec::new(), parquet: None };
        let (line, text) = table.records().next().unwrap_or((1, ""));
        let columns = match kind {
            Kind::Objects => match serde_json::from_str::<Value>(text) {
                Ok(Value::Object(object)) => object.keys().cloned().collect(),
                Ok(_) => return Err(table.not_an_object(line, text, "no JSON object", sources)),
                Err(e) => return Err(table.not_an_object(line, text, &e.to_string(), sources)),
            },
            _ => table.split(line, text, sources)?.into_iter().map(Cow::into_owned).collect(),
        };
        table.columns = columns;
        Ok(table)
    }

    /// The columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The first of `names` that is a column.
    ///
    /// # Errors
    /// None of them is: a diagnostic that lists what there is.
    pub fn first_of<'a>(
        &self,
        names: &[&'a str],
        what: &str,
        sources: &mut Sources,
    ) -> Result<&'a str, Diagnostic> {
        let known = |name: &&&str| self.columns.iter().any(|c| c == **name);
        if let Some(name) = names.iter().find(known) {
            return Ok(name);
        }
        let wanted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
        let near = names.iter().find_map(|n| nearest(n, self.columns.iter().map(String::as_str)));
        let columns = self.columns.join(", ");
        let help = near.map_or(format!("its columns are {columns}"), |n| format!("did you mean `{n}`?"));
        let (line, text) = self.records().next().unwrap_or((1, ""));
        let message = format!("there is no column {} for the {what}", wanted.join(" or "));
        Err(files::in_line(Code::ColumnMissing, message, (&self.path, line, text), "the columns", sources)
            .help(help))
    }

    /// The cells of these columns, which exist, row by row.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn rows(&self, columns: &[&str], sources: &mut Sources) -> Result<Rows, Diagnostic> {
        let mut rows = Rows::default();
        if let Some(parquet) = &self.parquet {
            let texts = parquet.texts(columns)?.into_iter().enumerate();
            rows.rows = texts.map(|(i, cells)| Row { line: i + 1, cells }).collect();
            return Ok(rows);
        }
        let places: Vec<usize> =
            columns.iter().filter_map(|c| self.columns.iter().position(|known| known == c)).collect();
        for (line, text) in self.records().skip(usize::from(self.kind != Kind::Objects)) {
            if self.kind == Kind::Objects {
                rows.rows.push(Row { line, cells: self.object(line, text, columns, sources)? });
                continue;
            }
            let cells = self.split(line, text, sources)?;
            if cells.len() == self.columns.len() {
                let cells = places.iter().map(|i| cells[*i].trim().to_owned()).collect();
                rows.rows.push(Row { line, cells });
            } else {
                rows.broken.push(line);
            }
        }
        Ok(rows)
    }

    /// An error that shows a line of this file.
    pub fn wrong(
        &self,
        code: Code,
        message: impl Into<String>,
        line: usize,
        label: &str,
        sources: &mut Sources,
    ) -> Diagnostic {
        let text = match self.kind {
            Kind::Columns => self.text.as_str(),
            _ => self.text.lines().nth(line.saturating_sub(1)).unwrap_or(""),
        };
        files::in_line(code, message, (&self.path, line, text), label, sources)
    }

    /// Whether a column's -1 stands for no class.
    pub fn is_class(&self, column: &str) -> bool {
        self.parquet.as_ref().is_some_and(|parquet| parquet.is_class(column))
    }

    /// What a place in the file is counted in.
    pub fn unit(&self) -> &'static str {
        if self.kind == Kind::Columns { "row" } else { "line" }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every record with its first line; a quoted cell of a CSV may hold line ends.
    fn records(&self) -> impl Iterator<Item = (usize, &str)> {
        let (mut rest, mut line) = (self.text.as_str(), 1);
        std::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    return None;
                }
                let mut quoted = false;
                let end = rest.bytes().position(|b| {
                    quoted ^= b == b'"' && self.kind == Kind::Commas;
                    b == b'\n' && !quoted
                });
                let (record, tail) = match end {
                    Some(end) => (&rest[..end], &rest[end + 1..]),
                    None => (rest, ""),
                };
                let first = line;
                line += record.bytes().filter(|b| *b == b'\n').count() + 1;
                rest = tail;
                let record = record.strip_suffix('\r').unwrap_or(record);
                if !record.trim().is_empty() {
                    return Some((first, record));
                }
            }
        })
    }

    fn split<'a>(
        &self,
        line: usize,
        record: &'a str,
        sources: &mut Sources,
    ) -> Result<Vec<Cow<'a, str>>, Diagnostic> {
        if self.kind == Kind::Tabs {
            return Ok(record.split('\t').map(Cow::Borrowed).collect());
        }
        let mut cells = Vec::new();
        let mut rest = record;
        loop {
            let Some(inside) = rest.strip_prefix('"') else {
                let (cell, tail) = rest.split_once(',').map_or((rest, None), |(c, t)| (c, Some(t)));
                cells.push(Cow::Borrowed(cell));
                match tail {
                    Some(tail) => rest = tail,
                    None => return Ok(cells),
                }
                continue;
            };
            // A doubled quote is a quote; a single one ends the cell.
            let mut at = 0;
            let end = loop {
                match inside[at..].find('"').map(|i| at + i) {
                    Some(i) if inside[i + 1..].starts_with('"') => at = i + 2,
                    other => break other,
                }
            };
            let tail = end.map(|end| &inside[end + 1..]).filter(|t| t.is_empty() || t.starts_with(','));
            let (Some(end), Some(tail)) = (end, tail) else {
                let first = record.lines().next().unwrap_or("");
                let message = "a quoted cell does not end before the next one";
                return Err(files::in_line(
                    Code::DataNotReadable,
                    message,
                    (&self.path, line, first),
                    "in this row",
                    sources,
                )
                .help("was the file cut off? a quote within a cell is doubled in CSV"));
            };
            cells.push(Cow::Owned(inside[..end].replace("\"\"", "\"")));
            match tail.strip_prefix(',') {
                Some(tail) => rest = tail,
                None => return Ok(cells),
            }
        }
    }

    fn object(
        &self,
        line: usize,
        text: &str,
        columns: &[&str],
        sources: &mut Sources,
    ) -> Result<Vec<String>, Diagnostic> {
        let object = match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(self.not_an_object(line, text, "no JSON object", sources)),
            Err(e) => return Err(self.not_an_object(line, text, &e.to_string(), sources)),
        };
        let cell = |column: &&str| match object.get(*column)? {
            Value::String(text) => Some(text.trim().to_owned()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => None,
        };
        let cells: Option<Vec<String>> = columns.iter().map(cell).collect();
        cells.ok_or_else(|| {
            let lost = columns.iter().find(|c| cell(c).is_none()).copied().unwrap_or_default();
            let message = format!("line {line} of `{}` has no text for `{lost}`", self.path.display());
            let at = (self.path.as_path(), line, text);
            files::in_line(Code::ColumnMissing, message, at, "this object", sources)
                .help("every object needs the same keys, with a text or a number each")
        })
    }

    fn not_an_object(&self, line: usize, text: &str, why: &str, sources: &mut Sources) -> Diagnostic {
        let message = format!("line {line} of `{}` is no JSON object", self.path.display());
        files::in_line(Code::DataNotReadable, message, (&self.path, line, text), why, sources)
            .help("a .jsonl file holds one object a line; was it cut off?")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, text: &str) -> Result<(Table, Sources), Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut sources = Sources::new();
        Table::read(&path, &mut sources).map(|t| (t, sources))
    }

    fn cells(name: &str, text: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let (table, mut sources) = table(name, text).unwrap();
        table.rows(columns, &mut sources).unwrap().rows.into_iter().map(|r| r.cells).collect()
    }

    #[test]
    fn a_tsv_takes_quotes_for_characters_and_columns_by_name() {
        let text = "id\ta\tb\r\n1\t\"half\ttwo\r\n\r\n2\tx\ty\r\n";
        assert_eq!(cells("t.tsv", text, &["b", "a"]), [["two", "\"half"], ["y", "x"]]);
    }

    #[test]
    fn a_csv_has_commas_quotes_and_line_ends_inside_quotes() {
        let text = "a,b\n\"x, \"\"y\"\"\",1\n\"two\nlines\",2\nplain,3";
        assert_eq!(
            cells("t.csv", text, &["a", "b"]),
            [["x, \"y\"", "1"], ["two\nlines", "2"], ["plain", "3"]]
        );
        let (table, mut sources) = table("t.csv", "a,b\n\"x,1\n").unwrap();
        assert!(table.rows(&["a"], &mut sources).unwrap_err().message.contains("does not end"));
    }

    #[test]
    fn json_lines_have_texts_and_numbers_and_a_cut_line_is_shown() {
        let text = "{\"a\": \"x\", \"b\": 3}\n{\"a\": \"y\", \"b\": true}\n";
        assert_eq!(cells("t.jsonl", text, &["a", "b"]), [["x", "3"], ["y", "true"]]);
        let (table, mut sources) = table("t.jsonl", "{\"a\": \"x\"}\n{\"a\": \"y").unwrap();
        assert!(table.rows(&["a"], &mut sources).unwrap_err().message.contains("line 2"));
        let (table, mut sources) = super::tests::table("t.jsonl", "{\"a\": \"x\"}\n{\"a\": null}").unwrap();
        assert_eq!(table.rows(&["a"], &mut sources).unwrap_err().code, Code::ColumnMissing);
    }

    #[test]
    fn rows_with_another_number_of_cells_are_counted() {
        let (table, mut sources) = table("t.tsv", "a\tb\n1\t2\n3\n4\t5\t6\n").unwrap();
        let rows = table.rows(&["a"], &mut sources).unwrap();
        assert_eq!((rows.rows.len(), rows.broken), (1, vec![3, 4]));
    }

    #[test]
    fn a_missing_column_is_named_with_the_nearest_one() {
        let (table, mut sources) = table("t.tsv", "sentence1\tlable\nx\ty\n").unwrap();
        let error = table.first_of(&["label"], "label", &mut sources).unwrap_err();
        assert_eq!(error.code, Code::ColumnMissing);
        assert_eq!(error.help.unwrap(), "did you mean `lable`?");
    }
}
