//! Serializes a recipe as YAML that PyYAML reads with the right types.
//!
//! PyYAML follows YAML 1.1: it reads `8e-5` as text, because an exponent needs a decimal point and a
//! sign, and `2:4` without quotes as the base-60 number 124. serde_yaml writes YAML 1.2.

use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Mapping, Value};

use crate::yaml::reader::scalar::{self, Plain};
use crate::yaml::recipe::numbers::with_point;

/// A mapping of fields in order.
pub(super) fn fields<'a>(list: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Mapping(list.into_iter().map(|(key, value)| (Value::from(key), value)).collect::<Mapping>())
}

/// `!Name` and its fields.
pub(super) fn modifier<'a>(name: &str, list: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Tagged(Box::new(TaggedValue { tag: Tag::new(name), value: fields(list) }))
}

/// A number, written as an integer if it is whole.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { Value::from(value as i64) } else { Value::from(value) }
}

/// A number, written as a float.
pub(super) fn float(value: f64) -> Value {
    Value::from(value)
}

/// A list of texts.
pub(super) fn words<T: AsRef<str>>(list: impl IntoIterator<Item = T>) -> Value {
    Value::Sequence(list.into_iter().map(|w| Value::from(w.as_ref())).collect())
}

/// The text of a recipe.
pub(super) fn write(recipe: &Value) -> String {
    // invariant: plain data of texts, numbers, lists and mappings always serializes.
    let text = serde_yaml::to_string(recipe).expect("plain data");
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let (before, value) = split(line);
        // An empty line before each group.
        if !line.starts_with([' ', '-']) && !out.is_empty() {
            out.push('\n');
        }
        out.push_str(before);
        out.push_str(&for_pyyaml(value));
        out.push('\n');
    }
    out
}

/// Splits a line before its value.
fn split(line: &str) -> (&str, &str) {
    let content = line.trim_start_matches([' ', '-']);
    let at = match content.split_once(": ") {
        Some((key, value)) if !key.starts_with(['"', '\'']) => line.len() - value.len(),
        _ if line.trim_start().starts_with("- ") => line.len() - content.len(),
        _ => line.len(),
    };
    line.split_at(at)
}

/// A scalar as PyYAML reads it with its type: numbers with a decimal point, texts that look like others in
/// quotes.
fn for_pyyaml(value: &str) -> String {
    let plain = !value.starts_with(['"', '\'', '!', '[', '{', '|', '>', '&', '*']) && !value.is_empty();
    let is_number = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'-' | b'+'))
        && value.parse::<f64>().is_ok();
    match scalar::resolve(value) {
        _ if !plain => value.to_owned(),
        // serde_yaml quotes texts that look like numbers, so that this is a number.
        Plain::Text if is_number => with_point(value.parse().unwrap_or_default()),
        Plain::Int(_) | Plain::Float(_) if is_number => value.to_owned(),
        Plain::Text | Plain::Null => value.to_owned(),
        Plain::Bool(_) if matches!(value, "true" | "false") => value.to_owned(),
        _ => format!("\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_type_and_texts_stay_texts() {
        let list = [
            ("small", float(8e-5)),
            ("tiny", float(1.5e-7)),
            ("whole", number(4.0)),
            ("one", float(1.0)),
            ("mask", Value::from("2:4")),
            ("word", Value::from("on")),
            ("number", Value::from("8e-5")),
            ("octal", Value::from("010")),
            ("pattern", Value::from("re:bert.*[a]: x")),
            ("flag", Value::from(true)),
        ];
        let text = write(&fields([("modifiers", Value::Sequence(vec![modifier("XModifier", list)]))]));
        insta::assert_snapshot!(text, @r#"
        modifiers:
        - !XModifier
          small: 0.00008
          tiny: 1.5e-7
          whole: 4
          one: 1.0
          mask: "2:4"
          word: "on"
          number: '8e-5'
          octal: '010'
          pattern: 're:bert.*[a]: x'
          flag: true
        "#);
    }
}
