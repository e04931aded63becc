//! The fields of one modifier, evaluated and checked against its class.

use crate::diag::{Code, Diagnostic, Findings, Span};

use super::datum::{Datum, Located};
use super::field_names::{Given, check};
use super::modifier::Modifier;
use super::registry::{self, Known};

/// The fields of a modifier, evaluated once.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) modifier: &'a Modifier,
    pub(crate) known: &'static Known,
    list: Vec<Given>,
    /// Whether an error was reported, so that the modifier cannot be translated.
    pub(crate) broken: bool,
}

impl<'a> Fields<'a> {
    /// Evaluates all fields of a modifier, and reports unknown and missing ones. `None` for an unknown modifier.
    pub(crate) fn read(modifier: &'a Modifier, findings: &mut Findings) -> Option<Self> {
        let known = registry::find(&modifier.name)?;
        let mut fields = Fields { modifier, known, list: Vec::new(), broken: false };
        for entry in &modifier.fields {
            let value = modifier.variables.read(&entry.value, findings);
            fields.broken |= value.is_none();
            let name = entry.key.text().unwrap_or("").to_owned();
            let whole = entry.key.span.to(entry.value.place);
            fields.list.push(Given { name, at: entry.key.span, whole, value });
        }
        fields.broken |= !check(modifier, known, &fields.list, findings);
        Some(fields)
    }

    fn given(&self, field: &str) -> Option<&Given> {
        self.list.iter().find(|g| g.name == field)
    }

    /// Whether a field is given, perhaps without a value.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.given(field).is_some()
    }

    /// The value of a field; `None` if it is not given or empty.
    pub(crate) fn value(&self, field: &str) -> Option<&Located> {
        self.given(field)?.value.as_ref().filter(|v| !v.is_null())
    }

    /// The value of a field, without marking it as read; the code that uses it does that.
    pub(crate) fn peek(&self, field: &str) -> Option<&Located> {
        self.given(field)?.value.as_ref().filter(|v| !matches!(v.peek(), Datum::Null))
    }

    /// A flag, without marking it as read.
    pub(crate) fn peeked_flag(&self, field: &str, default: bool) -> bool {
        match self.peek(field).map(Located::peek) {
            Some(Datum::Bool(flag)) => *flag,
            _ => default,
        }
    }

    /// The span of a field's name and value, or of the modifier's name where the field is not given.
    pub(crate) fn place(&self, field: &str) -> Span {
        self.given(field).map_or(self.modifier.at, |g| g.whole)
    }

    /// The span of a field's value.
    pub(crate) fn value_place(&self, field: &str) -> Span {
        self.given(field).and_then(|g| g.value.as_ref()).map_or(self.place(field), |v| v.span)
    }

    /// The first of several names that is given, or else the first name.
    pub(crate) fn named(&self, names: &[&'static str]) -> &'static str {
        names.iter().copied().find(|n| self.has(n)).unwrap_or(names[0])
    }

    /// Reports an error about this modifier.
    pub(crate) fn refuse(
        &mut self,
        findings: &mut Findings,
        code: Code,
        at: Span,
        message: String,
        label: String,
        help: String,
    ) {
        self.report(findings, Diagnostic::error(code, message, at, label).help(help));
    }

    /// Reports an error about this modifier.
    pub(crate) fn report(&mut self, findings: &mut Findings, error: Diagnostic) {
        self.broken = true;
        findings.push(error);
    }

    /// Marks all fields as covered by a diagnostic, which says that the modifier is left out.
    pub(crate) fn noted(&self) {
        self.list.iter().filter_map(|given| given.value.as_ref()).for_each(Located::noted);
    }

    /// Reports a field that has no effect here, if it is given; `why` completes the message.
    pub(crate) fn dropped(&self, field: &str, why: &str, findings: &mut Findings) {
        if let Some(given) = self.given(field) {
            if let Some(value) = &given.value {
                value.noted();
            }
            let message = format!("`{field}` is left out: {why}");
            let diagnostic = Diagnostic::advice(Code::Dropped, message, given.whole, "left out");
            findings.push(diagnostic.help("no change is needed"));
        }
    }
}

/// A text as a YAML scalar in quotes, in the style that needs no escapes.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}
