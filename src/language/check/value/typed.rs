//! Conversion of checked values to the Rust types of settings.

use std::collections::BTreeMap;

use crate::diag::Span;
use crate::language::syntax::ast::Spanned;
use crate::language::vocab::choices::{Models, Teachers};
use crate::language::vocab::verbs::{ModelValue, TeacherValue};
use crate::language::vocab::{Placed, Targets, TimeRange};
use crate::schedule::{Ramp, Time};
use crate::settings::{Chosen, Get, MayRaise};

use super::{Fields, Value};

/// A Rust type to which a checked value converts.
pub trait FromValue: Sized {
    /// Converts a value; `None` if the setting's Rust type does not fit its type in a recipe.
    fn from_value(value: &Spanned<Value>) -> Option<Self>;
}

impl<T: FromValue> Get<T> for Fields {
    fn setting(&self, name: &str) -> Option<T> {
        T::from_value(self.get(name)?)
    }
}

impl<T: FromValue> Get<Option<T>> for Fields {
    fn setting(&self, name: &str) -> Option<Option<T>> {
        match self.get(name) {
            None => Some(None),
            Some(value) => T::from_value(value).map(Some),
        }
    }
}

impl<T: FromValue> FromValue for Spanned<T> {
    fn from_value(value: &Spanned<Value>) -> Option<Self> {
        Some(Spanned::new(T::from_value(value)?, value.span))
    }
}

impl<T: Chosen<Fields>> FromValue for T {
    fn from_value(value: &Spanned<Value>) -> Option<Self> {
        match &value.value {
            Value::Choice(word, arguments) => T::chosen(word, arguments),
            _ => None,
        }
    }
}

impl<T: Chosen<Fields>> FromValue for Placed<T> {
    fn from_value(value: &Spanned<Value>) -> Option<Self> {
        let Value::Choice(_, fields) = &value.value else { return None };
        let arguments: BTreeMap<&'static str, Span> = fields.iter().map(|(n, v)| (*n, v.span)).collect();
        Some(Placed { choice: Spanned::from_value(value)?, arguments })
    }
}

impl FromValue for ModelValue {
    fn from_value(value: &Spanned<Value>) -> Option<Self> {
        match &value.value {
            Value::Text(name) => Some(ModelValue::Named(name.clone())),
            _ => Models::from_value(value).map(ModelValue::New),
        }
    }
}

impl FromValue for TeacherValue {
    fn from_value(value: &Spanned<Value>) -> Option<Self> {
        let word = match &value.value {
            Value::Text(name) => return Some(TeacherValue::Named(name.clone())),
            Value::Names(words) => &words.first()?.value,
            _ => return None,
        };
        Some(match Teachers::chosen(word, &Fields::new()) {
            Some(word) => TeacherValue::Word(word),
            None => TeacherValue::Stage(word.clone()),
        })
    }
}

/// Implements [`FromValue`] for types that are the content of a variant of [`Value`].
macro_rules! variants {
    ($($ty:ty: $($pattern:pat => $value:expr),+;)+) => {$(
        impl FromValue for $ty {
            fn from_value(value: &Spanned<Value>) -> Option<Self> {
                match &value.value {
                    $($pattern => $value,)+
                    _ => None,
                }
            }
        }
    )+};
}

variants! {
    usize: Value::Number(n) => usize::try_from(n.as_whole()?).ok();
    u64: Value::Number(n) => u64::try_from(n.as_whole()?).ok(), Value::Bytes(n) => Some(*n);
    f64: Value::Number(n) => Some(n.value), Value::Ratio(r) => Some(*r), Value::Damp(n, _) => Some(*n);
    bool: Value::Bool(flag) => Some(*flag);
    MayRaise: Value::Damp(_, raise) => Some(MayRaise(*raise));
    Time: Value::Time(time) => Some(*time);
    TimeRange: Value::Span(range) => Some(*range);
    Ramp: Value::Ramp(ramp, None) => Some(*ramp);
    Vec<usize>: Value::Indices(list) => Some(list.clone());
    Vec<Spanned<String>>: Value::Names(words) => Some(words.clone());
    Vec<String>: Value::Names(words) => Some(words.iter().map(|w| w.value.clone()).collect());
    String: Value::Text(text) => Some(text.clone()), Value::Names(words) => Some(words.first()?.value.clone());
}

impl FromValue for Targets {
    fn from_value(value: &Spanned<Value>) -> Option<Self> {
        match &value.value {
            Value::Params(selector, expect) => {
                let selector = Spanned::new(selector.clone(), value.span);
                Some(Targets { selector, expect: expect.clone() })
            }
            _ => None,
        }
    }
}
