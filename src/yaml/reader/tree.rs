//! The tree of a YAML document: every node with its place.

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
    /// Whether something stands before it on its line.
    pub(crate) trailing: bool,
}

/// A value. An alias has the value and the span of its anchor, so that diagnostics point to where the
/// value is written, and a place of its own.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Where the value is written.
    pub(crate) span: Span,
    /// Where the node is in the document: the span, or the alias.
    pub(crate) place: Span,
    pub(crate) tag: Option<Tag>,
    /// How many nodes this would be with every alias copied out.
    pub(crate) expanded: u64,
    /// What the import has done with it.
    pub(crate) mark: Mark,
}

/// What the import has done with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handling {
    /// It has not been looked at.
    #[default]
    Unread,
    /// A finding says that it is left out.
    Noted,
    /// It has been read.
    Used,
}

/// The [`Handling`] of a node, shared by everything that reads it. Using an alias uses its anchor.
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

    /// Records that the node was read.
    pub(crate) fn used(&self) {
        self.raise(Handling::Used);
    }

    /// Records that a finding says that the node is left out.
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
    /// A node that is written where it is.
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

    /// Records that a finding says that this and everything in it is left out.
    pub(crate) fn noted(&self) {
        self.mark.noted();
        match &self.value {
            Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(|item| item.noted()),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.value.noted()),
        }
    }

    /// Records that this and everything in it was read.
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
