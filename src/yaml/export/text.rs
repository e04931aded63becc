//! The YAML, with the types that PyYAML reads.
//!
//! Numbers are the trap: PyYAML takes `8e-5` for text, because YAML 1.1 wants a point and a signed
//! exponent, and `2:4` without quotes for 124. What is written otherwise is put right here.

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

/// A number, whole ones as such.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { Value::from(value as i64) } else { Value::from(value) }
}

/// A number that SparseML wants as a float.
pub(super) fn float(value: f64) -> Value {
    Value::from(value)
}

/// Words in a list.
pub(super) fn words<T: AsRef<str>>(list: impl IntoIterator<Item = T>) -> Value {
    Value::Sequence(list.into_iter().map(|w| Value::from(w.as_ref())).collect())
}

/// The text of a recipe.
pub(super) fn write(recipe: &Value) -> String {
    // invariant: plain data of texts, numbers, lists and mappings always serialises.
    let text = serde_yaml::to_string(recipe).expect("plain data");
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let (before, value) = split(line);
        // A group begins a paragraph.
        if !line.starts_with([' ', '-']) && !out.is_empty() {
            out.push('\n');
        }
        out.push_str(before);
        out.push_str(&for_pyyaml(value));
        out.push('\n');
    }
    out
}

/// A line before and from its value.
fn split(line: &str) -> (&str, &str) {
    let content = line.trim_start_matches([' ', '-']);
    let at = match content.split_once(": ") {
        Some((key, value)) if !key.starts_with(['"', '\'']) => line.len() - value.len(),
        _ if line.trim_start().starts_with("- ") => line.len() - content.len(),
        _ => line.len(),
    };
    line.split_at(at)
}

/// A plain value as PyYAML reads it rightly.
fn for_pyyaml(value: &str) -> String {
    let plain = !value.starts_with(['"', '\'', '!', '[', '{', '|', '>', '&', '*']) && !value.is_empty();
    let is_number = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'-' | b'+'))
        && value.parse::<f64>().is_ok();
    match scalar::resolve(value) {
        _ if !plain => value.to_owned(),
        // Texts that look like numbers were quoted; this is a number.
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
