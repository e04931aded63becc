//! An item of a completion.

use std::ops::Range;

/// A text that can be inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is shown.
    pub label: String,
    /// What it is.
    pub kind: ItemKind,
    /// A few words beside it: a type or a default.
    pub detail: String,
    /// What it means.
    pub doc: String,
    /// The text to insert.
    pub insert: String,
    /// The same with places to fill in, in the notation of the protocol's snippets.
    pub snippet: Option<String>,
    /// The bytes that are replaced.
    pub range: Range<usize>,
}

/// The kinds of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A verb or a keyword.
    Keyword,
    /// A setting, a clause or an argument.
    Setting,
    /// One of the values of a setting.
    Value,
    /// A declared name.
    Name,
    /// A template.
    Template,
    /// A stage.
    Stage,
    /// A module or a file.
    Module,
    /// A unit or a type.
    Unit,
    /// A parameter of the model.
    Parameter,
}

impl Item {
    /// An item that inserts its label in place of `range`.
    pub(super) fn new(label: impl Into<String>, kind: ItemKind, range: Range<usize>) -> Self {
        let label = label.into();
        Item {
            insert: label.clone(),
            label,
            kind,
            detail: String::new(),
            doc: String::new(),
            snippet: None,
            range,
        }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(super) fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    pub(super) fn inserts(mut self, plain: impl Into<String>, snippet: impl Into<String>) -> Self {
        self.insert = plain.into();
        self.snippet = Some(snippet.into());
        self
    }
}

/// A text inside a snippet.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}")
}
