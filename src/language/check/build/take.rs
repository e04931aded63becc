//! Values out of the fields that were read, in Rust's types.

use crate::language::check::recipe::Instants;
use crate::language::check::value::{Fields, Value};
use crate::language::syntax::ast::Spanned;
use crate::schedule::Time;

pub(super) fn take(fields: &mut Fields, name: &str) -> Option<Spanned<Value>> {
    fields.remove(name)
}

pub(super) fn count(fields: &mut Fields, name: &str) -> Option<usize> {
    match take(fields, name)?.value {
        Value::Number(n) => usize::try_from(n.as_whole()?).ok(),
        _ => None,
    }
}

pub(super) fn number(fields: &mut Fields, name: &str) -> Option<f64> {
    number_at(fields, name).map(|n| n.value)
}

pub(super) fn number_at(fields: &mut Fields, name: &str) -> Option<Spanned<f64>> {
    let value = take(fields, name)?;
    let number = match &value.value {
        Value::Number(n) => n.value,
        Value::Ratio(r) => *r,
        _ => return None,
    };
    Some(Spanned::new(number, value.span))
}

pub(super) fn time(fields: &mut Fields, name: &str) -> Option<Spanned<Time>> {
    let value = take(fields, name)?;
    match value.value {
        Value::Time(time) => Some(Spanned::new(time, value.span)),
        _ => None,
    }
}

pub(super) fn span(fields: &mut Fields, name: &str) -> Option<Spanned<Instants>> {
    let value = take(fields, name)?;
    match value.value {
        Value::Span(instants) => Some(Spanned::new(instants, value.span)),
        _ => None,
    }
}

pub(super) fn text(fields: &mut Fields, name: &str) -> Option<String> {
    match take(fields, name)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

pub(super) fn flag(fields: &mut Fields, name: &str) -> Option<bool> {
    match take(fields, name)?.value {
        Value::Bool(flag) => Some(flag),
        _ => None,
    }
}
