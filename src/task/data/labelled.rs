//! Reads labelled texts and pairs of texts from tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, agreeing, counted, nearest};

use super::bad_rows::BadRows;
use super::cell::Cell;
use super::layout::Layout;
use super::other_tasks::{check_labels, row_of_another_task};
use super::splits::DataSet;
use super::table::{EXTENSIONS, Row, Table};

/// A text or a pair of texts, with its label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// The label as the file has it.
    pub label: String,
}

/// A dev set; MNLI has two.
#[derive(Clone, Debug, Default)]
pub struct DevSet {
    /// The suffix of its metrics' names: `_mm` for MNLI's mismatched set.
    pub suffix: &'static str,
    /// The examples.
    pub examples: Vec<Example>,
}

/// A data set for classification.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Its columns and labels.
    pub layout: Layout,
    /// The training set.
    pub train: Vec<Example>,
    /// The dev sets.
    pub dev: Vec<DevSet>,
    /// The labels in order: those declared by the recipe or the data set, else those of the training set, else those
    /// of the dev sets.
    pub labels: Vec<String>,
    /// Every label that occurs in the data, in order.
    pub occurring: Vec<String>,
}

/// Reads the tables of a data set. Dev files with `mismatched` in their names are a dev set of their own.
///
/// # Errors
/// Missing or empty files, missing columns, unusable rows, unknown labels, or data of another task.
pub fn read(
    set: &DataSet,
    layout: Layout,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Labelled, Diagnostic> {
    let mut read = |files: Vec<PathBuf>| -> Result<Vec<Example>, Diagnostic> {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_file(&file, &layout, set.options.skip_bad, sources, notes)?);
        }
        Ok(all)
    };
    let train = read(set.train(EXTENSIONS)?)?;
    let mismatched = |name: &str| name.contains("mismatched");
    let mut dev = Vec::new();
    let others = set.holds(EXTENSIONS, mismatched);
    if !others || set.holds(EXTENSIONS, |name| !mismatched(name)) {
        let files = set.dev(EXTENSIONS, |name| !mismatched(name))?;
        dev.push(DevSet { suffix: "", examples: read(files)? });
    }
    if others {
        let files = set.dev(EXTENSIONS, mismatched)?;
        dev.push(DevSet { suffix: "_mm", examples: read(files)? });
    }
    let labelled = Labelled::new(layout, train, dev);
    if labelled.layout.labels.is_empty() {
        let column = labelled.layout.label.first().map_or("", String::as_str);
        check_labels(&labelled.occurring, labelled.rows(), column, set.path)?;
    }
    Ok(labelled)
}

fn read_file(
    path: &Path,
    layout: &Layout,
    skip_bad: bool,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Vec<Example>, Diagnostic> {
    let table = Table::read(path, sources)?;
    let mut column = |names: &[String], what: &str| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        table.first_of(&names, what, sources).map(str::to_owned)
    };
    let mut columns = vec![column(&layout.label, "label")?, column(&layout.text, "text")?];
    if !layout.pair.is_empty() {
        columns.push(column(&layout.pair, "second text")?);
    }
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = table.rows(&names, sources)?;
    let bad = BadRows::new(&table, skip_bad);
    if !rows.uneven.is_empty() {
        // GLUE's own files have a few such rows; many mean a wrong file.
        let few = rows.uneven.len() * 100 <= rows.rows.len() + 100;
        let known = layout.lenient && few;
        bad.uneven(&rows.uneven, known, sources, notes)?;
    }
    let hidden = hides_labels(&rows.rows, layout);
    let (mut examples, mut empty) = (Vec::with_capacity(rows.rows.len()), Vec::new());
    let (mut unlabelled, mut missing, mut hides) = (0, Vec::new(), Vec::new());
    for row in rows.rows {
        let line = row.line;
        if row.cells.iter().any(Cell::is_list) {
            return Err(row_of_another_task(&table, &row, &names, sources));
        }
        let mut cells = row.cells.into_iter();
        let label = cells.next().unwrap_or(Cell::Nothing).into_text();
        if layout.unlabelled.contains(&label.as_str()) || (label == "-1" && table.is_class(names[0])) {
            unlabelled += 1;
            continue;
        }
        if hidden && label == "-1" {
            hides.push(line);
            continue;
        }
        if is_missing(&label, layout) {
            missing.push(line);
            continue;
        }
        if !layout.labels.is_empty() && layout.number(&label, &layout.labels).is_none() {
            return Err(unknown(&table, line, &label, layout, sources));
        }
        let mut text = || cells.next().map(Cell::into_text);
        let example = Example { text: text().unwrap_or_default(), pair: text(), label };
        if example.text.is_empty() || example.pair.as_deref() == Some("") {
            empty.push(line);
        }
        examples.push(example);
    }
    if hides.len() + unlabelled > 0 && examples.is_empty() {
        let message =
            format!("every row of `{}` has the label -1 or -: its labels are hidden", path.display());
        return Err(Diagnostic::unlocated(Code::DataEmpty, message)
            .help("test splits of GLUE come without labels; evaluate on the dev split: `--split dev`"));
    }
    if unlabelled > 0 {
        let rows = counted(unlabelled, "row", "rows");
        let what = agreeing(&unlabelled, "has no label and is left out", "have no label and are left out");
        notes.push(format!("{rows} of `{}` {what}", path.display()));
    }
    let declare = "if -1 is a class, name all of them: `labels: [\"-1\", \"0\", \"1\"]`";
    bad.unusable(&hides, "has the label -1, which stands for a hidden label", declare, sources, notes)?;
    bad.unusable(&missing, "has no label", "every row needs a label", sources, notes)?;
    if let Some(first) = empty.first() {
        let (unit, shown) = (table.unit(), path.display());
        let (rows, have) = (counted(empty.len(), "row", "rows"), agreeing(&empty.len(), "has", "have"));
        let first = agreeing(&empty.len(), "", "the first ").to_owned() + &format!("in {unit} {first}");
        notes.push(format!("{rows} of `{shown}` {have} an empty text, {first}"));
    }
    if examples.is_empty() {
        return Err(Diagnostic::unlocated(
            Code::DataEmpty,
            format!("`{}` holds no labelled row", path.display()),
        )
        .help("is it the right file, and was it downloaded to its end?"));
    }
    Ok(examples)
}

/// Whether -1 is a hidden label, as in GLUE's test sets: all other labels, if any, are 0, 1 and so on.
fn hides_labels(rows: &[Row], layout: &Layout) -> bool {
    let label = |row: &Row| match row.cells.first() {
        Some(Cell::Text(label)) => label.parse::<i64>().ok(),
        _ => None,
    };
    let labels: BTreeSet<Option<i64>> = rows.iter().map(label).collect();
    let others = labels.iter().filter(|l| **l != Some(-1)).enumerate();
    layout.labels.is_empty()
        && labels.contains(&Some(-1))
        && others.into_iter().all(|(i, label)| *label == Some(i as i64))
}

/// Whether a label is empty, or written as pandas writes missing values, and not declared.
fn is_missing(label: &str, layout: &Layout) -> bool {
    let nothing = ["", "nan", "NaN", "NULL", "null", "<NA>", "N/A", "#N/A"];
    nothing.contains(&label) && !layout.labels.iter().any(|l| l == label)
}

fn unknown(table: &Table, line: usize, label: &str, layout: &Layout, sources: &mut Sources) -> Diagnostic {
    let near = nearest(label, layout.labels.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let help = format!("{near}the labels are {}", layout.labels.join(", "));
    let message = format!("{} {line} of `{}` has the label `{label}`", table.unit(), table.path().display());
    table.error(Code::LabelUnknown, message, line, "this row", sources).help(help)
}

impl Labelled {
    /// A data set of these examples; collects the labels.
    pub fn new(layout: Layout, train: Vec<Example>, dev: Vec<DevSet>) -> Self {
        let dev_examples = || dev.iter().flat_map(|d| &d.examples);
        let labels = match (layout.labels.is_empty(), train.is_empty()) {
            (false, _) => layout.labels.clone(),
            (true, false) => distinct(train.iter()),
            (true, true) => distinct(dev_examples()),
        };
        let occurring = distinct(train.iter().chain(dev_examples()));
        Labelled { layout, train, dev, labels, occurring }
    }

    /// The number of examples of all splits.
    fn rows(&self) -> usize {
        self.train.len() + self.dev.iter().map(|set| set.examples.len()).sum::<usize>()
    }

    /// Truncates every split to its first examples. The labels remain those of all data.
    pub fn truncate(&mut self, limit: usize) {
        self.train.truncate(limit);
        self.dev.iter_mut().for_each(|set| set.examples.truncate(limit));
    }
}

/// The distinct labels, sorted; integers by value.
fn distinct<'a>(examples: impl Iterator<Item = &'a Example>) -> Vec<String> {
    let labels: BTreeSet<&str> = examples.map(|e| e.label.as_str()).collect();
    let mut list: Vec<String> = labels.into_iter().map(str::to_owned).collect();
    if list.iter().all(|l| l.parse::<i64>().is_ok()) {
        list.sort_by_key(|l| l.parse::<i64>().unwrap_or(0));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::layout::strings;
    use super::super::splits::{Need, ReadOptions};
    use super::*;
    use crate::schedule::ir::Columns;

    type Reading = Result<(Labelled, Vec<String>), Diagnostic>;

    fn read(files: &[(&str, &str)], layout: Layout) -> Reading {
        read_with(files, layout, false)
    }

    fn skipping(files: &[(&str, &str)], layout: Layout) -> Reading {
        read_with(files, layout, true)
    }

    fn read_with(files: &[(&str, &str)], layout: Layout, skip_bad: bool) -> Reading {
        let mut notes = Vec::new();
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let options = ReadOptions { skip_bad, ..ReadOptions::default() };
        let set = DataSet { options, ..DataSet::new(dir.path(), Need::Both) };
        super::read(&set, layout, &mut Sources::new(), &mut notes).map(|l| (l, notes))
    }

    fn columns(label: &str) -> Layout {
        Layout::columns(&Columns {
            text: "t".into(),
            pair: None,
            label: label.into(),
            labels: vec![],
            max_length: 9,
            positive: None,
        })
    }

    const HEAD: &str = "index\tsentence1\tsentence2\tlabel1\tgold_label\n";

    #[test]
    fn mnli_has_two_dev_sets_and_rows_without_an_agreed_label_are_left_out() {
        let row = |label: &str| format!("{HEAD}0\ta \"b\tc\tneutral\t{label}\n1\td\te\tneutral\t-\n");
        let files = [
            ("train.tsv", row("neutral")),
            ("dev_matched.tsv", row("entailment")),
            ("dev_mismatched.tsv", row("2")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let (data, notes) = read(&files, Layout::mnli()).unwrap();
        assert_eq!(data.train.len(), 1);
        assert_eq!(data.train[0].pair.as_deref(), Some("c"));
        assert_eq!(data.dev.iter().map(|d| d.suffix).collect::<Vec<_>>(), ["", "_mm"]);
        assert_eq!(notes.len(), 3);
        let labels = strings(&["CONTRADICTION", "neutral", "entailment"]);
        assert_eq!(data.layout.number("entailment", &labels), Some(2), "by name");
        assert_eq!(data.layout.number("2", &labels), Some(0), "GLUE's number 2 is contradiction");
    }

    #[test]
    fn labels_of_custom_data_are_sorted_and_integers_by_value() {
        let layout = columns;
        let names = [("train.csv", "t,l\nx,b\ny,a\nz,b\n"), ("dev.csv", "t,l\nx,a\n")];
        assert_eq!(read(&names, layout("l")).unwrap().0.labels, ["a", "b"]);
        let numbers = [("train.csv", "t,l\nx,10\ny,2\n"), ("dev.csv", "t,l\nx,2\n")];
        assert_eq!(read(&numbers, layout("l")).unwrap().0.labels, ["2", "10"]);
        let scale = [("train.csv", "t,l\nx,3.5\ny,2\n"), ("dev.csv", "t,l\nx,2\n")];
        assert_eq!(read(&scale, layout("l")).unwrap_err().code, Code::Regression);
        let texts: String = (0..50).map(|i| format!("text {i},x\n")).collect();
        let texts = format!("t,l\n{texts}");
        let wrong = [("train.csv", texts.as_str()), ("dev.csv", "t,l\nx,2\n")];
        assert_eq!(read(&wrong, layout("t")).unwrap_err().code, Code::LabelUnknown);
        assert_eq!(read(&names, layout("q")).unwrap_err().code, Code::ColumnMissing);
    }

    #[test]
    fn an_unknown_label_a_short_row_and_an_empty_file_are_refused() {
        let good = format!("{HEAD}0\ta\tb\tneutral\tneutral\n");
        let with = |train: &str| {
            let files = [("train.tsv", train), ("dev.tsv", good.as_str())];
            read(&files, Layout::mnli()).unwrap_err()
        };
        let unknown = with(&format!("{HEAD}0\ta\tb\tneutral\tneutrall\n"));
        assert_eq!(unknown.code, Code::LabelUnknown);
        let help = "did you mean `neutral`? the labels are entailment, neutral, contradiction";
        assert_eq!(unknown.help.unwrap(), help);
        assert!(unknown.message.contains("line 2"));
        assert_eq!(with(&format!("{HEAD}0\ta\tb\n")).code, Code::RowUnusable);
        assert_eq!(with("").code, Code::DataEmpty);
        assert_eq!(with(HEAD).code, Code::DataEmpty);
        assert_eq!(with("sentence1\tgold_label\nx\tneutral\n").code, Code::ColumnMissing);
        assert_eq!(read(&[("dev.tsv", &good)], Layout::mnli()).unwrap_err().code, Code::DataNotFound);
    }

    #[test]
    fn the_few_broken_rows_of_qqp_are_left_out_with_a_note() {
        let head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
        let rows: String = (0..200).map(|i| format!("{i}\t1\t2\ta\tb\t{}\n", i % 2)).collect();
        let train = format!("{head}{rows}7\tbroken\n");
        let files = [("train.tsv", train.as_str()), ("dev.tsv", train.as_str())];
        let (data, notes) = read(&files, Layout::qqp()).unwrap();
        assert_eq!(data.train.len(), 200);
        assert!(
            notes[0].starts_with("1 row of")
                && notes[0].contains("has more or fewer")
                && notes[0].ends_with("line 202"),
            "{notes:?}"
        );
    }

    #[test]
    fn rows_without_a_label_are_an_error_or_left_out_and_listed() {
        let files = [("train.csv", "t,l\nx,a\ny,\nz,nan\nw,b\nv\n"), ("dev.csv", "t,l\nx,a\n")];
        let error = read(&files, columns("l")).unwrap_err();
        assert_eq!(error.code, Code::RowUnusable);
        assert!(error.help.unwrap().contains("--skip-bad"));
        let (data, notes) = skipping(&files, columns("l")).unwrap();
        assert_eq!(data.labels, ["a", "b"]);
        assert!(
            notes[0].starts_with("1 row of")
                && notes[0].contains("has more or fewer cells")
                && notes[0].ends_with("line 6"),
            "{notes:?}"
        );
        assert!(
            notes[1].starts_with("2 rows of")
                && notes[1].contains("are left out because each has")
                && notes[1].ends_with("lines 3, 4"),
            "{notes:?}"
        );
        let one = [("train.csv", "t,l\nx,a\ny,\nw,b\n"), ("dev.csv", "t,l\nx,a\n")];
        let (_, notes) = skipping(&one, columns("l")).unwrap();
        assert!(notes[0].ends_with("is left out because it has no label: line 3"), "{notes:?}");
        let empty = [("train.csv", "t,l\nx,a\n,b\n"), ("dev.csv", "t,l\nx,a\n")];
        let (data, notes) = read(&empty, columns("l")).unwrap();
        assert_eq!(data.train[1].text, "");
        // An empty text is a text.
        assert!(
            notes[0].starts_with("1 row of") && notes[0].ends_with("has an empty text, in line 3"),
            "{notes:?}"
        );
    }

    #[test]
    fn minus_one_is_a_hidden_label_beside_zero_and_one_and_a_class_among_others() {
        let dev = ("dev.csv", "t,l\nx,0\n");
        let hidden = [("train.csv", "t,l\nx,0\ny,1\nz,-1\n"), dev];
        let error = read(&hidden, columns("l")).unwrap_err();
        assert_eq!(error.code, Code::RowUnusable);
        assert!(error.message.contains("line 4") && error.message.contains("hidden"), "{}", error.message);
        let (data, notes) = skipping(&hidden, columns("l")).unwrap();
        assert_eq!(data.labels, ["0", "1"]);
        assert!(notes[0].contains("line 4"), "{notes:?}");
        let declared = Layout { labels: strings(&["-1", "0", "1"]), ..columns("l") };
        assert_eq!(read(&hidden, declared).unwrap().0.train.len(), 3);
        let signs = [("train.csv", "t,l\nx,1\nz,-1\n"), ("dev.csv", "t,l\nx,1\n")];
        assert_eq!(read(&signs, columns("l")).unwrap().0.labels, ["-1", "1"]);
        let all = [("train.csv", "t,l\nx,-1\nz,-1\n"), dev];
        let error = skipping(&all, columns("l")).unwrap_err();
        assert_eq!(error.code, Code::DataEmpty);
        assert!(error.message.contains("hidden"), "{}", error.message);
    }

    #[test]
    fn data_of_other_tasks_is_called_by_its_name() {
        let dev = ("dev.jsonl", "{\"t\": \"x\", \"l\": \"a\"}\n");
        let with = |row: &str| read(&[("train.jsonl", row), dev], columns("l")).unwrap_err();
        let labels = with("{\"t\": \"x\", \"l\": [\"a\", \"b\"]}\n");
        assert!(
            labels.code == Code::OtherTask && labels.message.contains("multi-label"),
            "{}",
            labels.message
        );
        let tokens = with("{\"t\": [\"x\"], \"l\": [\"O\"]}\n");
        assert!(tokens.message.contains("token classification"), "{}", tokens.message);
        let words = with("{\"t\": [\"x\"], \"l\": \"a\"}\n");
        assert!(words.code == Code::OtherTask && words.help.unwrap().contains("join"));
        let scores = [("train.csv", "t,l\nx,0.5\n"), ("dev.csv", "t,l\nx,1.0\n")];
        let scores = read(&scores, columns("l")).unwrap_err();
        assert!(scores.message.contains("regression") && scores.help.unwrap().contains("`regression("));
        let whole = [("train.csv", "t,l\nx,0.0\ny,1.0\n"), ("dev.csv", "t,l\nx,1.0\n")];
        let error = read(&whole, columns("l")).unwrap_err();
        assert!(error.help.unwrap().contains("labels: [\"0.0\", \"1.0\"]"));
        let declared = Layout { labels: strings(&["0.0", "1.0"]), ..columns("l") };
        assert_eq!(read(&whole, declared).unwrap().0.labels, ["0.0", "1.0"]);
    }
}
