//! Evaluation of expressions to typed values.
//!
//! Evaluation is directed by the required type; a name is replaced by its value in the scope of its
//! declaration.
//!
//! - [`quantity`]: numbers with units, and arithmetic; [`time`]: durations and windows;
//! - [`ramp`]: sparsities and learning rates; [`params`]: selectors; [`choice`]: words with arguments;
//! - [`mismatch`]: diagnostics of values of another type, with [`suggestions`];
//! - [`other_tools`]: settings as SparseML and other tools write them;
//! - [`typed`]: conversion of values to the Rust types of settings; `shown`: values as text.

mod choice;
mod mismatch;
mod other_tools;
mod params;
mod quantity;
mod ramp;
mod shown;
mod suggestions;
mod time;
mod typed;

use std::collections::{BTreeMap, HashMap};

use crate::diag::{Code, Diagnostic, Findings, Sources, Span};
use crate::language::resolve::{Names, ScopeId};
use crate::language::syntax::Number;
use crate::language::syntax::ast::{Expr, ExprKind, Spanned};
use crate::language::vocab::choices::{DataSets, Models};
use crate::language::vocab::{TimeRange, Type};
use crate::params::Selector;
use crate::schedule::{Ramp, Time};

pub use other_tools::is_part_of_sparsity;

/// A typed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without a unit.
    Number(Number),
    /// A fraction of a whole.
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
    /// A dampening λ, and whether it may be raised.
    Damp(f64, bool),
    /// A window of time.
    Span(TimeRange),
    /// A range of numbers.
    Interval(f64, f64),
    /// A sparsity or learning rate over time, with the length of its cycles.
    Ramp(Ramp, Option<Spanned<Time>>),
}

/// Values by the names of their settings; a default has the span of the statement.
pub type Fields = BTreeMap<&'static str, Spanned<Value>>;

/// Evaluates expressions; one that cannot be evaluated is reported and gives `None`.
pub struct Evaluator<'a> {
    /// The declared names.
    pub names: &'a mut Names,
    /// The texts, for defaults and fixes.
    pub sources: &'a mut Sources,
    /// The diagnostics.
    pub findings: &'a mut Findings,
    /// The length of the current stage, for `10% of run`.
    pub run: Option<Time>,
    /// Settings of the current statement whose value was reported, so that they are not reported as missing.
    pub attempted: Vec<&'static str>,
    /// Verbs that a fix cannot add to the current block, because they are there or not allowed.
    pub taken: Vec<String>,
    /// Uses of names that are being evaluated, for the detection of recursion.
    open: Vec<Span>,
    /// The values of names and of arithmetic so far, by the expression, as a recipe writes them.
    pub computed: Vec<(Span, String)>,
    /// The defaults that were parsed, by their texts.
    defaults: HashMap<&'static str, Expr>,
    /// The number of regular expressions so far; one with counted repetition counts as ten.
    regexes: usize,
}

/// How often names inside values of other names are evaluated in a recipe at most: a chain of names that use each
/// other can expand exponentially.
const MOST_NESTED_USES: usize = 1_000;

/// The most values of names and of arithmetic that are recorded for editors.
const MOST_COMPUTED: usize = 10_000;

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
            computed: Vec::new(),
            defaults: HashMap::new(),
            regexes: 0,
        }
    }

    /// Whether a name is declared in a scope, or may belong to a failed import.
    pub fn is_declared(&mut self, name: &str, scope: ScopeId) -> bool {
        self.names.look_up(name, scope).is_some() || self.names.may_be_failed_import(name)
    }

    /// Evaluates `expr` to a value of type `ty`.
    pub fn value(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Value> {
        let value = self.value_of(expr, ty, scope)?;
        if self.open.is_empty() && is_computed(expr) && self.computed.len() < MOST_COMPUTED {
            self.computed.push((expr.span, value.to_string()));
        }
        Some(value)
    }

    /// The same without a record of computed values.
    fn value_of(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Value> {
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

    /// If `expr` is a declared name: the expression of its value, its scope and the required type. Words of the
    /// vocabulary take precedence, so that no `let` can hide `linear`. The outer `None` means that a mistake
    /// was reported.
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
            let message = format!("`{}` is defined by itself", word.value);
            let diagnostic = Diagnostic::error(Code::RecursiveName, message, symbol.span, "declared here");
            self.findings.push(
                diagnostic
                    .and_at(expr.span, "and used in its own value")
                    .help("give it a value that does not depend on it"),
            );
            return None;
        }
        if self.open.len() > 1 && self.names.nested_use() > MOST_NESTED_USES {
            // Only the first use beyond the limit is reported.
            if self.names.nested_use() == MOST_NESTED_USES + 2 {
                self.findings.push(
                    Diagnostic::error(
                        Code::NestingTooDeep,
                        "names are nested in the values of other names too often",
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

/// Whether an expression is a name or arithmetic, so that its value differs from its text.
fn is_computed(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Name(_) | ExprKind::Binary(..) => true,
        ExprKind::Paren(inner) | ExprKind::Negate(inner) => is_computed(inner),
        ExprKind::Range(a, b) | ExprKind::Ramp(a, b) => is_computed(a) || is_computed(b),
        ExprKind::Phrase(items) => items.first().is_some_and(is_computed),
        _ => false,
    }
}

/// Whether a name declared with type `declared` may be used where `wanted` is required.
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

/// Wraps a selector that is the value of a name in that name, for plans and reports.
fn name_selector(value: Value, expr: &Expr) -> Value {
    match (value, expr.as_word()) {
        (Value::Params(selector @ Selector::Named(..), expect), _) => Value::Params(selector, expect),
        (Value::Params(selector, expect), Some(word)) => {
            Value::Params(Selector::Named(word.value.clone(), Box::new(selector)), expect)
        }
        (value, _) => value,
    }
}
