//! Expressions evaluated to typed values.
//!
//! The type that is wanted directs the evaluation; names lead to their values wherever they are
//! declared. [`quantity`] does arithmetic with units, [`time`] windows, [`params`] selectors,
//! [`choice`] words with arguments, [`ramp`] values that move; [`meant`] what a value that does not fit was
//! meant to say, [`typed`] values as Rust types.

mod choice;
mod formerly;
mod meant;
mod params;
mod quantity;
mod ramp;
mod time;
mod typed;

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Findings, Sources, Span, nearest};
use crate::language::resolve::{Names, ScopeId};
use crate::language::syntax::Number;
use crate::language::syntax::ast::{Expr, ExprKind, Spanned, Unit, Word};
use crate::language::vocab::choices::{DataSets, Models};
use crate::language::vocab::{Instants, Type};
use crate::params::Selector;
use crate::schedule::{Ramp, Time};

use meant::{parses_as_number, unit_meant};
use params::name_selector;

pub use formerly::is_part_of_sparsity;

/// A typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without a unit.
    Number(Number),
    /// A share, as a fraction of one.
    Ratio(f64),
    /// A time.
    Time(Time),
    /// An amount of memory.
    Bytes(u64),
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// Parameters, perhaps with an expected count.
    Params(Selector, Option<Spanned<usize>>),
    /// A word with its arguments.
    Choice(&'static str, Fields),
    /// Words.
    Names(Vec<Spanned<String>>),
    /// Whole numbers.
    Indices(Vec<usize>),
    /// A damp, and whether it may be raised.
    Damp(f64, bool),
    /// Two instants.
    Span(Instants),
    /// Two numbers.
    Interval(f64, f64),
    /// A value that moves, perhaps in cycles.
    Ramp(Ramp, Option<Spanned<Time>>),
}

/// Named values, each with its place; defaults have the place of the statement.
pub type Fields = BTreeMap<&'static str, Spanned<Value>>;

/// Evaluates expressions; what cannot be evaluated is reported and gives `None`.
pub struct Evaluator<'a> {
    /// Who is meant by a name.
    pub names: &'a mut Names,
    /// Texts, for defaults and replacements.
    pub sources: &'a mut Sources,
    /// What is found on the way.
    pub findings: &'a mut Findings,
    /// The length of the stage at hand, for `10% of run`.
    pub run: Option<Time>,
    /// Settings of the statement at hand that were given and could not be read: they are reported
    /// already and not missing.
    pub attempted: Vec<&'static str>,
    /// Verbs that no statement can be added of where the settings at hand stand.
    pub taken: Vec<String>,
    open: Vec<Span>,
    regexes: usize,
}

/// More uses of names in the values of names are no recipe: each may double what the one before says.
const MOST_NESTED_USES: usize = 1_000;

impl<'a> Evaluator<'a> {
    /// An evaluator outside any stage.
    pub fn new(names: &'a mut Names, sources: &'a mut Sources, findings: &'a mut Findings) -> Self {
        Evaluator {
            names,
            sources,
            findings,
            run: None,
            attempted: Vec::new(),
            taken: Vec::new(),
            open: Vec::new(),
            regexes: 0,
        }
    }

    /// Whether a name stands for a value here.
    pub fn is_declared(&mut self, name: &str, scope: ScopeId) -> bool {
        self.names.look_up(name, scope).is_some() || self.names.is_lost(name)
    }

    /// The value of `expr` as a `ty`.
    pub fn value(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Value> {
        if let Some((symbol_expr, inner, ty)) = self.follow(expr, ty, scope)? {
            self.open.push(expr.span);
            let value = self.value(&symbol_expr, ty, inner);
            self.open.pop();
            return value.map(|v| name_selector(v, expr));
        }
        match ty {
            Type::Ratio => self.ratio(expr, scope).map(Value::Ratio),
            Type::Rate | Type::Number => self.number(expr, ty, scope).map(Value::Number),
            Type::Count | Type::Whole => self.whole(expr, ty, scope).map(|n| Value::Number(Number::whole(n))),
            Type::Duration => self.duration(expr, scope).map(Value::Time),
            Type::Bytes => self.bytes(expr, scope).map(Value::Bytes),
            Type::Text => self.text(expr, ty).map(Value::Text),
            Type::Bool => self.bool(expr),
            Type::Params => self.params(expr, scope),
            Type::Choice(choices) => self.choice(expr, choices, ty, scope),
            Type::Data => self.choice(expr, DataSets::CHOICES, ty, scope),
            Type::Model => match &expr.kind {
                ExprKind::Text(text) => Some(Value::Text(text.clone())),
                _ => self.choice(expr, Models::CHOICES, ty, scope),
            },
            Type::Names => self.words(expr).map(Value::Names),
            Type::Indices => self.indices(expr, scope).map(Value::Indices),
            Type::Damp => self.damp(expr, scope),
            Type::After => self.after(expr, scope).map(Value::Time),
            Type::Span => self.span(expr, scope).map(Value::Span),
            Type::Interval => self.interval(expr, scope),
            Type::Sparsity => self.ramp(expr, Type::Ratio, scope),
            Type::Rates => self.ramp(expr, Type::Rate, scope),
            Type::Stage | Type::Teacher | Type::Template | Type::NewName => match &expr.kind {
                ExprKind::Text(text) if ty == Type::Teacher => Some(Value::Text(text.clone())),
                _ => match expr.as_word() {
                    Some(word) => Some(Value::Names(vec![word.clone()])),
                    None => self.wrong_type(expr, ty),
                },
            },
        }
    }

    /// If `expr` is a name that stands for a value: the value's expression, its scope and the type
    /// it must have. Words of the vocabulary come before names, so that no `let` can hide `linear`.
    /// The outer `None` means that a mistake was reported.
    #[allow(clippy::type_complexity)]
    fn follow(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Option<(Expr, ScopeId, Type)>> {
        let word = match (&expr.kind, expr.as_word()) {
            (_, Some(word)) => word,
            (ExprKind::Paren(inner), _) => return Some(Some(((**inner).clone(), scope, ty))),
            _ => return Some(None),
        };
        let is_vocabulary = match ty {
            Type::Choice(choices) => choices.iter().any(|c| c.name == word.value),
            Type::Data => DataSets::CHOICES.iter().any(|c| c.name == word.value),
            Type::Bool => matches!(word.value.as_str(), "true" | "false"),
            Type::Stage | Type::Teacher | Type::Template | Type::NewName => true,
            _ => false,
        };
        if is_vocabulary {
            return Some(None);
        }
        let Some(symbol) = self.names.look_up(&word.value, scope) else { return Some(None) };
        if self.open.contains(&expr.span) {
            self.findings.push(
                Diagnostic::error(
                    Code::RecursiveName,
                    format!("`{}` is defined by itself", word.value),
                    symbol.span,
                    "declared here",
                )
                .and_at(expr.span, "and used in its own value")
                .help("give it a value that does not depend on it"),
            );
            return None;
        }
        if self.open.len() > 1 && self.names.nested_use() > MOST_NESTED_USES {
            // Said once: the first use beyond the limit is enough.
            if self.names.nested_use() == MOST_NESTED_USES + 2 {
                self.findings.push(
                    Diagnostic::error(
                        Code::NestingTooDeep,
                        "names stand for values that name others, again and again",
                        expr.span,
                        format!("the use of a name in a name's value, after {MOST_NESTED_USES} others"),
                    )
                    .help("write the value out"),
                );
            }
            return None;
        }
        let Some((value, inner)) = symbol.value else {
            self.findings.push(
                Diagnostic::error(
                    Code::ParameterWithoutValue,
                    format!("the parameter `{}` has no value", symbol.name),
                    symbol.span,
                    "declared without a default",
                )
                .and_at(expr.span, "used here")
                .help(match symbol.parameter {
                    Some(_) => format!("give one with `--set {}=…`, or a default: `= …`", symbol.name),
                    None => format!("give one where the template is extended: `{}: …`", symbol.name),
                }),
            );
            return None;
        };
        match symbol.ty {
            Some(declared) if !fits(declared, ty) => {
                self.findings.push(
                    Diagnostic::error(
                        Code::WrongType,
                        format!("`{}` is {}, not {}", symbol.name, declared.described(), ty.described()),
                        expr.span,
                        "used here",
                    )
                    .and_at(symbol.span, "declared here")
                    .help("declare it with the type that is needed"),
                );
                None
            }
            _ => Some(Some((value, inner, ty))),
        }
    }

    fn wrong_type<T>(&mut self, expr: &Expr, ty: Type) -> Option<T> {
        let text = self.sources.slice(expr.span).to_owned();
        if let Some(word) = expr.as_word() {
            return self.unknown_name(word, ty);
        }
        let found = match &expr.kind {
            ExprKind::Phrase(items) => {
                return match self.unit_behind_a_name(items) {
                    true => None,
                    false => self.stray_word(&items[1], ty),
                };
            }
            ExprKind::Quantity(_, Some(unit)) if unit.value == Unit::Percent => "this is a ratio",
            ExprKind::Quantity(_, Some(unit)) if matches!(unit.value, Unit::Bytes(_)) => "this is memory",
            ExprKind::Quantity(_, Some(_)) => "this is a time",
            ExprKind::Quantity(_, None) => "this is a number",
            ExprKind::Text(_) => "this is text",
            ExprKind::Regex(_) => "this is a pattern",
            ExprKind::List(_) => "this is a list",
            ExprKind::Range(..) => "this is a range",
            ExprKind::Ramp(..) => "this is a ramp",
            ExprKind::Call(..) => "this is a word with arguments",
            _ => "this is something else",
        };
        let mut diagnostic =
            Diagnostic::error(Code::WrongType, format!("expected {}", ty.described()), expr.span, found);
        if let (ExprKind::Text(inner), true) = (&expr.kind, ty != Type::Text) {
            let plain = inner.trim();
            if parses_as_number(plain) {
                diagnostic = diagnostic.help(format!("numbers are written without quotes: `{plain}`"));
                diagnostic = diagnostic.fix(expr.span, plain);
            }
        } else if ty == Type::Text {
            diagnostic = diagnostic.help(format!("put it in quotes: `\"{text}\"`"));
        } else if let (Type::Model | Type::Teacher, ExprKind::Binary(..)) = (ty, &expr.kind) {
            let quoted = format!("\"{text}\"");
            diagnostic = diagnostic.help(format!("write it in quotes: `{quoted}`")).fix(expr.span, quoted);
        }
        diagnostic = match unit_meant(expr, ty, &text) {
            Some((help, written)) => diagnostic.help(help).fix(expr.span, written),
            None => diagnostic.maybe_help(Some(ty.example())),
        };
        self.findings.push(diagnostic);
        None
    }

    fn unknown_name<T>(&mut self, word: &Word, ty: Type) -> Option<T> {
        if let ("epoch" | "epochs" | "step" | "steps", Type::Duration) = (word.value.as_str(), ty) {
            let one = format!("1 {}", word.value.trim_end_matches('s'));
            let diagnostic =
                Diagnostic::error(Code::UnknownName, "a unit without a number", word.span, "how many?");
            self.findings.push(diagnostic.help(format!("write `{one}`")).fix(word.span, one));
            return None;
        }
        if self.names.is_lost(&word.value) {
            return None;
        }
        let visible: Vec<String> =
            self.names.visible(self.names.main()).iter().map(|s| s.to_string()).collect();
        let near = nearest(&word.value, visible.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if ty == Type::Text => format!("put it in quotes: `\"{}\"`", word.value),
            None if ty == Type::Params => {
                "name a set with `let`, or bring one in: `use std.bert.{encoder_linears}`".to_owned()
            }
            None => format!("expected {}", ty.described()),
        };
        let mut diagnostic = Diagnostic::error(
            Code::UnknownName,
            format!("nothing here is called `{}`", word.value),
            word.span,
            "unknown name",
        )
        .help(help);
        if let Some(near) = near {
            diagnostic = diagnostic.fix(word.span, near);
        }
        self.findings.push(diagnostic);
        None
    }

    /// Reports arithmetic whose result counts something else: a name in it of another type, or the whole.
    fn wrong_quantity<T>(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<T> {
        if self.unfit_name_inside(expr, ty, scope) { None } else { self.wrong_type(expr, ty) }
    }

    /// Reports a name in arithmetic whose declared type does not lead to what is wanted.
    fn unfit_name_inside(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> bool {
        match &expr.kind {
            ExprKind::Binary(_, left, right) => {
                self.unfit_name_inside(left, ty, scope) || self.unfit_name_inside(right, ty, scope)
            }
            ExprKind::Negate(inner) | ExprKind::Paren(inner) => self.unfit_name_inside(inner, ty, scope),
            ExprKind::Name(_) => {
                let Some(symbol) = expr.as_word().and_then(|w| self.names.look_up(&w.value, scope)) else {
                    return false;
                };
                let Some(declared) = symbol.ty.filter(|t| *t != Type::Number && !fits(*t, ty)) else {
                    return false;
                };
                let message =
                    format!("`{}` is {}, not {}", symbol.name, declared.described(), ty.described());
                self.findings.push(
                    Diagnostic::error(Code::WrongType, message, expr.span, "used here")
                        .and_at(symbol.span, "declared here")
                        .help("declare it with the type that is needed"),
                );
                true
            }
            _ => false,
        }
    }

    fn text(&mut self, expr: &Expr, ty: Type) -> Option<String> {
        match &expr.kind {
            ExprKind::Text(text) => Some(text.clone()),
            _ => self.wrong_type(expr, ty),
        }
    }

    fn bool(&mut self, expr: &Expr) -> Option<Value> {
        match expr.as_word().map(|w| w.value.as_str()) {
            Some("true") => Some(Value::Bool(true)),
            Some("false") => Some(Value::Bool(false)),
            _ => self.wrong_type(expr, Type::Bool),
        }
    }
}

/// Whether a name declared as `declared` may be used as `wanted`.
fn fits(declared: Type, wanted: Type) -> bool {
    declared == wanted
        || matches!(
            (declared, wanted),
            (Type::Ratio, Type::Sparsity | Type::Number)
                | (Type::Rate, Type::Rates | Type::Number)
                | (Type::Number, Type::Rate | Type::Rates | Type::Count | Type::Whole | Type::Ratio)
                | (Type::Count, Type::Whole | Type::Number)
                | (Type::Duration | Type::Bytes, Type::Number)
                | (Type::Text, Type::Model | Type::Teacher)
                | (Type::Model, Type::Teacher)
        )
}
