//! Macros that declare a setting once.
//!
//! A declaration gives a setting's name, Rust type, type in a recipe, default, names in other tools, and
//! documentation. From it, [`settings!`](declare) generates the struct that the program uses, the table by
//! which recipes are checked and the reference is written, and the code that fills the struct. So struct and
//! table always have the same settings.
//!
//! This module is independent of the recipe's syntax: the checker implements [`Get`] for the values it read.

pub(crate) mod declare;
mod types;

pub(crate) use declare::{choices, settings};
pub use types::{Choice, Setting, Type};

/// Access to checked values, defaults included, by the names of their settings.
pub trait Get<T> {
    /// The value of a setting; `None` if it is missing or has another type, which checking rules out.
    fn setting(&self, name: &str) -> Option<T>;
}

/// A struct declared by [`settings!`](declare).
pub trait Settings {
    /// The settings in the order of their declaration.
    const TABLE: &'static [Setting];
}

/// A struct that is filled from checked values.
pub trait Read<V>: Sized {
    /// Fills the struct; `None` if a value is missing, which checking rules out.
    fn read(values: &V) -> Option<Self>;
}

/// An enum declared by `choices!`.
pub trait Chosen<V>: Sized {
    /// The variant of a word, with its arguments; `None` if no variant has this word.
    fn chosen(word: &str, arguments: &V) -> Option<Self>;
}

/// Whether the dampening λ may be raised where it is too small: `1e-7 or raise`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayRaise(pub bool);

impl From<MayRaise> for bool {
    fn from(raise: MayRaise) -> bool {
        raise.0
    }
}
