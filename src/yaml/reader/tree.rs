//! The tree of a YAML document: nodes with their spans, and a mark of what was read.

use std::cell::Cell;
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
    /// Whether it follows other text on its line.
    pub(crate) trailing: bool,
}

/// A value. An alias has the value and `span` of its anchor, so that diagnostics point to where the value is
/// written, and its own `place`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Where the value is written.
    pub(crate) span: Span,
    /// Where the node is in the document: the span, or the alias.
    pub(crate) place: Span,
    pub(crate) tag: Option<Tag>,
    /// The number of nodes if every alias were a copy.
    pub(crate) expanded: u64,
    /// Whether the import has read it.
    pub(crate) mark: Mark,
}

/// Whether the import has read a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handling {
    /// Not read yet.
    #[default]
    Unread,
    /// Left out, and a diagnostic says so.
    Noted,
    /// Read.
    Used,
}

/// The [`Handling`] of a node, shared by all values made from it. Marking an alias marks its anchor too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    handling: Rc<Cell<Handling>>,
    anchor: Option<Rc<Mark>>,
}

impl Mark {
    /// The mark of an alias of a node with this mark.
    pub(crate) fn aliased(&self) -> Mark {
        Mark { handling: Rc::default(), anchor: Some(Rc::new(self.clone())) }
    }

    pub(crate) fn get(&self) -> Handling {
        self.handling.get()
    }

    /// Marks the node as read.
    pub(crate) fn used(&self) {
        self.raise(Handling::Used);
    }

    /// Marks the node as left out with a diagnostic.
    pub(crate) fn noted(&self) {
        self.raise(Handling::Noted);
    }

    fn raise(&self, handling: Handling) {
        self.handling.set(self.handling.get().max(handling));
        if let Some(anchor) = &self.anchor {
            anchor.raise(handling);
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Whether it has neither quotes nor block style, so that its type depends on its text.
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
    /// Without the `!`; tags of YAML itself keep their `!!`.
    pub(crate) name: String,
    pub(crate) span: Span,
}

impl Node {
    /// A node that is not an alias.
    pub(crate) fn new(value: Value, span: Span, tag: Option<Tag>, expanded: u64) -> Self {
        Node { value, span, place: span, tag, expanded, mark: Mark::default() }
    }

    /// The same value at the place of an alias.
    pub(crate) fn aliased(&self, place: Span) -> Self {
        Node {
            value: self.value.clone(),
            span: self.span,
            place,
            tag: self.tag.clone(),
            expanded: self.expanded,
            mark: self.mark.aliased(),
        }
    }

    /// Marks this node and all below it as left out with a diagnostic.
    pub(crate) fn noted(&self) {
        self.mark.noted();
        match &self.value {
            Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(|item| item.noted()),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.value.noted()),
        }
    }

    /// Marks this node and all below it as read.
    pub(crate) fn used(&self) {
        self.mark.used();
        match &self.value {
            Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(|item| item.used()),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.value.used()),
        }
    }

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

    /// Whether this is an empty plain scalar or another spelling of null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if super::scalar::is_null(text))
    }

    /// The kind of the value, for messages.
    pub(crate) fn described(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}
