//! One modifier's fields, read by type.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};

use super::collect::Modifier;
use super::datum::{Datum, Located, Number, Trap};
use super::numbers::{Conversion, number};
use super::registry::{self, Family, Known};

/// The fields of a modifier, evaluated once.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) modifier: &'a Modifier,
    pub(crate) known: &'static Known,
    list: Vec<Given>,
    /// Whether a value could not be read, so that the modifier cannot be translated.
    pub(crate) broken: bool,
}

/// A field that is given.
#[derive(Debug)]
struct Given {
    name: String,
    at: Span,
    /// Name and value.
    whole: Span,
    value: Option<Located>,
}

impl<'a> Fields<'a> {
    /// Reads all fields of a modifier; unknown and missing ones are reported.
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
        fields.compare_with_registry(findings);
        Some(fields)
    }

    fn compare_with_registry(&mut self, findings: &mut Findings) {
        let table = if self.modifier.untagged { self.known.untagged } else { self.known.fields };
        let name = self.known.name;
        if table.is_empty() {
            let form = if self.modifier.untagged { "this form" } else { "this tagged form" };
            self.refuse(
                findings,
                Code::ModifierRefused,
                self.modifier.at,
                format!("`{name}` does not exist in {form}"),
                "not here".into(),
                "use the form that its own library writes".into(),
            );
            return;
        }
        let mut misspelt: Vec<&str> = Vec::new();
        for given in &self.list {
            if table.iter().any(|(field, _)| *field == given.name) {
                continue;
            }
            if given.name == "log_types" {
                if let Some(value) = &given.value {
                    value.noted();
                }
                findings.push(
                    Diagnostic::advice(
                        Code::Dropped,
                        "`log_types` does nothing in SparseML",
                        given.whole,
                        "left out",
                    )
                    .help("nothing needs to be done"),
                );
                continue;
            }
            if given.name == "global_sparsity"
                && let Family::Magnitude { global } = self.known.family
            {
                findings.push(always_ranked(self.modifier, given, global));
                self.broken = true;
                continue;
            }
            let near = nearest(&given.name, table.iter().map(|(field, _)| *field))
                .filter(|near| !self.list.iter().any(|g| g.name == *near));
            let renamed = [
                ("update_frequency", "update"),
                ("start_epoch", "start"),
                ("end_epoch", "end"),
                ("params", "targets"),
                ("mask_type", "mask_structure"),
                ("dampening", "damp"),
                ("dampening_frac", "damp"),
            ];
            let near = renamed
                .iter()
                .find(|(a, b)| *a == given.name && table.iter().any(|(f, _)| f == b))
                .map(|(_, b)| *b)
                .or(near);
            let taken = near.filter(|near| self.list.iter().any(|g| g.name == *near));
            let near = near.filter(|_| taken.is_none());
            let mut diagnostic = Diagnostic::error(
                Code::UnknownField,
                format!("`{name}` has no field `{}`", given.name),
                given.at,
                if self.modifier.untagged { "SparseML ignores it silently" } else { "unknown" },
            )
            .help(near.map_or(
                format!("its fields are {}", table.iter().map(|(f, _)| *f).collect::<Vec<_>>().join(", ")),
                |n| format!("did you mean `{n}`?"),
            ));
            if let Some(taken) = taken {
                diagnostic = diagnostic.help(format!("remove it: `{taken}` is given")).fix(given.whole, "");
            }
            if let Some(near) = near {
                misspelt.push(near);
                diagnostic = diagnostic.fix(given.at, near);
            }
            findings.push(diagnostic);
            self.broken = true;
        }
        for (field, required) in table {
            // No parameters at all are told where parameters are chosen.
            let empty = |g: &Given| matches!(g.value.as_ref().map(Located::peek), Some(Datum::Null));
            if let Some(given) =
                self.list.iter().find(|g| *required && g.name == *field && empty(g) && *field != "params")
            {
                findings.push(
                    Diagnostic::error(
                        Code::MissingField,
                        format!("`{field}` has no value"),
                        given.at,
                        "nothing behind it",
                    )
                    .help(format!("write its value behind `{field}:`")),
                );
                self.broken = true;
            }
            if *required && !self.list.iter().any(|g| g.name == *field) && !misspelt.contains(field) {
                findings.push(
                    Diagnostic::error(
                        Code::MissingField,
                        format!("`{name}` needs `{field}`"),
                        self.modifier.at,
                        format!("no `{field}` below"),
                    )
                    .help(format!("add `{field}:` and its value")),
                );
                self.broken = true;
            }
        }
    }

    fn given(&self, field: &str) -> Option<&Given> {
        self.list.iter().find(|g| g.name == field)
    }

    /// Whether a field stands there.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.given(field).is_some()
    }

    /// The value of a field; `None` if it is not given or nothing stands behind it.
    pub(crate) fn value(&self, field: &str) -> Option<&Located> {
        self.given(field)?.value.as_ref().filter(|v| !v.is_null())
    }

    /// The value of a field, which is going to be read elsewhere.
    pub(crate) fn peek(&self, field: &str) -> Option<&Located> {
        self.given(field)?.value.as_ref().filter(|v| !matches!(v.peek(), Datum::Null))
    }

    /// A flag that is going to be read elsewhere.
    pub(crate) fn peeked_flag(&self, field: &str, default: bool) -> bool {
        match self.peek(field).map(Located::peek) {
            Some(Datum::Bool(flag)) => *flag,
            _ => default,
        }
    }

    /// Name and value of a field, or the modifier's name where it is not given.
    pub(crate) fn place(&self, field: &str) -> Span {
        self.given(field).map_or(self.modifier.at, |g| g.whole)
    }

    /// The value's place alone.
    pub(crate) fn value_place(&self, field: &str) -> Span {
        self.given(field).and_then(|g| g.value.as_ref()).map_or(self.place(field), |v| v.span)
    }

    /// The first of several names that is given, else the first.
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

    /// A number. What PyYAML reads otherwise is told.
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

    /// A number within a range. `range` says it in words.
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

    /// A whole number above zero.
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

    /// `true` or `false`. Other words for them, and texts, are told.
    pub(crate) fn flag(&mut self, field: &str, default: bool, findings: &mut Findings) -> bool {
        let Some(value) = self.value(field).cloned() else { return default };
        match (value.datum(), &value.trap) {
            (Datum::Bool(flag), None) => *flag,
            // Python takes these two for the same, and SparseML's own recipes write them.
            (Datum::Number(number), None) if number.whole && [0.0, 1.0].contains(&number.value) => {
                number.value == 1.0
            }
            (Datum::Bool(flag), Some(_)) => {
                findings.push(
                    Diagnostic::warning(
                        Code::SurprisingScalar,
                        format!("YAML 1.1 reads this word as `{flag}`, YAML 1.2 as text"),
                        value.span,
                        format!("taken as `{flag}`"),
                    )
                    .help(format!("write `{flag}`"))
                    .fix(value.span, flag.to_string()),
                );
                *flag
            }
            (Datum::Text(text), Some(Trap::QuotedBool)) => {
                let meant = text.eq_ignore_ascii_case("true");
                findings.push(
                    Diagnostic::warning(
                        Code::SurprisingScalar,
                        "in quotes this is text, which SparseML takes for true whatever it says",
                        value.span,
                        format!("taken as `{meant}`"),
                    )
                    .help(format!("write `{meant}` without quotes"))
                    .fix(value.span, meant.to_string()),
                );
                meant
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

    /// A word or text.
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

    /// One of some words.
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
        let error = match nearest(&text, words.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")).fix(span, near),
            None => error.help(format!("it is one of {}", words.join(", "))),
        };
        self.report(findings, error);
        None
    }

    /// A list of texts; a single text is told to be none.
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

    /// Records that a finding says that the whole modifier is left out.
    pub(crate) fn noted(&self) {
        self.list.iter().filter_map(|given| given.value.as_ref()).for_each(Located::noted);
    }

    /// Says that a field has no effect here.
    pub(crate) fn dropped(&self, field: &str, why: &str, findings: &mut Findings) {
        if let Some(given) = self.given(field) {
            if let Some(value) = &given.value {
                value.noted();
            }
            findings.push(
                Diagnostic::advice(
                    Code::Dropped,
                    format!("`{field}` is left out: {why}"),
                    given.whole,
                    "left out",
                )
                .help("nothing needs to be done"),
            );
        }
    }
}

/// A text in quotes that need no escapes, where it has none of them.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}

/// `global_sparsity` of a modifier whose name says it already.
fn always_ranked(modifier: &Modifier, given: &Given, global: bool) -> Diagnostic {
    let (how, other) = match global {
        true => ("globally", "MagnitudePruningModifier"),
        false => ("each parameter by itself", "GlobalMagnitudePruningModifier"),
    };
    let message = format!("`{}` has no field `global_sparsity`: it always ranks {how}", modifier.name);
    let diagnostic = Diagnostic::error(Code::UnknownField, message, given.whole, "SparseML refuses it");
    match given.value.as_ref().map(Located::peek) {
        Some(Datum::Bool(wished)) if *wished != global => {
            let mark = if modifier.untagged { "" } else { "!" };
            diagnostic
                .help(format!("use `{other}`, and remove this"))
                .fix(modifier.at, format!("{mark}{other}"))
        }
        _ => diagnostic.help("remove it").fix(given.whole, ""),
    }
}
