//! Reads texts and pairs of texts with scores, or with any number of labels, from tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, agreeing, counted};

use super::bad_rows::BadRows;
use super::cell::Cell;
use super::splits::DataSet;
use super::table::{EXTENSIONS, Table};

/// The columns of a table of texts with targets.
#[derive(Clone, Debug)]
pub struct TargetColumns {
    /// The column of the text.
    pub text: String,
    /// The column of the second text of a pair.
    pub pair: Option<String>,
    /// What the other columns hold.
    pub target: Target,
}

/// What a model predicts for a text.
#[derive(Clone, Debug)]
pub enum Target {
    /// A score, in this column.
    Score(String),
    /// Any number of labels: a list in this column.
    List(String),
    /// Any number of labels: a column of each, with 1 or `true` where the text has it.
    Columns(Vec<String>),
}

/// A text or a pair with its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// Its score, or its labels.
    pub value: TargetValue,
}

/// The target of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetValue {
    /// A finite score.
    Score(f64),
    /// Its labels.
    Labels(Vec<String>),
}

/// A data set of texts with targets.
#[derive(Clone, Debug, Default)]
pub struct Targeted {
    /// The training set.
    pub train: Vec<Example>,
    /// The dev set.
    pub dev: Vec<Example>,
}

impl Targeted {
    /// The distinct labels of the training set (of the dev set if there is no training set), sorted; integers by value.
    pub fn labels(&self) -> Vec<String> {
        distinct(if self.train.is_empty() { &self.dev } else { &self.train })
    }

    /// Every label that occurs, sorted.
    pub fn occurring(&self) -> Vec<String> {
        distinct(self.train.iter().chain(&self.dev))
    }

    /// Truncates every split to its first examples.
    pub fn truncate(&mut self, limit: usize) {
        self.train.truncate(limit);
        self.dev.truncate(limit);
    }
}

fn distinct<'a>(examples: impl IntoIterator<Item = &'a Example>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for example in examples {
        if let TargetValue::Labels(labels) = &example.value {
            found.extend(labels.iter().cloned());
        }
    }
    let mut list: Vec<String> = found.into_iter().collect();
    if list.iter().all(|label| label.parse::<usize>().is_ok()) {
        list.sort_by_key(|label| label.parse::<usize>().unwrap_or(0));
    }
    list
}

/// Reads the tables of a data set.
///
/// # Errors
/// Missing or empty files, missing columns, and rows without a finite score, a list of labels, or a decision for each.
pub fn read(
    set: &DataSet,
    columns: &TargetColumns,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Targeted, Diagnostic> {
    let mut read = |files: Vec<PathBuf>| -> Result<Vec<Example>, Diagnostic> {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_file(&file, columns, set.options.skip_bad, sources, notes)?);
        }
        Ok(all)
    };
    Ok(Targeted { train: read(set.train(EXTENSIONS)?)?, dev: read(set.dev(EXTENSIONS, |_| true)?)? })
}

fn read_file(
    path: &Path,
    columns: &TargetColumns,
    skip_bad: bool,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Vec<Example>, Diagnostic> {
    let table = Table::read(path, sources)?;
    let TargetColumns { text, pair, target } = columns;
    let mut names = vec![table.first_of(&[text.as_str()], "text", sources)?];
    if let Some(pair) = pair {
        names.push(table.first_of(&[pair.as_str()], "second text", sources)?);
    }
    match target {
        Target::Score(column) => names.push(table.first_of(&[column.as_str()], "score", sources)?),
        Target::List(column) => names.push(table.first_of(&[column.as_str()], "labels", sources)?),
        Target::Columns(labels) => {
            for label in labels {
                names.push(table.first_of(&[label.as_str()], "label", sources)?);
            }
        }
    }
    let rows = table.rows(&names, sources)?;
    let bad = BadRows::new(&table, skip_bad);
    bad.uneven(&rows.uneven, false, sources, notes)?;
    let (mut examples, mut wrong, mut empty) = (Vec::with_capacity(rows.rows.len()), Vec::new(), Vec::new());
    for row in rows.rows {
        let mut cells = row.cells.into_iter();
        let mut next = || cells.next().unwrap_or(Cell::Nothing).into_text();
        let text = next();
        let pair = pair.is_some().then(&mut next);
        if text.is_empty() || pair.as_deref() == Some("") {
            empty.push(row.line);
        }
        match value(target, cells.collect()) {
            Some(value) => examples.push(Example { text, pair, value }),
            None => wrong.push(row.line),
        }
    }
    let (what, help) = match target {
        Target::Score(_) => ("has no finite score", "every row needs a number, such as 3.8"),
        Target::List(_) => (
            "has no list of labels",
            "as {\"text\": \"…\", \"labels\": [\"a\", \"b\"]}; a text without labels has []",
        ),
        Target::Columns(_) => {
            ("has another value than 0 and 1 for a label", "write 1 or true where the text has it")
        }
    };
    bad.unusable(&wrong, what, help, sources, notes)?;
    if let Some(first) = empty.first() {
        let (count, have) = (counted(empty.len(), "row", "rows"), agreeing(&empty.len(), "has", "have"));
        let (unit, shown) = (table.unit(), path.display());
        notes.push(format!("{count} of `{shown}` {have} an empty text, the first in {unit} {first}"));
    }
    if examples.is_empty() {
        return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{}` holds no row", path.display()))
            .help("is it the right file, and was it downloaded to its end?"));
    }
    Ok(examples)
}

/// The target of a row's cells; `None` if they hold none.
fn value(target: &Target, cells: Vec<Cell>) -> Option<TargetValue> {
    match target {
        Target::Score(_) => {
            let Some(Cell::Text(score)) = cells.into_iter().next() else { return None };
            score.parse().ok().filter(|score: &f64| score.is_finite()).map(TargetValue::Score)
        }
        Target::List(_) => match cells.into_iter().next() {
            Some(Cell::List(labels)) if labels.iter().all(|label| !label.is_empty()) => {
                Some(TargetValue::Labels(labels))
            }
            _ => None,
        },
        Target::Columns(labels) => {
            let mut own = Vec::new();
            for (label, cell) in labels.iter().zip(cells) {
                match cell.into_text().as_str() {
                    "1" | "1.0" | "true" | "True" => own.push(label.clone()),
                    "0" | "0.0" | "false" | "False" => {}
                    _ => return None,
                }
            }
            Some(TargetValue::Labels(own))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::splits::{Need, ReadOptions};
    use super::*;

    fn read(
        file: &str,
        text: &str,
        target: Target,
        skip_bad: bool,
    ) -> Result<(Targeted, Vec<String>), Diagnostic> {
        let (dir, mut notes) = (tempfile::tempdir().unwrap(), Vec::new());
        for split in ["train", "dev"] {
            std::fs::write(dir.path().join(format!("{split}.{file}")), text).unwrap();
        }
        let options = ReadOptions { skip_bad, ..ReadOptions::default() };
        let set = DataSet { options, ..DataSet::new(dir.path(), Need::Both) };
        let columns = TargetColumns { text: "t".into(), pair: None, target };
        super::read(&set, &columns, &mut Sources::new(), &mut notes).map(|data| (data, notes))
    }

    fn score() -> Target {
        Target::Score("s".into())
    }

    #[test]
    fn scores_are_finite_numbers() {
        let (data, _) = read("tsv", "t\ts\na\t3.80\nb\t-1e-1\n", score(), false).unwrap();
        assert_eq!(data.dev[1].value, TargetValue::Score(-0.1));
        for bad in ["nan", "inf", "", "high"] {
            let text = format!("t,s\na,1\nb,{bad}\n");
            let error = read("csv", &text, score(), false).unwrap_err();
            assert!(error.code == Code::RowUnusable && error.message.contains("line 3"), "{}", error.message);
            let (data, notes) = read("csv", &text, score(), true).unwrap();
            assert!(data.train.len() == 1 && notes[0].contains("line 3"), "{notes:?}");
        }
        assert_eq!(read("csv", "t,q\na,1\n", score(), false).unwrap_err().code, Code::ColumnMissing);
        assert_eq!(read("csv", "t,s\n", score(), false).unwrap_err().code, Code::DataEmpty);
    }

    #[test]
    fn labels_are_lists_or_columns() {
        let list = || Target::List("l".into());
        let rows = "{\"t\": \"a\", \"l\": [\"y\", \"x\"]}\n{\"t\": \"b\", \"l\": []}\n";
        let (data, _) = read("jsonl", rows, list(), false).unwrap();
        assert_eq!(data.labels(), ["x", "y"]);
        let both = Target::Columns(vec!["y".into(), "x".into()]);
        let (columns, _) = read("csv", "t,x,y\na,1,true\nb,0,0.0\n", both.clone(), false).unwrap();
        assert_eq!(columns.train, data.train);
        let error = read("csv", "t,x,y\na,1,-1\n", both, false).unwrap_err();
        assert!(error.code == Code::RowUnusable && error.message.contains("another value than 0 and 1"));
        let single = "{\"t\": \"a\", \"l\": \"x\"}\n";
        assert_eq!(read("jsonl", single, list(), false).unwrap_err().code, Code::RowUnusable);
    }
}
