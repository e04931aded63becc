//! Numbers as they are meant, and what is said where PyYAML reads them otherwise.

use crate::diag::{Code, Diagnostic, Findings, Severity};
use crate::yaml::reader::scalar::meant;

use super::datum::{Datum, Located, Number, Trap};

/// How SparseML treats a number in this field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Conversion {
    /// It calls `float()`: text such as `8e-5` works there.
    Converted,
    /// Text stays text, and fails later.
    Kept,
}

/// A number from a value. What PyYAML reads otherwise is told.
pub(crate) fn number(
    value: &Located,
    field: &str,
    conversion: Conversion,
    findings: &mut Findings,
) -> Option<Number> {
    let told = |findings: &mut Findings, number: &Number| {
        let (severity, consequence) = match conversion {
            Conversion::Converted => (Severity::Advice, "and SparseML makes a number of it"),
            Conversion::Kept => (Severity::Warning, "and SparseML fails on it, often in mid-training"),
        };
        let form = with_point(number.value);
        let diagnostic = Diagnostic::warning(
            Code::NumberAsText,
            format!("to PyYAML this is text, {consequence}"),
            value.span,
            format!("taken as the number {}", number.text),
        )
        .help(format!("write `{form}`, which every reader takes for a number"))
        .fix(value.span, form);
        findings.push(Diagnostic { severity, ..diagnostic });
    };
    match (value.datum(), &value.trap) {
        (Datum::Number(number), Some(Trap::Sexagesimal)) => {
            findings.push(
                Diagnostic::error(
                    Code::SurprisingScalar,
                    format!("YAML 1.1 reads this as the base-60 number {}", number.text),
                    value.span,
                    "colons make it base 60",
                )
                .help("write a plain number; quote it where it is no number, as `\"2:4\"`"),
            );
            None
        }
        (Datum::Number(number), trap) => {
            match trap {
                Some(Trap::NumberAsText) => told(findings, number),
                Some(Trap::Octal) => findings.push(
                    Diagnostic::warning(
                        Code::SurprisingScalar,
                        "a leading 0 makes this an octal number in YAML 1.1",
                        value.span,
                        format!("taken as {}, as PyYAML reads it", number.text),
                    )
                    .help("write it without the leading 0, or as the number that is meant"),
                ),
                _ => {}
            }
            if !number.value.is_finite() {
                findings.push(
                    Diagnostic::error(Code::FieldRange, format!("`{field}` must be a finite number"), value.span, "this is none")
                        .help("write the number that is meant; SparseML checks nothing here, and nothing ever happens then"),
                );
                return None;
            }
            Some(number.clone())
        }
        (Datum::Text(text), Some(Trap::QuotedNumber)) => {
            let written = meant(text).unwrap_or_default();
            let number = Number { value: written.parse().unwrap_or(0.0), whole: false, text: written };
            told(findings, &number);
            Some(number)
        }
        (other, _) => {
            findings.push(
                Diagnostic::error(
                    Code::FieldType,
                    format!("`{field}` is a number, not {}", other.described()),
                    value.span,
                    "here",
                )
                .help("write a number such as `2` or `1.0e-4`"),
            );
            None
        }
    }
}

/// A double as PyYAML reads it back as a float: with a point, and a signed exponent.
pub(crate) fn with_point(value: f64) -> String {
    let plain = format!("{value:?}");
    let Some((mantissa, exponent)) = plain.split_once('e') else { return plain };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}
