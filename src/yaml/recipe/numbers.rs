//! Reads numbers, and reports where PyYAML reads something else.

use crate::diag::{Code, Diagnostic, Findings, Severity};
use crate::yaml::reader::scalar::decimal;

use super::datum::{Datum, Located, Misread, Number};

/// How SparseML treats a text in a field that should be a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Conversion {
    /// It calls `float()`, so that a text such as `8e-5` works.
    Converted,
    /// It uses the text as it is, and fails later.
    Kept,
}

/// Reads the number in a value. `None` where an error was made.
pub(crate) fn number(
    value: &Located,
    field: &str,
    conversion: Conversion,
    findings: &mut Findings,
) -> Option<Number> {
    let report_text = |findings: &mut Findings, number: &Number| {
        let (severity, consequence) = match conversion {
            Conversion::Converted => (Severity::Advice, "which SparseML converts to a number"),
            Conversion::Kept => (Severity::Warning, "on which SparseML fails, often during training"),
        };
        let form = with_point(number.value);
        let diagnostic = Diagnostic::warning(
            Code::NumberAsText,
            format!("PyYAML reads this as text, {consequence}"),
            value.span,
            format!("imported as the number {}", number.text),
        )
        .help(format!("write `{form}`, which every YAML parser reads as a number"))
        .fix(value.span, form);
        findings.push(Diagnostic { severity, ..diagnostic });
    };
    match (value.datum(), &value.misread) {
        (Datum::Number(number), Some(Misread::Sexagesimal)) => {
            findings.push(
                Diagnostic::error(
                    Code::SurprisingScalar,
                    format!("YAML 1.1 reads this as the base-60 number {}", number.text),
                    value.span,
                    "colons make it base 60",
                )
                .help("write a number without colons, or quote a text such as `\"2:4\"`"),
            );
            None
        }
        (Datum::Number(number), misread) => {
            match misread {
                Some(Misread::NumberAsText) => report_text(findings, number),
                Some(Misread::Octal) => findings.push(
                    Diagnostic::warning(
                        Code::SurprisingScalar,
                        "a leading 0 makes this an octal number in YAML 1.1",
                        value.span,
                        format!("imported as {}, as PyYAML reads it", number.text),
                    )
                    .help("write the number without the leading 0"),
                ),
                _ => {}
            }
            if !number.value.is_finite() {
                findings.push(
                    Diagnostic::error(Code::FieldRange, format!("`{field}` must be a finite number"), value.span, "not finite")
                        .help("write a finite number; SparseML accepts this one, and the modifier then has no effect"),
                );
                return None;
            }
            Some(number.clone())
        }
        (Datum::Text(text), Some(Misread::QuotedNumber)) => {
            let written = decimal(text).unwrap_or_default();
            let number = Number { value: written.parse().unwrap_or(0.0), whole: false, text: written };
            report_text(findings, &number);
            Some(number)
        }
        (other, _) => {
            let message = format!("`{field}` is a number, not {}", other.described());
            let diagnostic = Diagnostic::error(Code::FieldType, message, value.span, "here");
            findings.push(diagnostic.help("write a number such as `2` or `1.0e-4`"));
            None
        }
    }
}

/// Formats a double so that PyYAML reads it as a float: with a decimal point, and a signed exponent.
pub(crate) fn with_point(value: f64) -> String {
    let plain = format!("{value:?}");
    let Some((mantissa, exponent)) = plain.split_once('e') else { return plain };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}
