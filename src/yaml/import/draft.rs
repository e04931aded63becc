//! A draft of the `.obert` recipe: statements with the spans of the YAML they come from.

use std::collections::BTreeSet;

use crate::diag::Span;

/// A recipe before it is written.
#[derive(Debug)]
pub(super) struct Draft {
    /// The recipe's name.
    pub(super) name: String,
    /// The span for text that comes from no field.
    pub(super) origin: Span,
    /// The names to import from `std.bert`.
    pub(super) uses: BTreeSet<&'static str>,
    /// The length of training.
    pub(super) length: Epochs,
    /// `model`, `data`, `batch`.
    pub(super) settings: Vec<Line>,
    pub(super) statements: Vec<Statement>,
    /// The spans of the YAML's modifiers with all their fields.
    pub(super) modifiers: Vec<Span>,
    /// The text after the front matter.
    pub(super) prose: String,
    /// Comment lines with the metadata.
    pub(super) notes: Vec<String>,
}

/// A whole number of epochs and where it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Epochs {
    pub(super) count: u64,
    pub(super) at: Span,
}

/// A statement: its head, and the lines of its block if it has one.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) order: Order,
    pub(super) head: Line,
    pub(super) body: Option<Vec<Line>>,
    /// The parameters that it selects; none for an unknown model.
    pub(super) names: Vec<String>,
}

/// The order of statements in a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Order {
    Layers,
    Train,
    Rates,
    Freeze,
    Prune,
    Hold,
    Quantize,
    Distill,
}

/// A line in parts, each with the span it comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) parts: Vec<(String, Span)>,
    /// The fields whose comments are written with this line.
    pub(super) fields: Vec<Span>,
}

impl Draft {
    pub(super) fn new(name: String, origin: Span) -> Self {
        Draft {
            name,
            origin,
            uses: BTreeSet::new(),
            length: Epochs { count: 0, at: origin },
            settings: Vec::new(),
            statements: Vec::new(),
            modifiers: Vec::new(),
            prose: String::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a statement.
    pub(super) fn add(&mut self, order: Order, head: Line, body: Option<Vec<Line>>) {
        self.statements.push(Statement { order, head, body, names: Vec::new() });
    }

    /// Adds a statement whose second part of the head selects the parameters `names`.
    pub(super) fn add_for(&mut self, order: Order, head: Line, body: Option<Vec<Line>>, names: Vec<String>) {
        self.statements.push(Statement { order, head, body, names });
    }
}

impl Line {
    /// A line that starts with `text`, which comes from the field at `span`.
    pub(super) fn of(text: impl Into<String>, span: Span) -> Self {
        Line { parts: vec![(text.into(), span)], fields: vec![span] }
    }

    /// Appends text that comes from the field at `span`.
    pub(super) fn and(mut self, text: impl Into<String>, span: Span) -> Self {
        self.parts.push((text.into(), span));
        if !self.fields.contains(&span) {
            self.fields.push(span);
        }
        self
    }
}
