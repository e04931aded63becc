//! The tree of a YAML document: every node with its place.

use std::rc::Rc;

use crate::diag::Span;

/// A document and its comments in order.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Rc<Node>,
    pub(crate) comments: Vec<Comment>,
}

/// A comment without its `#`.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) text: String,
    pub(crate) span: Span,
    /// Whether something stands before it on its line.
    pub(crate) trailing: bool,
}

/// A value. An alias is the node of its anchor itself, so that diagnostics point to where the value
/// is written.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
    pub(crate) tag: Option<Tag>,
    /// How many nodes this would be with every alias copied out.
    pub(crate) expanded: u64,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Without quotes, and not a block of text: its type is guessed from its letters.
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// `key: value`
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Rc<Node>,
    pub(crate) value: Rc<Node>,
}

/// `!Name`
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    /// Without the `!`; a name of YAML's own keeps its `!!`.
    pub(crate) name: String,
    pub(crate) span: Span,
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Rc<Node>> {
        self.entries().iter().find(|e| e.key.text() == Some(key)).map(|e| &e.value)
    }

    /// Whether nothing stands here, or a word for nothing.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if super::scalar::is_null(text))
    }

    /// What a YAML file calls this.
    pub(crate) fn described(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}
