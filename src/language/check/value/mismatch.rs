//! Diagnostics of values that do not have the required type.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::resolve::ScopeId;
use crate::language::syntax::Number;
use crate::language::syntax::ast::{Expr, ExprKind, Unit, Word};
use crate::language::vocab::Type;

use super::suggestions::suggested_unit;
use super::{Evaluator, fits};

impl Evaluator<'_> {
    /// Reports a value of another type, with how to write one of the required type.
    pub(super) fn wrong_type<T>(&mut self, expr: &Expr, ty: Type) -> Option<T> {
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
            if Number::parse(plain.trim_end_matches('%')).is_some() {
                diagnostic = diagnostic.help(format!("numbers are written without quotes: `{plain}`"));
                diagnostic = diagnostic.fix(expr.span, plain);
            }
        } else if ty == Type::Text {
            diagnostic = diagnostic.help(format!("put it in quotes: `\"{text}\"`"));
        } else if let (Type::Model | Type::Teacher, ExprKind::Binary(..)) = (ty, &expr.kind) {
            let quoted = format!("\"{text}\"");
            diagnostic = diagnostic.help(format!("write it in quotes: `{quoted}`")).fix(expr.span, quoted);
        }
        diagnostic = match suggested_unit(expr, ty, &text) {
            Some((help, written)) => diagnostic.help(help).fix(expr.span, written),
            None => diagnostic.maybe_help(Some(ty.example())),
        };
        self.findings.push(diagnostic);
        None
    }

    /// Reports a name that is not declared.
    fn unknown_name<T>(&mut self, word: &Word, ty: Type) -> Option<T> {
        if let ("epoch" | "epochs" | "step" | "steps", Type::Duration) = (word.value.as_str(), ty) {
            let one = format!("1 {}", word.value.trim_end_matches('s'));
            let diagnostic =
                Diagnostic::error(Code::UnknownName, "a unit without a number", word.span, "how many?");
            self.findings.push(diagnostic.help(format!("write `{one}`")).fix(word.span, one));
            return None;
        }
        if self.names.may_be_failed_import(&word.value) {
            return None;
        }
        let visible: Vec<String> =
            self.names.visible(self.names.main()).iter().map(|s| s.to_string()).collect();
        let near = nearest(&word.value, visible.iter().map(String::as_str));
        let otherwise = || match ty {
            Type::Text => format!("put it in quotes: `\"{}\"`", word.value),
            Type::Params => {
                "name a set with `let`, or import one: `use std.bert.{encoder_linears}`".to_owned()
            }
            _ => format!("expected {}", ty.described()),
        };
        let message = format!("nothing here is called `{}`", word.value);
        let diagnostic = Diagnostic::error(Code::UnknownName, message, word.span, "unknown name");
        self.findings.push(diagnostic.did_you_mean(word.span, near, otherwise));
        None
    }

    /// Reports arithmetic with a result of another type: a name in it that causes this, or the expression.
    pub(super) fn wrong_quantity<T>(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<T> {
        if self.unfit_name_inside(expr, ty, scope) { None } else { self.wrong_type(expr, ty) }
    }

    /// Reports a name in arithmetic whose declared type cannot lead to the required type.
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
}
