//! Reads texts for sentence embeddings: pairs with scores, pairs, triplets, and plain texts.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources};

use super::bad_rows::BadRows;
use super::cell::Cell;
use super::files;
use super::splits::DataSet;
use super::table::Table;

/// The file extensions of tables, and of texts with one text in each line.
const EXTENSIONS: &[&str] = &["tsv", "csv", "jsonl", "json", "parquet", "txt"];

/// The names of columns, as in the data sets that sentence-transformers documents; the first that exists is read.
const FIRST: &[&str] = &["sentence1", "anchor", "query", "question", "text1"];
const SECOND: &[&str] = &["sentence2", "positive", "answer", "passage", "text2"];
const NEGATIVE: &[&str] = &["negative"];
const SCORE: &[&str] = &["score", "similarity_score", "label"];
const TEXT: &[&str] = &["text", "sentence"];

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two texts and their similarity.
    Scored,
    /// A text and one that is similar to it.
    Pairs,
    /// A pair, and a text that is not similar to the first.
    Triplets,
    /// Single texts.
    Texts,
}

impl Shape {
    /// The number of texts in a row.
    pub fn texts(self) -> usize {
        match self {
            Shape::Texts => 1,
            Shape::Scored | Shape::Pairs => 2,
            Shape::Triplets => 3,
        }
    }

    /// The shape of a table with these columns, and the names of the columns that are read: the texts, then the score.
    fn of(columns: &[String]) -> Option<(Shape, Vec<&'static str>)> {
        let find = |names: &[&'static str]| names.iter().find(|n| columns.iter().any(|c| c == *n)).copied();
        let (first, second) = (find(FIRST), find(SECOND));
        Some(match (first, second, find(NEGATIVE), find(SCORE), find(TEXT)) {
            (Some(a), Some(b), Some(c), ..) => (Shape::Triplets, vec![a, b, c]),
            (Some(a), Some(b), None, Some(score), _) => (Shape::Scored, vec![a, b, score]),
            (Some(a), Some(b), ..) => (Shape::Pairs, vec![a, b]),
            (_, _, _, _, Some(text)) => (Shape::Texts, vec![text]),
            _ => return None,
        })
    }
}

/// The texts of a row, and the similarity of the first two.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// One, two or three texts, by the shape.
    pub texts: Vec<String>,
    /// The score; 0 if the shape has none.
    pub score: f64,
}

/// The rows of a split.
#[derive(Clone, Debug)]
pub struct Rows {
    /// What they are.
    pub shape: Shape,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Reads the training set; `None` if it is not needed. The columns of a table say what its rows are.
///
/// # Errors
/// Missing or empty files, tables without known columns, rows without a finite score or without a text.
pub fn read_train(
    set: &DataSet,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Option<Rows>, Diagnostic> {
    read_files(set.train(EXTENSIONS)?, set.options.skip_bad, sources, notes)
}

/// Reads the dev set.
///
/// # Errors
/// Those of [`read_train`]; also plain texts, which have no metric.
pub fn read_dev(set: &DataSet, sources: &mut Sources, notes: &mut Vec<String>) -> Result<Rows, Diagnostic> {
    let files = set.dev(EXTENSIONS, |_| true)?;
    let shown = files.first().map(|file| file.display().to_string()).unwrap_or_default();
    let dev = read_files(files, set.options.skip_bad, sources, notes)?;
    dev.filter(|rows| rows.shape != Shape::Texts).ok_or_else(|| {
        Diagnostic::unlocated(Code::DataEmpty, format!("`{shown}` has single texts, which nothing measures"))
            .help("evaluate on pairs with scores (`sentence1`, `sentence2`, `score`), pairs or triplets: `--dev FILE`")
    })
}

fn read_files(
    files: Vec<PathBuf>,
    skip_bad: bool,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Option<Rows>, Diagnostic> {
    let mut all: Option<Rows> = None;
    for file in files {
        let own = read_file(&file, skip_bad, sources, notes)?;
        match &mut all {
            None => all = Some(own),
            Some(rows) if rows.shape == own.shape => rows.rows.extend(own.rows),
            Some(_) => {
                let message = format!("`{}` has other columns than the files before it", file.display());
                return Err(Diagnostic::unlocated(Code::ColumnMissing, message)
                    .help("the files of a split need the same columns"));
            }
        }
    }
    Ok(all)
}

fn read_file(
    path: &Path,
    skip_bad: bool,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Rows, Diagnostic> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("txt")) {
        let text = files::text(path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let rows = lines.map(|line| Row { texts: vec![line.to_owned()], score: 0.0 }).collect();
        return Ok(Rows { shape: Shape::Texts, rows });
    }
    let table = Table::read(path, sources)?;
    let Some((shape, names)) = Shape::of(table.columns()) else {
        // The header is shown by the error for a missing column.
        table.first_of(TEXT, "texts", sources).map_err(|error| {
            error.help(
                "name the columns `sentence1`, `sentence2` and `score`; `anchor`, `positive` and, if there is one, `negative`; or `text`",
            )
        })?;
        return Ok(Rows { shape: Shape::Texts, rows: Vec::new() });
    };
    for name in &names {
        table.first_of(&[name], "texts", sources)?;
    }
    let read = table.rows(&names, sources)?;
    let bad = BadRows::new(&table, skip_bad);
    bad.uneven(&read.uneven, false, sources, notes)?;
    let (mut rows, mut empty, mut unscored) = (Vec::with_capacity(read.rows.len()), Vec::new(), Vec::new());
    for row in read.rows {
        let mut cells = row.cells.into_iter().map(Cell::into_text);
        let texts: Vec<String> = cells.by_ref().take(shape.texts()).collect();
        let score = match shape {
            Shape::Scored => cells.next().and_then(|s| s.parse::<f64>().ok()).filter(|s| s.is_finite()),
            _ => Some(0.0),
        };
        match score {
            None => unscored.push(row.line),
            Some(_) if texts.iter().any(String::is_empty) => empty.push(row.line),
            Some(score) => rows.push(Row { texts, score }),
        }
    }
    bad.unusable(&unscored, "has no finite score", "every pair needs a number, such as 3.8", sources, notes)?;
    bad.unusable(&empty, "has an empty text", "an embedding needs a text", sources, notes)?;
    if rows.is_empty() {
        return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{}` holds no row", path.display()))
            .help("is it the right file, and was it downloaded to its end?"));
    }
    Ok(Rows { shape, rows })
}

#[cfg(test)]
mod tests {
    use super::super::splits::Need;
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<(Rows, Rows), Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let (set, mut sources) = (DataSet::new(dir.path(), Need::Both), Sources::new());
        let train = read_train(&set, &mut sources, &mut Vec::new())?.unwrap();
        Ok((train, read_dev(&set, &mut sources, &mut Vec::new())?))
    }

    const DEV: (&str, &str) = ("dev.tsv", "score\tsentence1\tsentence2\n3.6\ta\tb\n");

    #[test]
    fn columns_say_what_the_rows_are() {
        let shape = |file: &str, text: &str| {
            let (train, dev) = read(&[(file, text), DEV]).unwrap();
            assert_eq!(dev.rows, [Row { texts: vec!["a".into(), "b".into()], score: 3.6 }]);
            train.shape
        };
        assert_eq!(shape("train.csv", "sentence1,sentence2,score\na,b,0.5\n"), Shape::Scored);
        assert_eq!(shape("train.jsonl", "{\"anchor\": \"a\", \"positive\": \"b\"}\n"), Shape::Pairs);
        assert_eq!(shape("train.csv", "query,positive,negative\na,b,c\n"), Shape::Triplets);
        assert_eq!(shape("train.csv", "text\na\n"), Shape::Texts);
        assert_eq!(shape("train.txt", "a\n\nb\n"), Shape::Texts);
    }

    #[test]
    fn scores_that_are_none_empty_texts_and_unknown_columns_are_refused() {
        let wrong = |text: &str| read(&[("train.csv", text), DEV]).unwrap_err();
        for row in ["a,b,nan", "a,b,", "a,b,high", ",b,1"] {
            let error = wrong(&format!("sentence1,sentence2,score\n{row}\n"));
            assert!(error.code == Code::RowUnusable && error.message.contains("line 2"), "{}", error.message);
        }
        let error = wrong("left,right\na,b\n");
        assert!(error.code == Code::ColumnMissing && error.help.unwrap().contains("`sentence1`"));
        assert_eq!(wrong("text\n").code, Code::DataEmpty);
        let error = read(&[("train.txt", "a\n"), ("dev.txt", "b\n")]).unwrap_err();
        assert!(error.message.contains("nothing measures"), "{}", error.message);
    }
}
