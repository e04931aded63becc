//! Statements with the places they come from.

use std::collections::BTreeSet;

use crate::diag::Span;

/// A recipe before it is written.
#[derive(Debug)]
pub(super) struct Draft {
    /// The recipe's name.
    pub(super) name: String,
    /// What is pointed at where nothing better is known.
    pub(super) origin: Span,
    /// Names out of `std.bert`.
    pub(super) uses: BTreeSet<&'static str>,
    /// How long it trains, in epochs.
    pub(super) length: Epochs,
    /// `model`, `data`, `batch`.
    pub(super) settings: Vec<Line>,
    pub(super) statements: Vec<Statement>,
    /// The places of the YAML's modifiers, with all their fields.
    pub(super) modifiers: Vec<Span>,
    /// What stands behind the front matter.
    pub(super) prose: String,
    /// Metadata that is carried along, line by line.
    pub(super) notes: Vec<String>,
}

/// A whole number of epochs and where it comes from.
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
    /// The parameters that it selects, where the model is known.
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

/// A line in pieces, each with the place it comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) parts: Vec<(String, Span)>,
    /// Fields whose comments belong to this line.
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

    pub(super) fn add(&mut self, order: Order, head: Line, body: Option<Vec<Line>>) {
        self.statements.push(Statement { order, head, body, names: Vec::new() });
    }

    /// Adds a statement about parameters, which the second part of its head names.
    pub(super) fn add_for(&mut self, order: Order, head: Line, body: Option<Vec<Line>>, names: Vec<String>) {
        self.statements.push(Statement { order, head, body, names });
    }
}

impl Line {
    /// A line that begins with `text`, out of the field at `span`.
    pub(super) fn of(text: impl Into<String>, span: Span) -> Self {
        Line { parts: vec![(text.into(), span)], fields: vec![span] }
    }

    /// Adds text that comes from `span`.
    pub(super) fn and(mut self, text: impl Into<String>, span: Span) -> Self {
        self.parts.push((text.into(), span));
        if !self.fields.contains(&span) {
            self.fields.push(span);
        }
        self
    }
}
