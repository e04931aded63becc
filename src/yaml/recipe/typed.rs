//! Reads the value of a field as a number, flag, text, choice or list.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};

use super::datum::{Datum, Located, Misread, Number};
use super::fields::{Fields, quoted};
use super::numbers::{Conversion, number};

impl Fields<'_> {
    /// Reads a number, and reports where PyYAML reads something else. `None` if it is not given or is no number.
    pub(crate) fn number(
        &mut self,
        field: &str,
        conversion: Conversion,
        findings: &mut Findings,
    ) -> Option<Number> {
        let value = self.value(field)?.clone();
        match number(&value, field, conversion, findings) {
            Some(number) => Some(number),
            None => {
                self.broken = true;
                None
            }
        }
    }

    /// Reads a number for which `fits` holds; `range` describes that for messages, as `from 0 to 1`.
    pub(crate) fn number_in(
        &mut self,
        field: &str,
        conversion: Conversion,
        fits: fn(f64) -> bool,
        range: &str,
        findings: &mut Findings,
    ) -> Option<Number> {
        let number = self.number(field, conversion, findings)?;
        if fits(number.value) {
            return Some(number);
        }
        let at = self.value_place(field);
        self.refuse(
            findings,
            Code::FieldRange,
            at,
            format!("`{field}` must be {range}"),
            format!("this is {}", number.text),
            format!("write a number {range}"),
        );
        None
    }

    /// Reads a whole number above zero.
    pub(crate) fn count(&mut self, field: &str, findings: &mut Findings) -> Option<Number> {
        self.number_in(
            field,
            Conversion::Kept,
            |n| n >= 1.0 && n.fract() == 0.0 && n < 1e9,
            "a whole number above zero",
            findings,
        )
        .map(|n| Number::computed(n.value, true))
    }

    /// Reads `true` or `false`, and reports other spellings of them such as `on` and `"False"`.
    pub(crate) fn flag(&mut self, field: &str, default: bool, findings: &mut Findings) -> bool {
        let Some(value) = self.value(field).cloned() else { return default };
        match (value.datum(), &value.misread) {
            (Datum::Bool(flag), None) => *flag,
            // In Python 1 == True and 0 == False, and SparseML's own recipes write them.
            (Datum::Number(number), None) if number.whole && [0.0, 1.0].contains(&number.value) => {
                number.value == 1.0
            }
            (Datum::Bool(flag), Some(_)) => {
                findings.push(
                    Diagnostic::warning(
                        Code::SurprisingScalar,
                        format!("YAML 1.1 reads this word as `{flag}`, YAML 1.2 as text"),
                        value.span,
                        format!("imported as `{flag}`"),
                    )
                    .help(format!("write `{flag}`"))
                    .fix(value.span, flag.to_string()),
                );
                *flag
            }
            (Datum::Text(text), Some(Misread::QuotedBool)) => {
                let flag = text.eq_ignore_ascii_case("true");
                findings.push(
                    Diagnostic::warning(
                        Code::SurprisingScalar,
                        "in quotes this is a text, and SparseML takes every text for true",
                        value.span,
                        format!("imported as `{flag}`"),
                    )
                    .help(format!("write `{flag}` without quotes"))
                    .fix(value.span, flag.to_string()),
                );
                flag
            }
            (other, _) => {
                let message = format!("`{field}` is true or false, not {}", other.described());
                self.refuse(
                    findings,
                    Code::FieldType,
                    value.span,
                    message,
                    "here".into(),
                    "write `true` or `false`".into(),
                );
                default
            }
        }
    }

    /// Reads a text and its span.
    pub(crate) fn text(&mut self, field: &str, findings: &mut Findings) -> Option<(String, Span)> {
        let value = self.value(field)?.clone();
        match value.datum() {
            Datum::Text(text) => Some((text.clone(), value.span)),
            other => {
                let message = format!("`{field}` is a text, not {}", other.described());
                self.refuse(
                    findings,
                    Code::FieldType,
                    value.span,
                    message,
                    "here".into(),
                    "write it in quotes".into(),
                );
                None
            }
        }
    }

    /// Reads one of `words`; `default` if the field is not given.
    pub(crate) fn choice(
        &mut self,
        field: &str,
        words: &[&'static str],
        default: &'static str,
        findings: &mut Findings,
    ) -> Option<&'static str> {
        if self.value(field).is_none() {
            return Some(default);
        }
        let (text, span) = self.text(field, findings)?;
        if let Some(word) = words.iter().find(|w| **w == text) {
            return Some(word);
        }
        let error = Diagnostic::error(
            Code::FieldRange,
            format!("`{field}` cannot be `{text}`"),
            span,
            format!("not one of {}", words.join(", ")),
        );
        let near = nearest(&text, words.iter().copied());
        self.report(
            findings,
            error.did_you_mean(span, near, || format!("it is one of {}", words.join(", "))),
        );
        None
    }

    /// Reads a list of texts; a single text is an error, whose fix puts it into a list.
    pub(crate) fn texts(&mut self, field: &str, findings: &mut Findings) -> Option<Vec<(String, Span)>> {
        let value = self.value(field)?.clone();
        let items = match value.datum() {
            Datum::List(items) => items,
            other => {
                let message = format!("`{field}` is a list, not {}", other.described());
                let error = Diagnostic::error(Code::FieldType, message, value.span, "here");
                let error = match other {
                    Datum::Text(text) => {
                        let list = format!("[{}]", quoted(text));
                        error.help(format!("write `{field}: {list}`")).fix(value.span, list)
                    }
                    _ => error.help(format!("write `{field}: [\"…\"]`")),
                };
                self.report(findings, error);
                return None;
            }
        };
        let mut texts = Vec::new();
        for item in items {
            match item.datum() {
                Datum::Text(text) => texts.push((text.clone(), item.span)),
                other => {
                    let message = format!("`{field}` lists texts, not {}", other.described());
                    self.refuse(
                        findings,
                        Code::FieldType,
                        item.span,
                        message,
                        "here".into(),
                        "write it in quotes".into(),
                    );
                }
            }
        }
        Some(texts)
    }

    /// The entries of a field that is a mapping; none if it is not given. `None` where a diagnostic was made,
    /// whose help shows `example`.
    pub(crate) fn mapping(
        &mut self,
        field: &str,
        example: &str,
        findings: &mut Findings,
    ) -> Option<Vec<(String, Span, Located)>> {
        let Some(value) = self.value(field).cloned() else { return Some(Vec::new()) };
        match value.datum() {
            Datum::Map(entries) => Some(entries.clone()),
            other => {
                let message = format!("`{field}` is a mapping, not {}", other.described());
                let help = format!("as `{example}`");
                self.refuse(findings, Code::FieldType, value.span, message, "here".into(), help);
                None
            }
        }
    }
}
