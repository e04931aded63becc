//! The syntax tree of a recipe file, with spans.

use crate::diag::Span;
use crate::schedule::Rational;

use super::Number;

/// A value with its span.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }

    /// Applies `f` to the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
}

/// A word such as a verb, a setting's name or a unit.
pub type Word = Spanned<String>;

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// The statements in order.
    pub items: Vec<Item>,
    /// The words of malformed `use` statements, which may be names they import.
    pub failed_imports: Vec<String>,
}

/// A statement at the top of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `edition 2026`
    Edition(Spanned<Number>),
    /// `use std.bert.{encoder_linears}`
    Import(Import),
    /// `param target: ratio = 90% in 50%..99%`
    Parameter(Parameter),
    /// `let pairs = [a, b]`
    Binding(Binding),
    /// `recipe name for 30 epochs { … }`, `template name { … }`
    Entry(Entry),
}

/// A `use` statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The module or file.
    pub from: ImportPath,
    /// The imported names; `None` without a list, which imports all.
    pub names: Option<Vec<Word>>,
    /// The statement.
    pub span: Span,
}

/// The module or file of a `use`.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportPath {
    /// `std.bert`, or `std.obert.gradual` where the last word is a name of the module.
    Dotted(Vec<Word>),
    /// `"shared/parts.obert"`, relative to the file.
    File(Spanned<String>),
}

/// A declared parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Word,
    /// Its type's name.
    pub ty: Word,
    /// The default.
    pub default: Option<Expr>,
    /// The allowed range.
    pub range: Option<Expr>,
    /// The documentation comment: the `##` lines above it.
    pub doc: String,
    /// The statement.
    pub span: Span,
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// Its name.
    pub name: Word,
    /// Its value.
    pub value: Expr,
    /// The documentation comment: the `##` lines above it.
    pub doc: String,
    /// The statement.
    pub span: Span,
}

/// `verb operands { members }`
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The first word.
    pub verb: Word,
    /// The values between the verb and the block.
    pub operands: Vec<Expr>,
    /// The block, if there is one.
    pub body: Option<Block>,
    /// The documentation comment: the `##` lines above it.
    pub doc: String,
    /// The verb and its operands, without the block.
    pub head: Span,
    /// The whole statement.
    pub span: Span,
}

/// A block in braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The statements in order.
    pub members: Vec<Member>,
    /// The span from brace to brace.
    pub span: Span,
}

/// A statement in a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    /// `param block: count = 50`, in a template
    Parameter(Parameter),
    /// `key: value`
    Setting(Setting),
    /// `verb operands { … }`
    Entry(Entry),
}

/// `key: value`, where the key is a word, or a window of time in an `lr` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The expression before the colon.
    pub key: Expr,
    /// The expression after the colon.
    pub value: Expr,
    /// The statement.
    pub span: Span,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The kind, with its parts.
    pub kind: ExprKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `30`, `90%`, `4 epochs`
    Quantity(Number, Option<Spanned<Unit>>),
    /// `"bert-base-uncased"`
    Text(String),
    /// `re"…"`
    Regex(String),
    /// `target`, `std.bert`
    Name(Vec<Word>),
    /// `obs(block: 50)`
    Call(Word, Vec<Argument>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `a..b`
    Range(Box<Expr>, Box<Expr>),
    /// `a -> b`
    Ramp(Box<Expr>, Box<Expr>),
    /// `a + b` and so on
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `-a`
    Negate(Box<Expr>),
    /// `(a)`
    Paren(Box<Expr>),
    /// `8e-5 -> 0 linear`: several expressions in a row.
    Phrase(Vec<Expr>),
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The name before the colon, if given.
    pub name: Option<Word>,
    /// The value.
    pub value: Expr,
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Over,
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Hundredths.
    Percent,
    /// Passes over the training data.
    Epochs,
    /// Optimizer steps.
    Steps,
    /// A unit of memory, with its number of bytes.
    Bytes(u64),
}

impl Unit {
    /// The unit for a word of the grammar's rule `unit`.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "%" => Unit::Percent,
            "epoch" | "epochs" => Unit::Epochs,
            "step" | "steps" => Unit::Steps,
            "byte" | "bytes" => Unit::Bytes(1),
            "KB" => Unit::Bytes(1000),
            "MB" => Unit::Bytes(1000 * 1000),
            "GB" => Unit::Bytes(1000 * 1000 * 1000),
            "TB" => Unit::Bytes(1000 * 1000 * 1000 * 1000),
            "KiB" => Unit::Bytes(1 << 10),
            "MiB" => Unit::Bytes(1 << 20),
            "GiB" => Unit::Bytes(1 << 30),
            "TiB" => Unit::Bytes(1 << 40),
            _ => return None,
        })
    }

    /// The exact factor 1/100 of a percentage; 1 for every other unit.
    pub fn factor(self) -> Rational {
        match self {
            // invariant: 100 is not zero.
            Unit::Percent => Rational::new(1, 100).expect("a hundredth"),
            _ => Rational::ONE,
        }
    }
}

impl Expr {
    /// The word, if the expression is a single word.
    pub fn as_word(&self) -> Option<&Word> {
        match &self.kind {
            ExprKind::Name(path) if path.len() == 1 => path.first(),
            _ => None,
        }
    }

    /// Whether the expression is the single word `word`.
    pub fn is_word(&self, word: &str) -> bool {
        self.as_word().is_some_and(|w| w.value == word)
    }

    /// The items of a phrase, or the expression itself.
    pub fn items(&self) -> &[Expr] {
        match &self.kind {
            ExprKind::Phrase(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Joins expressions to a phrase; a single one stays as it is.
    pub fn phrase(mut items: Vec<Expr>) -> Option<Expr> {
        let first = items.first()?.span;
        let span = items.last().map_or(first, |last| first.to(last.span));
        if items.len() == 1 { items.pop() } else { Some(Expr { kind: ExprKind::Phrase(items), span }) }
    }
}
