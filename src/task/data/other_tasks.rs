//! Recognizes data of other tasks than `classify`: token and multi-label classification, and regression.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Sources};

use super::cell::Cell;
use super::table::{Row, Table};

/// The error of a row with a list in a column: data of token classification, of multi-label classification, or words.
pub(super) fn row_of_another_task(
    table: &Table,
    row: &Row,
    columns: &[&str],
    sources: &mut Sources,
) -> Diagnostic {
    let is_list = |i: usize| row.cells.get(i).is_some_and(Cell::is_list);
    let place = format!("{} {} of `{}`", table.unit(), row.line, table.path().display());
    let (label, text) = (columns[0], columns[1]);
    let (what, help) = match (is_list(0), is_list(1)) {
        (true, true) => (
            format!(
                "{place} has a list of words in `{text}` and a label for each in `{label}`: this is token classification"
            ),
            "write `classify_tokens(tokens: …, tags: …)` with these columns, or `eval --task classify-tokens`",
        ),
        (true, false) => (
            format!("{place} has several labels in `{label}`: this is multi-label classification"),
            "write `multi_label(text: …, label: …)` with these columns, or `eval --task multi-label`",
        ),
        _ => (
            format!("{place} has a list in place of a text"),
            "join the words of each text by spaces; `classify` needs one text and one label in a row",
        ),
    };
    table.error(Code::OtherTask, what, row.line, "this row", sources).help(help)
}

/// Checks that the distinct labels of a column of `rows` rows are classes.
///
/// # Errors
/// Real numbers, as in regression, or almost as many different labels as rows, as in a column of texts.
pub(super) fn check_labels(
    labels: &[String],
    rows: usize,
    column: &str,
    path: &Path,
) -> Result<(), Diagnostic> {
    let real = |label: &&String| label.parse::<f64>().is_ok() && label.parse::<i64>().is_err();
    if let Some(example) = labels.iter().find(real) {
        let message = format!(
            "the labels in the column `{column}` of `{}` are real numbers such as {example}: this is regression",
            path.display(),
        );
        let whole = labels.iter().all(|l| l.parse::<f64>().is_ok_and(|n| n.fract() == 0.0));
        let names: Vec<String> = labels.iter().take(8).map(|l| format!("\"{l}\"")).collect();
        let help = match whole && labels.len() <= 8 {
            true => format!(
                "if they are classes, write them without a decimal point or name them: `classify(…, labels: [{}])`",
                names.join(", ")
            ),
            false => "write `regression(text: …, score: …)` with these columns, or `eval --task regression`"
                .to_owned(),
        };
        return Err(Diagnostic::unlocated(Code::Regression, message).help(help));
    }
    if labels.len() > 20 && labels.len() * 2 > rows {
        let kinds = labels.len();
        return Err(Diagnostic::unlocated(
            Code::LabelUnknown,
            format!("the column `{column}` holds {kinds} different labels in {rows} rows"),
        )
        .help("is it the column of the labels? name it: `classify(…, label: \"…\")`"));
    }
    Ok(())
}
