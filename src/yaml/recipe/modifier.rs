//! One modifier of a recipe: its name, its fields and where they are written.

use std::rc::Rc;

use crate::diag::{Diagnostic, Span};
use crate::yaml::reader::Entry;

use super::block;
use super::variables::Variables;

/// A modifier and its fields.
#[derive(Clone, Debug)]
pub(crate) struct Modifier {
    pub(crate) name: String,
    /// Where the name is written.
    pub(crate) at: Span,
    /// The name and all fields.
    pub(crate) whole: Span,
    pub(crate) fields: Vec<Entry>,
    /// How to insert a field before the first one; `None` where the text does not allow it.
    insertion: Option<Insertion>,
    /// Whether it is written as `Type: {…}` in a group and not with a tag.
    pub(crate) untagged: bool,
    pub(crate) variables: Rc<Variables>,
}

/// How the fields of a modifier are written.
#[derive(Clone, Copy, Debug)]
enum Insertion {
    /// One per line, indented by this many spaces.
    Lines(usize),
    /// In braces.
    Braces,
}

impl Modifier {
    /// A modifier of the recipe `text`. `at` is the span of the name and `whole` that of name and fields.
    pub(super) fn new(
        text: &str,
        (name, at): (String, Span),
        whole: Span,
        fields: Vec<Entry>,
        untagged: bool,
        variables: Rc<Variables>,
    ) -> Self {
        let insertion = fields.first().and_then(|first| {
            let before = text.get(whole.start as usize..first.key.span.start as usize)?;
            match block::indent_of(text, first.key.span) {
                Some(indent) => Some(Insertion::Lines(indent)),
                None => before.trim_end().ends_with('{').then_some(Insertion::Braces),
            }
        });
        Modifier { name, at, whole, fields, insertion, untagged, variables }
    }

    /// Adds a fix that inserts one more field, such as `start: 0`, to `diagnostic`.
    pub(crate) fn suggest_field(&self, diagnostic: Diagnostic, field: &str) -> Diagnostic {
        let (Some(how), Some(first)) = (self.insertion, self.fields.first()) else { return diagnostic };
        let at = Span { end: first.key.span.start, ..first.key.span };
        match how {
            Insertion::Lines(indent) => diagnostic.fix(at, format!("{field}\n{}", " ".repeat(indent))),
            Insertion::Braces => diagnostic.fix(at, format!("{field}, ")),
        }
    }
}
