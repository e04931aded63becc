//! Values as PyYAML reads them and as they are meant.

use crate::diag::Span;
use crate::schedule::Rational;
use crate::yaml::reader::scalar::{self, Plain};
use crate::yaml::reader::{Mark, Node};

/// A value and where it is written. Its node counts as read once [`Located::datum`] was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    datum: Datum,
    pub(crate) span: Span,
    /// Where it is in the document: the span, or the alias or `eval(…)` that stands for it.
    pub(crate) place: Span,
    /// What PyYAML makes of it where that is not what is meant.
    pub(crate) trap: Option<Trap>,
    mark: Mark,
}

#[derive(Clone, Debug)]
pub(crate) enum Datum {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Located>),
    Map(Vec<(String, Span, Located)>),
}

/// A number, and how a recipe writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    /// Whether Python has it as an `int`.
    pub(crate) whole: bool,
    /// In the form of a recipe: `8e-5`, `0.25`.
    pub(crate) text: String,
}

/// How PyYAML, or SparseML behind it, misreads a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trap {
    /// `8e-5` is text to PyYAML.
    NumberAsText,
    /// `010` is 8.
    Octal,
    /// `1:30` is 90.
    Sexagesimal,
    /// `on` is `true`.
    WordForBool(String),
    /// `"False"` is text, which is true.
    QuotedBool,
    /// `"0.8"` is text.
    QuotedNumber,
}

impl Number {
    /// A computed number, in the shortest form that a recipe reads as the same double.
    pub(crate) fn computed(value: f64, whole: bool) -> Self {
        let plain = format!("{value}");
        let small = value != 0.0 && value.abs() < 1e-3;
        let text = if small || plain.len() > 18 { format!("{value:e}") } else { plain };
        Number { value, whole, text }
    }

    /// A computed number with the text of the exact result, where that is known: `0.1 * 0.1` is written as
    /// `0.01`. `value` is what Python computes.
    pub(crate) fn result(value: f64, exact: Option<Rational>, whole: bool) -> Self {
        let decimal = exact.map(Rational::to_f64).filter(|e| (e - value).abs() <= 1e-12 * value.abs());
        Number { value, ..Number::computed(decimal.unwrap_or(value), whole) }
    }

    /// The number as it is written, exactly; `None` beyond 30 digits.
    pub(crate) fn exact(&self) -> Option<Rational> {
        Rational::from_decimal(&self.text)
    }

    pub(crate) fn plus(&self, other: &Number) -> Number {
        let exact = self.exact().zip(other.exact()).and_then(|(a, b)| a.plus(b));
        Number::result(self.value + other.value, exact, self.whole && other.whole)
    }

    pub(crate) fn minus(&self, other: &Number) -> Number {
        let exact = self.exact().zip(other.exact()).and_then(|(a, b)| a.minus(b));
        Number::result(self.value - other.value, exact, self.whole && other.whole)
    }

    pub(crate) fn times(&self, other: &Number) -> Number {
        let exact = self.exact().zip(other.exact()).and_then(|(a, b)| a.times(b));
        Number::result(self.value * other.value, exact, self.whole && other.whole)
    }

    pub(crate) fn over(&self, other: &Number) -> Number {
        let exact = self.exact().zip(other.exact()).and_then(|(a, b)| a.over(b));
        Number::result(self.value / other.value, exact, false)
    }
}

impl Located {
    /// The value of a node.
    pub(crate) fn of(node: &Node, datum: Datum) -> Self {
        Located { datum, span: node.span, place: node.place, trap: None, mark: node.mark.clone() }
    }

    /// The same value in place of `node`, such as an `eval(…)`.
    pub(crate) fn instead_of(self, node: &Node) -> Self {
        self.used();
        self.of_node(node)
    }

    /// The value of the scalar `node`.
    pub(crate) fn of_node(self, node: &Node) -> Self {
        Located { span: node.span, place: node.place, mark: node.mark.clone(), ..self }
    }

    /// Records that this and everything in it was read.
    pub(crate) fn used(&self) {
        self.mark.used();
        match &self.datum {
            Datum::List(items) => items.iter().for_each(Located::used),
            Datum::Map(entries) => entries.iter().for_each(|(_, _, value)| value.used()),
            Datum::Null | Datum::Bool(_) | Datum::Number(_) | Datum::Text(_) => {}
        }
    }

    /// The value; its node counts as read.
    pub(crate) fn datum(&self) -> &Datum {
        self.mark.used();
        &self.datum
    }

    /// The value, which somebody else is going to read.
    pub(crate) fn peek(&self) -> &Datum {
        &self.datum
    }

    /// Whether there is no value; if so, its node counts as read.
    pub(crate) fn is_null(&self) -> bool {
        let null = matches!(self.datum, Datum::Null);
        if null {
            self.mark.used();
        }
        null
    }

    /// Records that a finding says that this and everything in it is left out.
    pub(crate) fn noted(&self) {
        self.mark.noted();
        match &self.datum {
            Datum::List(items) => items.iter().for_each(Located::noted),
            Datum::Map(entries) => entries.iter().for_each(|(_, _, value)| value.noted()),
            Datum::Null | Datum::Bool(_) | Datum::Number(_) | Datum::Text(_) => {}
        }
    }
}

impl Datum {
    /// What it is, for messages.
    pub(crate) fn described(&self) -> String {
        match self {
            Datum::Null => "nothing".into(),
            Datum::Bool(b) => format!("`{b}`"),
            Datum::Number(n) => format!("the number {}", n.text),
            Datum::Text(text) if text.chars().count() > 40 => "a text".into(),
            Datum::Text(text) => format!("the text `{text}`"),
            Datum::List(_) => "a list".into(),
            Datum::Map(_) => "a mapping".into(),
        }
    }
}

/// Reads a scalar as it is meant; the trap tells where PyYAML disagrees.
pub(crate) fn scalar(text: &str, plain: bool, span: Span) -> Located {
    let located = |datum, trap| Located { datum, span, place: span, trap, mark: Mark::default() };
    if !plain {
        let trap = match text {
            "True" | "False" | "true" | "false" => Some(Trap::QuotedBool),
            _ if scalar::meant(text).is_some() => Some(Trap::QuotedNumber),
            _ => None,
        };
        return located(Datum::Text(text.to_owned()), trap);
    }
    let number = |value: f64, whole: bool| {
        let meant = scalar::meant(text).filter(|m| m.parse::<f64>() == Ok(value));
        let text = meant.unwrap_or_else(|| Number::computed(value, whole).text);
        Datum::Number(Number { value, whole, text })
    };
    match scalar::resolve(text) {
        Plain::Null => located(Datum::Null, None),
        Plain::Bool(value) => {
            let trap = !matches!(text.to_lowercase().as_str(), "true" | "false");
            located(Datum::Bool(value), trap.then(|| Trap::WordForBool(text.to_owned())))
        }
        Plain::Int(value) => {
            let trap = if scalar::is_sexagesimal(text) {
                Some(Trap::Sexagesimal)
            } else if scalar::is_octal(text) {
                Some(Trap::Octal)
            } else {
                None
            };
            located(number(value as f64, true), trap)
        }
        Plain::Float(value) => {
            let trap = scalar::is_sexagesimal(text).then_some(Trap::Sexagesimal);
            located(number(value, false), trap)
        }
        Plain::Text => match scalar::meant(text).and_then(|m| m.parse::<f64>().ok().map(|v| (m, v))) {
            Some((text, value)) => {
                located(Datum::Number(Number { value, whole: false, text }), Some(Trap::NumberAsText))
            }
            None => located(Datum::Text(text.to_owned()), None),
        },
    }
}
