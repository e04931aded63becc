//! Reads SQuAD from Parquet files with the columns `id`, `question`, `context`, and `answers` with lists of `text` and
//! `answer_start`.

use std::path::Path;

use parquet::record::{Field, Row};

use crate::diag::{Code, Diagnostic};

use super::answers::{Collected, RawAnswer, RawQuestion};
use super::parquet::Parquet;

const COLUMNS: [&str; 4] = ["id", "question", "context", "answers"];

/// Reads one file.
///
/// # Errors
/// A file that cannot be read or lacks a column.
pub(super) fn read(path: &Path, collected: &mut Collected) -> Result<(), Diagnostic> {
    let file = Parquet::open(path)?;
    let shown = path.display().to_string();
    file.each(&COLUMNS, |row, fields| {
        let mut fields = fields.into_iter();
        let mut text = |column: &str| match fields.next() {
            Some(Field::Str(text)) => Ok(text),
            Some(Field::Int(number)) if column == "id" => Ok(number.to_string()),
            Some(Field::Long(number)) if column == "id" => Ok(number.to_string()),
            Some(Field::Null) | None => {
                let message = format!("row {row} of `{shown}` has nothing for `{column}`");
                Err(Diagnostic::unlocated(Code::ColumnMissing, message)
                    .help("every row needs an id, a question, a context and answers"))
            }
            Some(_) => Err(file.other(column, "holds something else than text")),
        };
        let (id, asked, context) = (text("id")?, text("question")?, text("context")?);
        let context = collected.shared(context);
        let answers = answers(fields.next()).ok_or_else(|| {
            file.other("answers", &format!("holds no texts with the places where they begin, in row {row}"))
        })?;
        let raw = RawQuestion { id, question: asked, answers: Some(answers) };
        collected.add(raw, &context);
        Ok(())
    })
}

/// The answers of `{text: [..], answer_start: [..]}`, of a list of `{text, answer_start}`, or none of null.
fn answers(field: Option<Field>) -> Option<Vec<RawAnswer>> {
    let one = |text: &Field, start: &Field| {
        let Field::Str(text) = text else { return None };
        let answer_start = match start {
            Field::Int(n) => i64::from(*n),
            Field::Long(n) => *n,
            _ => return None,
        };
        Some(RawAnswer { text: text.clone(), answer_start })
    };
    let of = |row: &Row, name: &str| row.get_column_iter().find(|(n, _)| *n == name).map(|(_, f)| f.clone());
    let list = |field: Option<Field>| match field {
        Some(Field::ListInternal(list)) => Some(list.elements().to_vec()),
        Some(Field::Null) => Some(Vec::new()),
        _ => None,
    };
    match field? {
        Field::Null => Some(Vec::new()),
        Field::Group(row) => {
            let (texts, starts) = (list(of(&row, "text"))?, list(of(&row, "answer_start"))?);
            if texts.len() != starts.len() {
                return None;
            }
            texts.iter().zip(&starts).map(|(text, start)| one(text, start)).collect()
        }
        Field::ListInternal(list) => list
            .elements()
            .iter()
            .map(|element| match element {
                Field::Group(row) => one(&of(row, "text")?, &of(row, "answer_start")?),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
