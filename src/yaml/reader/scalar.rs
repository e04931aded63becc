//! Resolves plain scalars as PyYAML does, by YAML 1.1, and reads numbers that PyYAML takes for text.

use std::sync::LazyLock;

use regex::Regex;

/// The type and value that PyYAML's safe loader gives a plain scalar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

// The regular expressions of PyYAML's `yaml/resolver.py`.
static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    )
});
static INT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$",
    )
});
/// Decimal numbers, also those that YAML 1.1 does not have, such as `8e-5`.
static DECIMAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?$"));

fn pattern(text: &str) -> Regex {
    // invariant: the expressions above are constants and compile, as the tests below show.
    Regex::new(text).expect("a constant expression")
}

/// Whether a plain scalar is null.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Resolves a plain scalar as PyYAML does.
pub(crate) fn resolve(text: &str) -> Plain {
    match text {
        _ if is_null(text) => return Plain::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Plain::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Plain::Bool(false);
        }
        _ => {}
    }
    if INT.is_match(text) {
        return int(text).map_or(Plain::Text, Plain::Int);
    }
    if FLOAT.is_match(text) {
        return Plain::Float(float(text));
    }
    Plain::Text
}

/// The decimal number of a scalar such as `8e-5` or `.5`, as an `.obert` recipe writes it: without a sign `+`, with
/// a digit on both sides of the point. `None` if it is no decimal number.
pub(crate) fn decimal(text: &str) -> Option<String> {
    if !DECIMAL.is_match(text) {
        return None;
    }
    let text = text.replace('_', "").to_lowercase();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, ""));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa.trim_start_matches('+')),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let exponent = exponent.trim_start_matches('+');
    let negative = if exponent.starts_with('-') { "-" } else { "" };
    let digits = exponent.trim_start_matches('-').trim_start_matches('0');
    let exponent = if digits.is_empty() { String::new() } else { format!("e{negative}{digits}") };
    Some(format!("{sign}{whole}{point}{fraction}{exponent}"))
}

/// Whether an integer is written in base 60, such as `2:4`.
pub(crate) fn is_sexagesimal(text: &str) -> bool {
    text.contains(':') && (INT.is_match(text) || FLOAT.is_match(text))
}

/// Whether an integer is written in base 8, such as `010`.
pub(crate) fn is_octal(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| matches!(b, b'0'..=b'7' | b'_'))
}

/// The value of an integer; `None` if it does not fit.
fn int(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.trim_start_matches('+')),
    };
    let value = if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.contains(':') {
        let parts = digits.split(':').map(|p| p.parse::<i64>().ok());
        parts.into_iter().try_fold(0i64, |sum, part| sum.checked_mul(60)?.checked_add(part?))?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(sign * value)
}

fn float(text: &str) -> f64 {
    let text = text.replace('_', "").to_lowercase();
    match text.trim_start_matches(['-', '+']) {
        ".inf" if text.starts_with('-') => f64::NEG_INFINITY,
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        digits if digits.contains(':') => {
            let value = digits.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse().unwrap_or(0.0));
            if text.starts_with('-') { -value } else { value }
        }
        _ => text.parse().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_pyyaml_reads_them() {
        let text = ["8e-5", "1e-7", "1e5", "1e+3", "1.5e4", "0b2", "1:99", "word", "0o17"];
        assert!(text.iter().all(|t| resolve(t) == Plain::Text), "{text:?}");
        let ints =
            [("2:4", 124), ("010", 8), ("0x1F", 31), ("1_000", 1000), ("-3", -3), ("0b11", 3), ("0", 0)];
        assert!(ints.iter().all(|(t, n)| resolve(t) == Plain::Int(*n)), "{ints:?}");
        let floats =
            [("1.5e-4", 1.5e-4), (".5", 0.5), ("1.e-3", 1e-3), ("1.0", 1.0), ("-.inf", f64::NEG_INFINITY)];
        assert!(floats.iter().all(|(t, n)| resolve(t) == Plain::Float(*n)), "{floats:?}");
        assert_eq!(
            (resolve("yes"), resolve("Off"), resolve("~")),
            (Plain::Bool(true), Plain::Bool(false), Plain::Null)
        );
        assert!(matches!(resolve(".nan"), Plain::Float(f) if f.is_nan()));
        assert_eq!(resolve("y"), Plain::Text);
    }

    #[test]
    fn what_is_meant_is_written_as_a_recipe_writes_it() {
        let pairs = [
            ("8e-5", "8e-5"),
            ("+1E+3", "1e3"),
            (".5", "0.5"),
            ("1.e-3", "1e-3"),
            ("4.0", "4"),
            ("1_0", "10"),
            ("1.50", "1.5"),
            ("-0.0", "-0"),
            ("1e-07", "1e-7"),
        ];
        for (yaml, recipe) in pairs {
            assert_eq!(decimal(yaml).as_deref(), Some(recipe), "{yaml}");
        }
        assert_eq!(decimal("2:4"), None);
        assert_eq!(decimal("0x1F"), None);
    }
}
