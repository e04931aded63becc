//! The macros that declare settings and choices.
//!
//! ```text
//! settings! {
//!     /// Settings of second-order pruning.
//!     #[derive(Clone, Debug)]
//!     pub struct Obs, each ObsEach {
//!         /// Gradients in an estimate of the Fisher matrix.
//!         gradients: usize = Type::Count, default "1024" formerly ["num_grads"];
//!         /// The most memory for an estimate.
//!         memory: Option<u64> = Type::Bytes, optional;
//!     }
//! }
//! choices! {
//!     /// How the importance of a weight is computed.
//!     #[derive(Clone, Debug)]
//!     pub enum Criterion {
//!         /// The weight's absolute value.
//!         Magnitude = "magnitude",
//!         /// To second order.
//!         Obs(Obs) = "obs",
//!     }
//! }
//! ```
//!
//! A field's documentation is also what users read. `derived { name: T = setting via U; }` adds a field that
//! is computed from a setting's value, read as `U`. `each NAME` adds a struct with one `T` for every setting,
//! such as the settings' names or the spans of their values.

use super::Setting;

/// Declares a struct of settings.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(, each $each:ident)? {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde $serde:tt])?
                $field:ident: $ty:ty = $kind:expr, $how:ident $($default:literal)?
                    $(formerly [$($former:literal),+])?;
            )+
            $(derived {
                $(
                    $(#[doc = $derived_doc:literal])+
                    $(#[serde $derived_serde:tt])?
                    $derived:ident: $derived_ty:ty = $of:ident via $via:ty;
                )+
            })?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[doc = $doc])+ $(#[serde $serde])? pub $field: $ty,)+
            $($($(#[doc = $derived_doc])+ $(#[serde $derived_serde])? pub $derived: $derived_ty,)+)?
        }

        impl $crate::settings::Settings for $name {
            const TABLE: &'static [$crate::settings::Setting] = &[$(
                $crate::settings::declare::setting!(
                    $field, concat!($($doc),+), $kind, [$how $($default)?], [$($($former),+)?]
                )
            ),+];
        }

        impl<V> $crate::settings::Read<V> for $name
        where
            $(V: $crate::settings::Get<$ty>,)+
            $($(V: $crate::settings::Get<$via>,)+)?
        {
            fn read(values: &V) -> Option<Self> {
                use $crate::settings::{Get, declare::word};
                Some($name {
                    $($field: <V as Get<$ty>>::setting(values, word(stringify!($field)))?,)+
                    $($($derived: <V as Get<$via>>::setting(values, word(stringify!($of)))?.into(),)+)?
                })
            }
        }

        $crate::settings::declare::each! {
            $name $($each)?; $vis, $($field: $ty,)+; $($($derived: $of via $via,)+)?
        }
    };
}

/// One row of a settings table.
macro_rules! setting {
    ($field:ident, $doc:expr, $kind:expr, [$how:ident $($default:literal)?], [$($former:literal),*]) => {
        $crate::settings::Setting {
            name: $crate::settings::declare::word(stringify!($field)),
            ty: $kind,
            default: $crate::settings::declare::default!($how $($default)?),
            required: $crate::settings::declare::required!($how),
            formerly: &[$($former),*],
            doc: $doc.trim_ascii(),
        }
    };
}

macro_rules! default {
    (default $default:literal) => {
        Some($default)
    };
    (required) => {
        None
    };
    (optional) => {
        None
    };
}

macro_rules! required {
    (required) => {
        true
    };
    ($other:ident) => {
        false
    };
}

/// The struct with one `T` for each setting, and assignment of a setting by its name.
macro_rules! each {
    ($name:ident; $($rest:tt)*) => {};
    (
        $name:ident $each:ident; $vis:vis, $($field:ident: $ty:ty,)+;
        $($derived:ident: $of:ident via $via:ty,)*
    ) => {
        #[doc = concat!("One `T` for each setting of [`", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug, PartialEq)]
        $vis struct $each<T> {
            $(#[doc = concat!("For `", stringify!($field), "`.")] pub $field: T,)+
        }

        impl $name {
            /// The names of the settings.
            pub const NAMES: $each<&'static str> =
                $each { $($field: $crate::settings::declare::word(stringify!($field)),)+ };

            /// Assigns the setting of this name from `values`. Returns false if there is no such setting or
            /// value.
            pub fn set<V>(&mut self, name: &str, values: &V) -> bool
            where
                $(V: $crate::settings::Get<$ty>,)+
                $(V: $crate::settings::Get<$via>,)*
            {
                use $crate::settings::Get;
                let mut set = false;
                $(if name == Self::NAMES.$field
                    && let Some(value) = <V as Get<$ty>>::setting(values, name)
                {
                    self.$field = value;
                    set = true;
                })+
                $(if name == Self::NAMES.$of
                    && let Some(value) = <V as Get<$via>>::setting(values, name)
                {
                    self.$derived = value.into();
                })*
                set
            }
        }

        impl<T> $each<T> {
            /// Computes a `T` from the name of each setting; `None` if one of them is `None`.
            pub fn from_names(mut of: impl FnMut(&'static str) -> Option<T>) -> Option<Self> {
                Some($each { $($field: of($name::NAMES.$field)?,)+ })
            }
        }
    };
}

/// Declares an enum whose variants are words in a recipe, some with arguments.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[$default:ident])?
                $variant:ident $(($payload:ty))? = $word:literal,
            )+
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[doc = $doc])+ $(#[$default])? $variant $(($payload))?,)+
        }

        impl $name {
            /// The choices in the order of their declaration.
            pub const CHOICES: &'static [$crate::settings::Choice] = &[$(
                $crate::settings::Choice {
                    name: $word,
                    arguments: $crate::settings::declare::arguments!($($payload)?),
                    doc: concat!($($doc),+).trim_ascii(),
                }
            ),+];

            /// The word of a recipe, without arguments.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $word,)+
                }
            }
        }

        impl<V> $crate::settings::Chosen<V> for $name
        where
            $($($payload: $crate::settings::Read<V>,)?)+
        {
            fn chosen(word: &str, arguments: &V) -> Option<Self> {
                let _ = arguments;
                match word {
                    $($word => Some(Self::$variant $((<$payload as $crate::settings::Read<V>>::read(arguments)?))?),)+
                    _ => None,
                }
            }
        }
    };
}

macro_rules! arguments {
    () => {
        &[]
    };
    ($payload:ty) => {
        <$payload as $crate::settings::Settings>::TABLE
    };
}

pub(crate) use {arguments, choices, default, each, required, setting, settings};

/// A field's name as the name of a setting: `r#match` is `match`.
pub(crate) const fn word(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// The only setting of a table of one, such as the operand of a verb.
pub(crate) const fn only(table: &'static [Setting]) -> Option<Setting> {
    match table {
        [one] => Some(*one),
        _ => None,
    }
}
