//! Typed values of a recipe, with a note where PyYAML reads something else.

use crate::diag::Span;
use crate::schedule::Rational;
use crate::yaml::reader::scalar::{self, Plain};
use crate::yaml::reader::{Mark, Node};

/// A value and where it is written. [`Located::datum`] marks its node as read.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    datum: Datum,
    pub(crate) span: Span,
    /// Where it is in the document: the span, or the alias or `eval(…)` with this value.
    pub(crate) place: Span,
    /// What PyYAML reads instead, if it differs.
    pub(crate) misread: Option<Misread>,
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

/// A number, and its text in an `.obert` recipe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: f64,
    /// Whether it is an `int` in Python.
    pub(crate) whole: bool,
    /// As `8e-5` or `0.25`.
    pub(crate) text: String,
}

/// How PyYAML, or SparseML after it, misreads a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Misread {
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
    /// A computed number, in the shortest form that parses to the same double.
    pub(crate) fn computed(value: f64, whole: bool) -> Self {
        let plain = format!("{value}");
        let small = value != 0.0 && value.abs() < 1e-3;
        let text = if small || plain.len() > 18 { format!("{value:e}") } else { plain };
        Number { value, whole, text }
    }

    /// A computed number with the text of the exact result, if that is known: `0.1 * 0.1` is written as `0.01`.
    /// `value` is the double that Python computes.
    pub(crate) fn result(value: f64, exact: Option<Rational>, whole: bool) -> Self {
        let decimal = exact.map(Rational::to_f64).filter(|e| (e - value).abs() <= 1e-12 * value.abs());
        Number { value, ..Number::computed(decimal.unwrap_or(value), whole) }
    }

    /// The exact value of the text; `None` beyond 30 digits.
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
        Located { datum, span: node.span, place: node.place, misread: None, mark: node.mark.clone() }
    }

    /// This value for `node`, which is an `eval(…)`; marks this value as read.
    pub(crate) fn instead_of(self, node: &Node) -> Self {
        self.used();
        self.of_node(node)
    }

    /// This value with the places and the mark of `node`.
    pub(crate) fn of_node(self, node: &Node) -> Self {
        Located { span: node.span, place: node.place, mark: node.mark.clone(), ..self }
    }

    /// Marks this value and all in it as read.
    pub(crate) fn used(&self) {
        self.mark.used();
        match &self.datum {
            Datum::List(items) => items.iter().for_each(Located::used),
            Datum::Map(entries) => entries.iter().for_each(|(_, _, value)| value.used()),
            Datum::Null | Datum::Bool(_) | Datum::Number(_) | Datum::Text(_) => {}
        }
    }

    /// The value; marks its node as read.
    pub(crate) fn datum(&self) -> &Datum {
        self.mark.used();
        &self.datum
    }

    /// The value, without marking its node as read.
    pub(crate) fn peek(&self) -> &Datum {
        &self.datum
    }

    /// Whether the value is null; if so, marks its node as read.
    pub(crate) fn is_null(&self) -> bool {
        let null = matches!(self.datum, Datum::Null);
        if null {
            self.mark.used();
        }
        null
    }

    /// Marks this value and all in it as left out with a diagnostic.
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
    /// The value or its type, for messages.
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

/// Reads a scalar: as PyYAML does, but `8e-5` as a number. `misread` of the result says where PyYAML differs.
pub(crate) fn scalar(text: &str, plain: bool, span: Span) -> Located {
    let located = |datum, misread| Located { datum, span, place: span, misread, mark: Mark::default() };
    if !plain {
        let misread = match text {
            "True" | "False" | "true" | "false" => Some(Misread::QuotedBool),
            _ if scalar::decimal(text).is_some() => Some(Misread::QuotedNumber),
            _ => None,
        };
        return located(Datum::Text(text.to_owned()), misread);
    }
    let number = |value: f64, whole: bool| {
        let meant = scalar::decimal(text).filter(|m| m.parse::<f64>() == Ok(value));
        let text = meant.unwrap_or_else(|| Number::computed(value, whole).text);
        Datum::Number(Number { value, whole, text })
    };
    match scalar::resolve(text) {
        Plain::Null => located(Datum::Null, None),
        Plain::Bool(value) => {
            let misread = !matches!(text.to_lowercase().as_str(), "true" | "false");
            located(Datum::Bool(value), misread.then(|| Misread::WordForBool(text.to_owned())))
        }
        Plain::Int(value) => {
            let misread = if scalar::is_sexagesimal(text) {
                Some(Misread::Sexagesimal)
            } else if scalar::is_octal(text) {
                Some(Misread::Octal)
            } else {
                None
            };
            located(number(value as f64, true), misread)
        }
        Plain::Float(value) => {
            let misread = scalar::is_sexagesimal(text).then_some(Misread::Sexagesimal);
            located(number(value, false), misread)
        }
        Plain::Text => match scalar::decimal(text).and_then(|m| m.parse::<f64>().ok().map(|v| (m, v))) {
            Some((text, value)) => {
                located(Datum::Number(Number { value, whole: false, text }), Some(Misread::NumberAsText))
            }
            None => located(Datum::Text(text.to_owned()), None),
        },
    }
}
