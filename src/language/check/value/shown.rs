//! Values as a recipe writes them, for editors.

use std::fmt;

use crate::schedule::{Ramp, Shape};

use super::{Fields, Value};

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => f.write_str(&plain(number.value)),
            Value::Ratio(share) => f.write_str(&percent(*share)),
            Value::Time(time) => write!(f, "{time}"),
            Value::Bytes(bytes) => f.write_str(&memory(*bytes)),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Params(selector, None) => write!(f, "{selector}"),
            Value::Params(selector, Some(count)) => write!(f, "{selector} expect {}", count.value),
            Value::Choice(word, fields) => write!(f, "{word}{}", arguments(fields)),
            Value::Names(names) => match names.as_slice() {
                [one] => f.write_str(&one.value),
                all => write!(f, "[{}]", joined(all.iter().map(|name| &name.value))),
            },
            Value::Indices(numbers) => write!(f, "[{}]", joined(numbers)),
            Value::Damp(damp, false) => f.write_str(&plain(*damp)),
            Value::Damp(damp, true) => write!(f, "{} or raise", plain(*damp)),
            Value::Span(range) => write!(f, "{}..{}", range.start, range.end),
            Value::Interval(least, most) => write!(f, "{}..{}", plain(*least), plain(*most)),
            Value::Ramp(ramp, repeating) => {
                f.write_str(&ramp_of(ramp))?;
                repeating.as_ref().map_or(Ok(()), |cycle| write!(f, " repeating {}", cycle.value))
            }
        }
    }
}

/// `(gradients: 1024, block: 50)`, defaults included; empty without arguments.
fn arguments(fields: &Fields) -> String {
    let given: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {}", value.value)).collect();
    if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) }
}

fn joined<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A ratio or a rate over time. A sparsity and a rate have the same type, so values below 1% are shown as rates.
fn ramp_of(ramp: &Ramp) -> String {
    let small = ramp.from.max(ramp.to) < 0.01;
    let value = |v: f64| if small { plain(v) } else { percent(v) };
    match ramp.shape {
        Shape::Constant => value(ramp.to),
        shape => format!("{} -> {} {shape}", value(ramp.from), value(ramp.to)),
    }
}

/// A number without needless digits, `8e-5` if it is small.
fn plain(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { format!("{value}") }
}

/// `87.5%`
fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `2 GiB`, in the largest unit that divides the number of bytes.
fn memory(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.into_iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size));
    whole.map_or_else(|| format!("{bytes} bytes"), |(size, unit)| format!("{} {unit}", bytes / size))
}
