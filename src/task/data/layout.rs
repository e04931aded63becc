//! The columns and labels of data sets for classification.

use crate::schedule::ir::Columns;

/// The columns and labels of a data set.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Possible names of the column of the text; the first that exists is read.
    pub text: Vec<String>,
    /// Possible names of the column of the second text; empty if there is none.
    pub pair: Vec<String>,
    /// Possible names of the column of the label.
    pub label: Vec<String>,
    /// The labels in order; empty if they are those of the training set.
    pub labels: Vec<String>,
    /// Whether a label of the data can also be its index in `labels`.
    pub numbered: bool,
    /// Values of the label's column in unlabelled rows: annotators did not agree, or the label is hidden.
    pub unlabelled: &'static [&'static str],
    /// Whether rows with a wrong number of cells are left out, as GLUE's QQP has some.
    pub lenient: bool,
}

impl Layout {
    /// MNLI in GLUE's files or exports of `datasets`.
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

    /// QQP in GLUE's files or exports of `datasets`.
    pub fn qqp() -> Self {
        Layout {
            text: strings(&["question1"]),
            pair: strings(&["question2"]),
            label: strings(&["is_duplicate", "label"]),
            labels: strings(&["not_duplicate", "duplicate"]),
            numbered: true,
            unlabelled: &["-1"],
            lenient: true,
        }
    }

    /// The columns and labels that a recipe declares.
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

    /// The index of a label in `labels`, by name in any case or, if [`numbered`](Self::numbered), by number.
    pub fn number(&self, label: &str, labels: &[String]) -> Option<usize> {
        let named = |l: &String| l.eq_ignore_ascii_case(label);
        let by_number = || {
            let canonical = self.labels.get(label.parse::<usize>().ok()?).filter(|_| self.numbered)?;
            labels.iter().position(|l| l.eq_ignore_ascii_case(canonical))
        };
        labels.iter().position(named).or_else(by_number)
    }
}

pub(super) fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}
