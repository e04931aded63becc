//! A cell of a table of any format.

use serde_json::Value;

/// The content of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A text, or a number as the file has it.
    Text(String),
    /// No value: `null`.
    Nothing,
    /// A list of texts or numbers, each as the file has it.
    List(Vec<String>),
}

/// An item of a list; `null` is empty, a list within the list its JSON.
fn item(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Cell {
    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self, Cell::List(_))
    }

    /// The text; empty for other content.
    pub fn into_text(self) -> String {
        match self {
            Cell::Text(text) => text,
            Cell::Nothing | Cell::List(_) => String::new(),
        }
    }

    /// The cell of a JSON value; `None` for an object.
    pub fn of_json(value: &Value) -> Option<Cell> {
        Some(match value {
            Value::String(text) => Cell::Text(text.trim().to_owned()),
            Value::Number(_) | Value::Bool(_) => Cell::Text(value.to_string()),
            Value::Null => Cell::Nothing,
            Value::Array(items) => Cell::List(items.iter().map(item).collect()),
            Value::Object(_) => return None,
        })
    }
}
