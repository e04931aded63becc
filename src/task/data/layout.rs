//! How a data set writes its examples: names of columns, and which labels there are.

use crate::schedule::ir::Columns;

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
    /// What is written where annotators did not agree on a label, or where it is hidden.
    pub unlabelled: &'static [&'static str],
    /// Whether rows with a wrong number of cells are left out: GLUE's own QQP has some.
    pub lenient: bool,
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
            unlabelled: &["-1"],
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

pub(super) fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}
