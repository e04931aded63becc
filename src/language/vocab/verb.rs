//! The description of a verb, and the macro that declares one.

use crate::settings::Setting;

/// A verb with its operand, clauses and block.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// The word.
    pub name: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    /// An example of a statement, for messages and the reference.
    pub form: &'static str,
    /// The value directly after the verb.
    pub operand: Option<Setting>,
    /// Words with a value after the operand, in any order.
    pub clauses: &'static [Clause],
    /// The kind of block.
    pub body: Body,
    /// Where the verb is allowed.
    pub places: &'static [Place],
    /// Whether it is allowed more than once in one place.
    pub repeats: bool,
}

/// `word value` after a verb, such as `over 2..26 epochs`.
pub type Clause = Setting;

/// The kind of a verb's block.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// No block.
    None,
    /// `name: value` lines.
    Settings(&'static [Setting]),
    /// `name: value` lines and `target PARAMS: 90%` lines.
    PruneSettings(&'static [Setting]),
    /// `window: rates` lines and `factor PARAMS: 10` lines.
    LrPieces,
    /// `metric: interval` lines.
    Metrics,
    /// Statements, and settings of the recipe or stage.
    Statements(&'static [Setting]),
}

/// A place for statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top of a file.
    File,
    /// In a recipe, outside its stages.
    Recipe,
    /// In a stage, a branch or a template, or in a recipe that has no stages.
    Stage,
}

/// The struct of a verb's statements.
pub trait Statement {
    /// The verb.
    const VERB: &'static Verb;
}

/// Declares a verb and the struct of its statements: operand, clauses and the settings of its block, each
/// with its Rust type as in [`settings!`](crate::settings).
macro_rules! verb {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $name:ident: $word:literal, form $form:literal, at [$($place:ident),+],
            repeats $repeats:literal;
        $(operand {
            $(#[doc = $operand_doc:literal])+
            $operand:ident: $operand_ty:ty = $operand_kind:expr, required;
        })?
        $(clauses {$(
            $(#[doc = $clause_doc:literal])+
            $clause:ident: $clause_ty:ty = $clause_kind:expr, $clause_how:ident
                $(formerly [$($clause_former:literal),+])?;
        )+})?
        $(block $body:ident {$(
            $(#[doc = $doc:literal])+
            $field:ident: $ty:ty = $kind:expr, $how:ident $($default:literal)?
                $(formerly [$($former:literal),+])?;
        )+})?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[doc = $operand_doc])+ pub $operand: $operand_ty,)?
            $($($(#[doc = $clause_doc])+ pub $clause: $clause_ty,)+)?
            $($($(#[doc = $doc])+ pub $field: $ty,)+)?
        }

        impl $crate::language::vocab::Statement for $name {
            const VERB: &'static Verb = &Verb {
                name: $word,
                doc: concat!($($about),+).trim_ascii(),
                form: $form,
                operand: only(&[$(
                    setting!($operand, concat!($($operand_doc),+), $operand_kind, [required], [])
                )?]),
                clauses: &[$($(
                    setting!(
                        $clause, concat!($($clause_doc),+), $clause_kind, [$clause_how],
                        [$($($clause_former),+)?]
                    ),
                )+)?],
                body: body!($($body [$(
                    setting!(
                        $field, concat!($($doc),+), $kind, [$how $($default)?], [$($($former),+)?]
                    ),
                )+])?),
                places: &[$(Place::$place),+],
                repeats: $repeats,
            };
        }

        impl<V> Read<V> for $name
        where
            $(V: Get<$operand_ty>,)?
            $($(V: Get<$clause_ty>,)+)?
            $($(V: Get<$ty>,)+)?
        {
            fn read(values: &V) -> Option<Self> {
                Some($name {
                    $($operand: <V as Get<$operand_ty>>::setting(values, word(stringify!($operand)))?,)?
                    $($($clause: <V as Get<$clause_ty>>::setting(values, word(stringify!($clause)))?,)+)?
                    $($($field: <V as Get<$ty>>::setting(values, word(stringify!($field)))?,)+)?
                })
            }
        }
    };
}

macro_rules! body {
    () => {
        Body::None
    };
    ($body:ident [$($settings:tt)*]) => {
        Body::$body(&[$($settings)*])
    };
}

pub(super) use {body, verb};
