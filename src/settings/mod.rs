//! Settings declared once.
//!
//! A declaration names a setting, its Rust type, its type in a recipe, its default, what other tools call
//! it, and documents it. [`settings!`](declare) makes of it the struct that the program works with, the
//! table that a recipe is checked against and documentation is printed from, and the code that fills the
//! struct from what was read. A struct cannot lack a setting of its table, nor a table one of its struct.
//!
//! Nothing here knows a syntax: a front end implements [`Get`] for the values that it has read.

pub(crate) mod declare;
mod types;

pub(crate) use declare::{choices, settings};
pub use types::{Choice, Setting, Type};

/// Values by the names of their settings, as a front end has read and checked them: defaults included.
pub trait Get<T> {
    /// The value of a setting; `None` if it is missing or has another type, which a checked value has not.
    fn setting(&self, name: &str) -> Option<T>;
}

/// A struct of declared settings.
pub trait Settings {
    /// The settings in the order of their declaration.
    const TABLE: &'static [Setting];
}

/// What is filled from declared settings.
pub trait Read<V>: Sized {
    /// The settings with these values. `None` if one is missing, which checked values are not.
    fn read(values: &V) -> Option<Self>;
}

/// An enum of declared choices.
pub trait Chosen<V>: Sized {
    /// The choice of a word with its arguments. `None` for a word that is none of the choices.
    fn chosen(word: &str, arguments: &V) -> Option<Self>;
}

/// Whether a dampening may be raised where it is too small: `1e-7 or raise`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayRaise(pub bool);

impl From<MayRaise> for bool {
    fn from(raise: MayRaise) -> bool {
        raise.0
    }
}
