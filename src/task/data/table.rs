//! Tables with named columns: TSV, CSV, JSON, JSON lines, and Parquet as `datasets` writes it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Sources, nearest};

use super::cell::Cell;
use super::delimited::{Dialect, Record};
use super::files::{self, FileRow};
use super::json_rows::{self, JsonRow};
use super::parquet::Parquet;

/// The file extensions of tables.
pub const EXTENSIONS: &[&str] = &["tsv", "csv", "jsonl", "json", "parquet"];

/// An open table.
#[derive(Debug)]
pub struct Table {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) content: Content,
    pub(super) columns: Vec<String>,
}

/// The selected cells of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its line in the file, or its number in a list of objects or a Parquet file; from 1.
    pub line: usize,
    /// The cells in the order of the selected columns.
    pub cells: Vec<Cell>,
}

/// The rows of a table.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows with as many cells as there are columns.
    pub rows: Vec<Row>,
    /// The line and the number of cells of every other row.
    pub uneven: Vec<(usize, usize)>,
}

/// The format of a table.
#[derive(Debug)]
pub(super) enum Content {
    /// Cells delimited by tabs or commas.
    Delimited(Dialect),
    /// JSON lines.
    Lines,
    /// A JSON list of objects.
    Listed(Vec<JsonRow>),
    /// A Parquet file; the text is then the list of its columns.
    Parquet(Box<Parquet>),
}

impl Table {
    /// Opens a table and reads the names of its columns.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, or whose first row names no columns.
    pub fn read(path: &Path, sources: &mut Sources) -> Result<Self, Diagnostic> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        let path = path.to_owned();
        if extension == "parquet" {
            let parquet = Parquet::open(&path)?;
            let columns = parquet.columns().to_vec();
            let text = columns.join(", ");
            return Ok(Table { path, text, content: Content::Parquet(Box::new(parquet)), columns });
        }
        let text = files::text(&path)?;
        let content = match extension.as_str() {
            "csv" => Content::Delimited(Dialect::COMMAS),
            "jsonl" => Content::Lines,
            "json" if json_rows::is_lines(&text) => Content::Lines,
            "json" => Content::Listed(json_rows::listed(&path, &text, sources)?),
            _ => Content::Delimited(Dialect::of_tsv(&text)),
        };
        let mut table = Table { path, text, content, columns: Vec::new() };
        table.columns = table.header(sources)?;
        Ok(table)
    }

    /// The names of the columns: the first row, or the keys of the first object.
    fn header(&self, sources: &mut Sources) -> Result<Vec<String>, Diagnostic> {
        let keys = |object: &Map<String, Value>| object.keys().cloned().collect();
        let mut columns = Vec::new();
        match &self.content {
            Content::Delimited(dialect) => {
                let mut wrong = None;
                dialect.each(&self.text, |record| {
                    wrong = self.malformed(dialect, &record, sources).err();
                    columns = record.cells.iter().map(|cell| cell.trim().to_owned()).collect();
                    false
                });
                wrong.map_or(Ok(columns), Err)
            }
            Content::Lines => {
                let first = self.text.lines().position(|line| !line.trim().is_empty()).unwrap_or(0);
                let end = self.text.split_inclusive('\n').take(first + 1).map(str::len).sum();
                json_rows::each_line(&self.path, &self.text[..end], sources, |row, _, _| {
                    columns = keys(&row.object);
                    Ok(())
                })?;
                Ok(columns)
            }
            Content::Listed(rows) => Ok(rows.first().map(|row| keys(&row.object)).unwrap_or_default()),
            Content::Parquet(parquet) => Ok(parquet.columns().to_vec()),
        }
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Reads all rows; `columns` must exist.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn rows(&self, columns: &[&str], sources: &mut Sources) -> Result<Rows, Diagnostic> {
        let mut rows = Rows::default();
        match &self.content {
            Content::Parquet(parquet) => {
                let cells = parquet.cells(columns)?.into_iter().enumerate();
                rows.rows = cells.map(|(i, cells)| Row { line: i + 1, cells }).collect();
            }
            Content::Lines => {
                json_rows::each_line(&self.path, &self.text, sources, |row, text, sources| {
                    let cells = self.object(&row, text, columns, sources)?;
                    rows.rows.push(Row { line: row.line, cells });
                    Ok(())
                })?;
            }
            Content::Listed(list) => {
                for row in list {
                    let cells = self.object(row, "", columns, sources)?;
                    rows.rows.push(Row { line: row.line, cells });
                }
            }
            Content::Delimited(dialect) => self.delimited(dialect, columns, &mut rows, sources)?,
        }
        Ok(rows)
    }

    fn delimited(
        &self,
        dialect: &Dialect,
        columns: &[&str],
        rows: &mut Rows,
        sources: &mut Sources,
    ) -> Result<(), Diagnostic> {
        let place = |column: &&str| self.columns.iter().position(|known| known == column);
        let places: Vec<usize> = columns.iter().filter_map(place).collect();
        let (mut is_header, mut wrong) = (true, None);
        dialect.each(&self.text, |record| {
            if std::mem::take(&mut is_header) {
                return true;
            }
            wrong = self.malformed(dialect, &record, sources).err();
            if record.cells.len() == self.columns.len() {
                let cells = places.iter().map(|i| Cell::Text(record.cells[*i].trim().to_owned()));
                rows.rows.push(Row { line: record.line, cells: cells.collect() });
            } else {
                rows.uneven.push((record.line, record.cells.len()));
            }
            wrong.is_none()
        });
        wrong.map_or(Ok(()), Err)
    }

    /// Refuses a row with malformed quotes, or longer than [`files::LONGEST_ROW`].
    fn malformed(&self, dialect: &Dialect, record: &Record, sources: &mut Sources) -> Result<(), Diagnostic> {
        let place = FileRow { path: &self.path, line: record.line, text: record.text };
        if let Some(defect) = dialect.defect(record) {
            let message = format!("line {} of `{}`: {}", record.line, self.path.display(), defect.why);
            return Err(place
                .error_at(defect.bytes, Code::DataNotReadable, message, "this quote", sources)
                .help("a quote within a quoted cell is doubled: \"\"; was the file cut off?"));
        }
        json_rows::check_length(&place, sources)
    }

    fn object(
        &self,
        row: &JsonRow,
        text: &str,
        columns: &[&str],
        sources: &mut Sources,
    ) -> Result<Vec<Cell>, Diagnostic> {
        let wrong = |message: String, help: String, sources: &mut Sources| {
            let whole = Value::Object(row.object.clone()).to_string();
            let (line, text) = if text.is_empty() { (1, whole.as_str()) } else { (row.line, text) };
            let place = FileRow { path: &self.path, line, text };
            Err(place.error(Code::ColumnMissing, message, "this object", sources).help(help))
        };
        let (unit, line, shown) = (self.unit(), row.line, self.path.display());
        let mut cells = Vec::with_capacity(columns.len());
        for column in columns {
            match row.object.get(*column).map(Cell::of_json) {
                Some(Some(cell)) => cells.push(cell),
                Some(None) => {
                    let message = format!("{unit} {line} of `{shown}` has an object for `{column}`");
                    let help = "every row needs a text or a number there".to_owned();
                    return wrong(message, help, sources);
                }
                None => {
                    let keys: Vec<&str> = row.object.keys().map(String::as_str).collect();
                    let near = nearest(column, keys.iter().copied());
                    let near = near.map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                    let message = format!("{unit} {line} of `{shown}` has no key `{column}`");
                    return wrong(message, format!("{near}its keys are {}", keys.join(", ")), sources);
                }
            }
        }
        Ok(cells)
    }

    /// An error that shows a row of the file.
    pub fn error(
        &self,
        code: Code,
        message: impl Into<String>,
        row: usize,
        label: &str,
        sources: &mut Sources,
    ) -> Diagnostic {
        match &self.content {
            Content::Listed(rows) => {
                let row =
                    rows.get(row.saturating_sub(1)).map(|r| Value::Object(r.object.clone()).to_string());
                let text = row.unwrap_or_default();
                FileRow { path: &self.path, line: 1, text: &text }.error(code, message, label, sources)
            }
            Content::Parquet(_) => {
                FileRow { path: &self.path, line: 1, text: &self.text }.error(code, message, label, sources)
            }
            _ => {
                let text = self.text.lines().nth(row.saturating_sub(1)).unwrap_or("");
                FileRow { path: &self.path, line: row, text }.error(code, message, label, sources)
            }
        }
    }

    /// Whether a column holds class labels (`ClassLabel` of `datasets`), where -1 means no label.
    pub fn is_class(&self, column: &str) -> bool {
        matches!(&self.content, Content::Parquet(parquet) if parquet.is_class(column))
    }

    /// The unit in which rows are numbered: lines or rows.
    pub fn unit(&self) -> &'static str {
        match self.content {
            Content::Delimited(_) | Content::Lines => "line",
            Content::Listed(_) | Content::Parquet(_) => "row",
        }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
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
        let rows = table.rows(columns, &mut sources).unwrap().rows;
        rows.into_iter().map(|r| r.cells.into_iter().map(Cell::into_text).collect()).collect()
    }

    /// The error of reading these columns, with its line and column.
    fn wrong(name: &str, text: &str, columns: &[&str]) -> (Diagnostic, (usize, usize)) {
        let (table, mut sources) = table(name, text).unwrap();
        let error = table.rows(columns, &mut sources).unwrap_err();
        let place = sources.line_column(error.primary.clone().unwrap().span);
        (error, (place.line, place.column))
    }

    #[test]
    fn a_tsv_without_quoting_takes_quotes_for_characters_and_columns_by_name() {
        let text = "id\ta\tb\r\n1\t\"half\ttwo\r\n\r\n2\tx\ty\r\n";
        assert_eq!(cells("t.tsv", text, &["b", "a"]), [["two", "\"half"], ["y", "x"]]);
    }

    #[test]
    fn a_tsv_of_pandas_has_quotes_and_line_ends_inside_them() {
        let text = "a\tb\n\"he said \"\"x\"\" today\"\tneg\nplain\tpos\n\"two\nlines\"\tneg\n";
        let expected = [["he said \"x\" today", "neg"], ["plain", "pos"], ["two\nlines", "neg"]];
        assert_eq!(cells("t.tsv", text, &["a", "b"]), expected);
    }

    #[test]
    fn a_csv_has_commas_quotes_and_line_ends_inside_quotes() {
        let text = "a, b\n\"x, \"\"y\"\"\",1\n\"two\nlines\", 2\n5\" pipe,3";
        assert_eq!(
            cells("t.csv", text, &["a", "b"]),
            [["x, \"y\"", "1"], ["two\nlines", "2"], ["5\" pipe", "3"]]
        );
        let (error, place) = wrong("t.csv", "a,b\nx,1\ny,\"1\nz,2\n", &["a"]);
        assert!(error.message.contains("does not end"), "{}", error.message);
        assert_eq!(place, (3, 3));
    }

    #[test]
    fn json_rows_have_texts_and_numbers_and_lists_and_nothing() {
        let lines = "{\"a\": \"x\", \"b\": 3}\n{\"a\": \"y\", \"b\": true}\n";
        assert_eq!(cells("t.jsonl", lines, &["a", "b"]), [["x", "3"], ["y", "true"]]);
        assert_eq!(
            cells("t.json", lines, &["a", "b"]),
            [["x", "3"], ["y", "true"]],
            "as `datasets` writes it"
        );
        let list = "[{\"a\": \"x\", \"b\": 3},\n{\"a\": \"y\", \"b\": 4}]";
        assert_eq!(cells("t.json", list, &["a", "b"]), [["x", "3"], ["y", "4"]]);
        let (table, mut sources) = table("t.jsonl", "{\"a\": [\"x\"]}\n{\"a\": null}").unwrap();
        let rows = table.rows(&["a"], &mut sources).unwrap().rows;
        assert_eq!([&rows[0].cells[0], &rows[1].cells[0]], [&Cell::List(vec!["x".into()]), &Cell::Nothing]);
    }

    #[test]
    fn a_json_row_with_other_keys_is_shown_with_its_keys() {
        let (error, place) = wrong("t.jsonl", "{\"text\": \"x\"}\n\n{\"txt\": \"y\", \"n\": 1}\n", &["text"]);
        assert_eq!((error.code, place), (Code::ColumnMissing, (3, 1)));
        assert_eq!(error.help.unwrap(), "did you mean `txt`? its keys are txt, n");
        let (error, _) = wrong("t.json", "[{\"text\": \"x\"}, {\"text\": {\"en\": 1}}]", &["text"]);
        assert!(error.message.contains("row 2") && error.message.contains("an object"), "{}", error.message);
    }

    #[test]
    fn rows_with_another_number_of_cells_are_counted() {
        let (table, mut sources) = table("t.tsv", "a\tb\n1\t2\n3\n4\t5\t6\n").unwrap();
        let rows = table.rows(&["a"], &mut sources).unwrap();
        assert_eq!((rows.rows.len(), rows.uneven), (1, vec![(3, 1), (4, 3)]));
    }

    #[test]
    fn a_row_that_never_ends_is_refused() {
        let text = format!("a,b\nx,1\n{},2\n", "word ".repeat(files::LONGEST_ROW / 5 + 1));
        let (error, place) = wrong("t.csv", &text, &["a"]);
        assert!(error.message.contains("16 MiB"), "{}", error.message);
        assert_eq!((error.code, place), (Code::DataNotReadable, (3, 1)));
    }
}
