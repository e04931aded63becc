//! A cell of a table, whatever the file's format.

use serde_json::Value;

/// What is in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A text, or a number as it is written.
    Text(String),
    /// Nothing: `null`.
    Nothing,
    /// A list of texts or numbers.
    List,
}

impl Cell {
    /// Its text; nothing is an empty one.
    pub fn into_text(self) -> String {
        match self {
            Cell::Text(text) => text,
            Cell::Nothing | Cell::List => String::new(),
        }
    }

    /// The cell of a JSON value; there is none of an object.
    pub fn of_json(value: &Value) -> Option<Cell> {
        Some(match value {
            Value::String(text) => Cell::Text(text.trim().to_owned()),
            Value::Number(_) | Value::Bool(_) => Cell::Text(value.to_string()),
            Value::Null => Cell::Nothing,
            Value::Array(_) => Cell::List,
            Value::Object(_) => return None,
        })
    }
}
