//! Texts and pairs of texts with labels, read from tables; labels are matched by name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, nearest};
use crate::schedule::ir::Columns;

use super::files::{self, DEV, TRAIN};
use super::rows::{EXTENSIONS, Table};
use super::squad::Need;

/// How a data set writes its examples.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Names of the columns of the text, the first that exists counts; the same for the pair.
    pub text: Vec<String>,
    /// Names of the column of the second text; empty if there is none.
    pub pair: Vec<String>,
    /// Names of the column of the label.
    pub label: Vec<String>,
    /// The labels in order; empty if the training data decides.
    pub labels: Vec<String>,
    /// Whether a label may also be given by its number.
    pub numbered: bool,
    /// What stands in place of a label on which nobody agreed.
    pub unlabelled: &'static [&'static str],
    /// Whether rows with a wrong number of cells are left out: GLUE's own QQP has some.
    pub lenient: bool,
}

/// A text with its label as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// The text.
    pub text: String,
    /// The second text.
    pub pair: Option<String>,
    /// The label.
    pub label: String,
}

/// Held-out examples that are measured together.
#[derive(Clone, Debug, Default)]
pub struct HeldOut {
    /// What their metrics' names end with.
    pub suffix: &'static str,
    /// The examples.
    pub examples: Vec<Example>,
}

/// Everything that was read.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// How it was written.
    pub layout: Layout,
    /// Examples to train on.
    pub train: Vec<Example>,
    /// Held-out examples.
    pub dev: Vec<HeldOut>,
}

impl Layout {
    /// MNLI: GLUE's columns, or those of its exports.
    pub fn mnli() -> Self {
        Layout {
            text: strings(&["sentence1", "premise"]),
            pair: strings(&["sentence2", "hypothesis"]),
            label: strings(&["gold_label", "label"]),
            labels: strings(&["entailment", "neutral", "contradiction"]),
            numbered: true,
            unlabelled: &["-", "-1"],
            lenient: false,
        }
    }

    /// QQP: GLUE's columns, or those of its exports.
    pub fn qqp() -> Self {
        Layout {
            text: strings(&["question1"]),
            pair: strings(&["question2"]),
            label: strings(&["is_duplicate", "label"]),
            labels: strings(&["not_duplicate", "duplicate"]),
            numbered: true,
            unlabelled: &[],
            lenient: true,
        }
    }

    /// Columns that a recipe names.
    pub fn columns(columns: &Columns) -> Self {
        Layout {
            text: vec![columns.text.clone()],
            pair: columns.pair.iter().cloned().collect(),
            label: vec![columns.label.clone()],
            labels: columns.labels.clone(),
            numbered: false,
            unlabelled: &[],
            lenient: false,
        }
    }

    /// The number of a label, if it is one of `labels`.
    pub fn number(&self, label: &str, labels: &[String]) -> Option<usize> {
        let named = |l: &String| l.eq_ignore_ascii_case(label);
        let by_number = || {
            let canonical = self.labels.get(label.parse::<usize>().ok()?).filter(|_| self.numbered)?;
            labels.iter().position(|l| l.eq_ignore_ascii_case(canonical))
        };
        labels.iter().position(named).or_else(by_number)
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// Reads the tables of a folder. Held-out files whose names say `mismatched` are measured by
/// themselves.
///
/// # Errors
/// Files that are missing or empty, columns that are not there, rows that cannot be read, labels
/// that the data set does not have.
pub fn read_folder(
    folder: &Path,
    layout: Layout,
    need: Need,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Labelled, Diagnostic> {
    let mut read = |files: Vec<PathBuf>| -> Result<Vec<Example>, Diagnostic> {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_file(&file, &layout, sources, notes)?);
        }
        Ok(all)
    };
    let train = match need {
        Need::Both => read(files::find(folder, TRAIN, EXTENSIONS)?)?,
        Need::Dev => Vec::new(),
    };
    let mismatched = |path: &PathBuf| path.to_string_lossy().contains("mismatched");
    let (other, own): (Vec<_>, Vec<_>) =
        files::find(folder, DEV, EXTENSIONS)?.into_iter().partition(|path| mismatched(path));
    let mut dev = Vec::new();
    for (suffix, files) in [("", own), ("_mm", other)] {
        if !files.is_empty() {
            dev.push(HeldOut { suffix, examples: read(files)? });
        }
    }
    let labelled = Labelled { layout, train, dev };
    labelled.check_kind(folder)?;
    Ok(labelled)
}

fn read_file(
    path: &Path,
    layout: &Layout,
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
    if let Some(line) = rows.broken.first() {
        // A few odd rows are GLUE's; many are a wrong file.
        let few = rows.broken.len() * 100 <= rows.rows.len() + 100;
        if !layout.lenient || !few {
            let count = table.columns().len();
            let message = format!("line {line} of `{}` has more or fewer than {count} cells", path.display());
            return Err(table
                .wrong(Code::DataNotReadable, message, *line, "this row", sources)
                .help("every row needs as many cells as the first; was the file cut off?"));
        }
        notes.push(format!(
            "{} rows of `{}` have a wrong number of cells and are left out, the first in line {line}",
            rows.broken.len(),
            path.display()
        ));
    }
    let mut examples = Vec::with_capacity(rows.rows.len());
    let mut unlabelled = 0;
    for row in rows.rows {
        let mut cells = row.cells.into_iter();
        let label = cells.next().unwrap_or_default();
        if layout.unlabelled.contains(&label.as_str()) || (label == "-1" && table.is_class(names[0])) {
            unlabelled += 1;
            continue;
        }
        let known = layout.labels.is_empty() || layout.number(&label, &layout.labels).is_some();
        if !known || label.is_empty() {
            let near = nearest(&label, layout.labels.iter().map(String::as_str));
            let all = layout.labels.join(", ");
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if all.is_empty() => "every row needs a label".to_owned(),
                None => format!("the labels are {all}"),
            };
            let (unit, line) = (table.unit(), row.line);
            let message = format!("{unit} {line} of `{}` has the label `{label}`", path.display());
            let wrong = table.wrong(Code::LabelUnknown, message, row.line, "this row", sources);
            return Err(wrong.help(help));
        }
        examples.push(Example { text: cells.next().unwrap_or_default(), pair: cells.next(), label });
    }
    if unlabelled > 0 {
        notes.push(format!("{unlabelled} rows of `{}` have no label and are left out", path.display()));
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

impl Labelled {
    /// The labels of the data in order: those that are known beforehand, else those of the
    /// training data, else `model`'s, else those of the held-out data.
    pub fn labels(&self, model: Option<&[String]>) -> Vec<String> {
        if !self.layout.labels.is_empty() {
            return self.layout.labels.clone();
        }
        match (self.train.is_empty(), model) {
            (false, _) => distinct(&self.train),
            (true, Some(model)) => model.to_vec(),
            (true, None) => {
                let all: Vec<Example> = self.dev.iter().flat_map(|d| d.examples.clone()).collect();
                distinct(&all)
            }
        }
    }

    /// Refuses labels that are numbers on a scale, or texts.
    fn check_kind(&self, folder: &Path) -> Result<(), Diagnostic> {
        if !self.layout.labels.is_empty() {
            return Ok(());
        }
        let examples = || self.train.iter().chain(self.dev.iter().flat_map(|d| &d.examples));
        let real = |label: &str| label.parse::<f64>().is_ok() && label.parse::<i64>().is_err();
        if let Some(example) = examples().find(|e| real(&e.label)) {
            return Err(Diagnostic::unlocated(
                Code::Regression,
                format!(
                    "the labels in `{}` are numbers on a scale, such as {}",
                    folder.display(),
                    example.label
                ),
            )
            .help("regression is not built; give a column of names, or round the numbers to a few classes"));
        }
        let (kinds, count) = (distinct_of(examples()).len(), examples().count());
        if kinds > 20 && kinds * 2 > count {
            let column = self.layout.label.first().cloned().unwrap_or_default();
            return Err(Diagnostic::unlocated(
                Code::LabelUnknown,
                format!("the column `{column}` holds {kinds} different labels in {count} rows"),
            )
            .help("is it the column of the labels? name it: `classify(…, label: \"…\")`"));
        }
        Ok(())
    }
}

fn distinct(examples: &[Example]) -> Vec<String> {
    let mut list: Vec<String> = distinct_of(examples.iter()).into_iter().map(str::to_owned).collect();
    // 2 before 10.
    if list.iter().all(|l| l.parse::<i64>().is_ok()) {
        list.sort_by_key(|l| l.parse::<i64>().unwrap_or(0));
    }
    list
}

fn distinct_of<'a>(examples: impl Iterator<Item = &'a Example>) -> BTreeSet<&'a str> {
    examples.map(|e| e.label.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn read(files: &[(&str, &str)], layout: Layout) -> Result<(Labelled, Vec<String>), Diagnostic> {
        let mut notes = Vec::new();
        read_folder(folder(files).path(), layout, Need::Both, &mut Sources::new(), &mut notes)
            .map(|l| (l, notes))
    }

    const HEAD: &str = "index\tsentence1\tsentence2\tlabel1\tgold_label\n";

    #[test]
    fn mnli_has_two_held_out_sets_and_leaves_out_what_nobody_agreed_on() {
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
    fn labels_of_own_data_are_sorted_numbers_by_value() {
        let layout = |label: &str| {
            Layout::columns(&Columns {
                text: "t".into(),
                pair: None,
                label: label.into(),
                labels: vec![],
                max_length: 9,
            })
        };
        let names = [("train.csv", "t,l\nx,b\ny,a\nz,b\n"), ("dev.csv", "t,l\nx,a\n")];
        assert_eq!(read(&names, layout("l")).unwrap().0.labels(None), ["a", "b"]);
        let numbers = [("train.csv", "t,l\nx,10\ny,2\n"), ("dev.csv", "t,l\nx,2\n")];
        assert_eq!(read(&numbers, layout("l")).unwrap().0.labels(None), ["2", "10"]);
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
        assert_eq!(unknown.help.unwrap(), "did you mean `neutral`?");
        assert!(unknown.message.contains("line 2"));
        assert_eq!(with(&format!("{HEAD}0\ta\tb\n")).code, Code::DataNotReadable);
        assert_eq!(with("").code, Code::DataEmpty);
        assert_eq!(with(HEAD).code, Code::DataEmpty);
        assert_eq!(with("sentence1\tgold_label\nx\tneutral\n").code, Code::ColumnMissing);
        assert_eq!(read(&[("dev.tsv", &good)], Layout::mnli()).unwrap_err().code, Code::DataNotFound);
    }

    #[test]
    fn the_few_broken_rows_of_qqp_are_left_out_and_told() {
        let head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
        let rows: String = (0..200).map(|i| format!("{i}\t1\t2\ta\tb\t{}\n", i % 2)).collect();
        let train = format!("{head}{rows}7\tbroken\n");
        let files = [("train.tsv", train.as_str()), ("dev.tsv", train.as_str())];
        let (data, notes) = read(&files, Layout::qqp()).unwrap();
        assert_eq!(data.train.len(), 200);
        assert!(notes[0].contains("1 rows") && notes[0].contains("line 202"), "{notes:?}");
    }
}
