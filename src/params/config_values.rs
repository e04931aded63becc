//! Checks of single values of `config.json`, against the kinds of [`super::config_keys`].

use serde_json::Value;

use crate::diag::{Code, Diagnostic};

use super::Family;
use super::config_keys::Kind;
use super::head::PROBLEMS;
use super::json_places::Places;

/// The largest accepted size, as in [`super::BertShape::impossible`].
const LARGEST: u64 = 1 << 24;

/// Keys for which `null` is the same as absent.
pub(super) const NULLABLE: &[&str] = &[
    "architectures",
    "classifier_dropout",
    "cls_dropout",
    "id2label",
    "label2id",
    "layer_types",
    "num_labels",
    "pad_token_id",
    "pos_att_type",
    "position_embedding_type",
    "problem_type",
    "rope_parameters",
    "tie_word_embeddings",
];

/// Whether a value turns a feature off: `null`, `false`, 0 or empty.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_off),
        Value::Object(map) => map.values().all(is_off),
    }
}

/// The error for a key that is not supported.
pub(super) fn refused(name: &str, value: &Value, why: &str, places: &Places) -> Diagnostic {
    let (shown, off) = match value {
        Value::Object(_) => ("an object".to_owned(), "{}"),
        Value::Array(_) => ("a list".to_owned(), "[]"),
        Value::Bool(_) => (value.to_string(), "false"),
        _ => (value.to_string(), "null"),
    };
    Diagnostic::error(
        Code::ConfigUnsupported,
        format!("`{name}` is {shown}, which obert does not compute"),
        places.value(name),
        why,
    )
    .help(format!(
        "use a model that does not set `{name}`; if the weights were trained without it, write `\"{name}\": {off}`"
    ))
}

/// The error for a value that the key's `kind` does not accept; `None` if it does.
pub(super) fn fault(
    name: &str,
    value: &Value,
    kind: Kind,
    family: Family,
    places: &Places,
) -> Option<Diagnostic> {
    if value.is_null() && NULLABLE.contains(&name) {
        return None;
    }
    let whole = |most: u64| value.as_u64().is_some_and(|n| (1..=most).contains(&n));
    let number = value.as_f64();
    let expected = match kind {
        Kind::Size if !whole(LARGEST) => format!("a whole number in 1..={LARGEST} is expected"),
        Kind::Count(most) if !whole(most as u64) => format!("a whole number in 1..={most} is expected"),
        Kind::Exactly(only) if value.as_u64().is_none() => format!("{only} is expected"),
        Kind::Exactly(only) if value.as_u64() != Some(only as u64) => {
            return Some(
                Diagnostic::error(
                    Code::ConfigUnsupported,
                    format!("`{name}` is {value}, which obert does not compute"),
                    places.value(name),
                    format!("only {only} is computed, here as in `transformers`"),
                )
                .help("give another model: the weights of this one were trained with it"),
            );
        }
        Kind::Token
            if value.as_u64().is_none_or(|n| n >= LARGEST)
                && (family.description().pads_positions || value.as_i64().is_none()) =>
        {
            "the number of a token is expected".to_owned()
        }
        Kind::Dropout | Kind::MaybeDropout if number.is_none_or(|n| !(0.0..1.0).contains(&n)) => {
            "a probability in 0..1 is expected".to_owned()
        }
        Kind::Number if number.is_none_or(|n| !n.is_finite() || n < 0.0) => {
            "a number that is not negative is expected".to_owned()
        }
        Kind::Always if value != true => "only `true` is computed".to_owned(),
        Kind::Positive if number.is_none_or(|n| !n.is_finite() || n <= 0.0) => {
            "a positive number is expected".to_owned()
        }
        Kind::Signed if value.as_i64().is_none_or(|n| n >= LARGEST as i64) => {
            "a whole number is expected".to_owned()
        }
        Kind::DistanceTerms if !is_distance_terms(value) => {
            "a list of `c2p` and `p2c`, or a string such as `c2p|p2c`, is expected".to_owned()
        }
        Kind::LayerTypes if !is_layer_types(value) => {
            "a list of `full_attention` and `sliding_attention` is expected, one for each layer".to_owned()
        }
        Kind::Rotary if !is_rotary(value) => {
            "`rope_theta`, a positive number, is expected for `full_attention` and `sliding_attention`, and no \
             `rope_type` but `default`"
                .to_owned()
        }
        Kind::Truth if !value.is_boolean() => "`true` or `false` is expected".to_owned(),
        Kind::Classes if value.as_array().is_none_or(|list| !list.iter().all(Value::is_string)) => {
            "a list of class names is expected".to_owned()
        }
        Kind::Names | Kind::Numbers if !value.is_object() => "an object is expected".to_owned(),
        Kind::Problem if !PROBLEMS.iter().any(|problem| value == problem) => {
            format!("one of {} is expected", PROBLEMS.map(|p| format!("`{p}`")).join(", "))
        }
        Kind::OneOf(values) => match value.as_str() {
            Some(text) if values.contains(&text) => return None,
            Some(text) => {
                return Some(
                    Diagnostic::error(
                        Code::ConfigUnsupported,
                        format!("`{name}` is `{text}`, which obert does not compute"),
                        places.value(name),
                        format!(
                            "only {} is computed",
                            values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or ")
                        ),
                    )
                    .help("give another model: the weights of this one were trained with it"),
                );
            }
            None => "a name is expected".to_owned(),
        },
        _ => return None,
    };
    let shown = match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    };
    let wrong = Diagnostic::error(
        Code::ConfigMalformed,
        format!("`{name}` is {shown}"),
        places.value(name),
        expected,
    );
    Some(wrong.help("compare config.json with the original, or with that of a model of the same kind"))
}

/// Whether a value names terms of distances in attention.
fn is_distance_terms(value: &Value) -> bool {
    let known = |term: &str| ["c2p", "p2c"].contains(&term.trim());
    match value {
        Value::String(list) => list.to_lowercase().split('|').all(known),
        Value::Array(list) => list.iter().all(|term| term.as_str().is_some_and(known)),
        _ => false,
    }
}

/// Whether a value lists known types of layers.
fn is_layer_types(value: &Value) -> bool {
    let known = |kind: &Value| kind == "full_attention" || kind == "sliding_attention";
    value.as_array().is_some_and(|list| list.iter().all(known))
}

/// Whether a value has the bases of rotary positions of both types of layers, without scaling.
fn is_rotary(value: &Value) -> bool {
    let is_default = |of: &Value| of.get("rope_type").is_none_or(|kind| kind == "default");
    let theta =
        |of: &Value| of.get("rope_theta").and_then(Value::as_f64).is_some_and(|t| t.is_finite() && t > 0.0);
    ["full_attention", "sliding_attention"]
        .iter()
        .all(|kind| value.get(kind).is_some_and(|of| is_default(of) && theta(of)))
}
