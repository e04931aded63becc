//! Evaluation of numbers with units, and of arithmetic.

use crate::diag::{Code, Diagnostic, Span};
use crate::language::resolve::ScopeId;
use crate::language::syntax::Number;
use crate::language::syntax::ast::{Expr, ExprKind, Operator, Unit};
use crate::language::vocab::Type;
use crate::schedule::{Rational, Time};

use super::{Evaluator, Value};

/// A number with its kind of unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Quantity {
    Plain(Number),
    Ratio(Number),
    Time(Time),
    Bytes(Number),
}

/// The largest count.
const MOST: i64 = 1 << 40;

impl Evaluator<'_> {
    pub(super) fn quantity(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Quantity> {
        match &expr.kind {
            ExprKind::Quantity(number, unit) => {
                let scaled = |factor: Rational| {
                    number.combine(
                        Number { value: factor.to_f64(), exact: Some(factor) },
                        |a, b| a * b,
                        Rational::times,
                    )
                };
                Some(match unit.as_ref().map(|u| u.value) {
                    None => Quantity::Plain(*number),
                    // The nearest double of the exact hundredth, so that 90% is 0.9.
                    Some(unit @ Unit::Percent) => {
                        let share = scaled(unit.factor());
                        let value = share.exact.map_or(number.value / 100.0, Rational::to_f64);
                        Quantity::Ratio(Number { value, ..share })
                    }
                    Some(Unit::Epochs) => Quantity::Time(Time::epochs(self.exact(number, expr.span)?)),
                    Some(Unit::Steps) => Quantity::Time(Time::steps(self.exact(number, expr.span)?)),
                    Some(Unit::Bytes(size)) => {
                        let size = Rational::whole(i64::try_from(size).unwrap_or(i64::MAX));
                        Quantity::Bytes(scaled(size))
                    }
                })
            }
            ExprKind::Negate(inner) => {
                let quantity = self.quantity(inner, ty, scope)?;
                Some(scale(quantity, Number::whole(-1)))
            }
            ExprKind::Paren(inner) => self.quantity(inner, ty, scope),
            ExprKind::Binary(operator, left, right) => {
                let a = self.quantity(left, ty, scope)?;
                let b = self.quantity(right, ty, scope)?;
                self.arithmetic(*operator, a, b, expr.span)
            }
            ExprKind::Name(_) => match self.follow(expr, Type::Number, scope) {
                // In arithmetic a name may have any type with a quantity.
                Some(Some((value, inner, _))) => {
                    self.open.push(expr.span);
                    let quantity = self.quantity(&value, ty, inner);
                    self.open.pop();
                    quantity
                }
                Some(None) => self.wrong_type(expr, ty),
                None => None,
            },
            _ => self.wrong_type(expr, ty),
        }
    }

    pub(super) fn exact(&mut self, number: &Number, span: Span) -> Option<Rational> {
        if number.exact.is_none() {
            let message = "this time has too many digits to be exact";
            let diagnostic = Diagnostic::error(Code::NumberTooLarge, message, span, "too long");
            self.findings.push(diagnostic.help("write it in steps, or with fewer digits"));
        }
        number.exact
    }

    pub(super) fn arithmetic(
        &mut self,
        operator: Operator,
        a: Quantity,
        b: Quantity,
        span: Span,
    ) -> Option<Quantity> {
        use Quantity::{Bytes, Plain, Ratio, Time as At};
        let add = |x: Number, y: Number| match operator {
            Operator::Plus => x.combine(y, |a, b| a + b, Rational::plus),
            _ => x.combine(y, |a, b| a - b, Rational::minus),
        };
        let result = match (operator, a, b) {
            (Operator::Over, _, Plain(n) | Ratio(n)) if n.value == 0.0 => {
                let diagnostic = Diagnostic::error(Code::DivisionByZero, "division by zero", span, "here");
                self.findings.push(diagnostic.help("divide by something else"));
                return None;
            }
            (Operator::Plus | Operator::Minus, Plain(x), Plain(y)) => Some(Plain(add(x, y))),
            (Operator::Plus | Operator::Minus, Ratio(x), Ratio(y)) => Some(Ratio(add(x, y))),
            (Operator::Plus | Operator::Minus, Bytes(x), Bytes(y)) => Some(Bytes(add(x, y))),
            (Operator::Plus, At(x), At(y)) => x.plus(y).map(At),
            (Operator::Minus, At(x), At(y)) => x.minus(y).map(At),
            (Operator::Times, Plain(n), other) | (Operator::Times, other, Plain(n)) => Some(scale(other, n)),
            (Operator::Over, other, Plain(n)) => {
                let inverse = Number::whole(1).combine(n, |a, b| a / b, Rational::over);
                match other {
                    // Divide, rather than multiply by the inverse, for the nearest double.
                    Plain(x) => Some(Plain(x.combine(n, |a, b| a / b, Rational::over))),
                    other => Some(scale(other, inverse)),
                }
            }
            (Operator::Over, At(x), At(y)) => {
                x.ratio_to(y).map(|r| Plain(Number { value: r.to_f64(), exact: Some(r) }))
            }
            _ => None,
        };
        if result.is_none() {
            let sign = match operator {
                Operator::Plus => "+",
                Operator::Minus => "-",
                Operator::Times => "*",
                Operator::Over => "/",
            };
            let message = format!("`{}` and `{}` cannot be combined by `{sign}`", kind_of(a), kind_of(b));
            self.findings.push(
                Diagnostic::error(Code::UnitMismatch, message, span, "here")
                    .help("add like to like; multiply and divide by plain numbers"),
            );
        }
        result
    }

    pub(super) fn ratio(&mut self, expr: &Expr, scope: ScopeId) -> Option<f64> {
        let value = match self.quantity(expr, Type::Ratio, scope)? {
            Quantity::Ratio(n) => n.value,
            Quantity::Plain(n) if (0.0..=1.0).contains(&n.value) => n.value,
            Quantity::Plain(n) => {
                let percent = format!("{}%", n.value);
                // Below 2, a value such as 1.5 is more likely a mistake than a percentage.
                let is_percent = (2.0..=100.0).contains(&n.value);
                let label =
                    if is_percent { format!("is this {percent}?") } else { format!("this is {}", n.value) };
                let message = "a ratio needs `%`, or a value in 0..1";
                let diagnostic = Diagnostic::error(Code::RatioOutOfRange, message, expr.span, label);
                self.findings.push(match is_percent {
                    true => diagnostic.help(format!("write `{percent}`")).fix(expr.span, percent),
                    false => diagnostic.help("write it as `0.9` or `90%`"),
                });
                return None;
            }
            _ => return self.wrong_quantity(expr, Type::Ratio, scope),
        };
        if !(0.0..=1.0).contains(&value) {
            self.findings.push(
                Diagnostic::error(
                    Code::RatioOutOfRange,
                    "a ratio is between 0% and 100%",
                    expr.span,
                    format!("this is {}%", value * 100.0),
                )
                .help("write a ratio from `0%` to `100%`, such as `80%`"),
            );
            return None;
        }
        Some(value)
    }

    pub(super) fn number(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Number> {
        let number = match self.quantity(expr, ty, scope)? {
            Quantity::Plain(n) => n,
            Quantity::Ratio(_) | Quantity::Time(_) | Quantity::Bytes(_) => {
                return self.wrong_quantity(expr, ty, scope);
            }
        };
        if ty == Type::Rate && !(number.value >= 0.0 && number.value <= 1.0) {
            self.findings.push(
                Diagnostic::error(
                    Code::OutOfRange,
                    "expected a number between 0 and 1",
                    expr.span,
                    format!("this is {}", number.value),
                )
                .help("is an exponent missing? rates look like `8e-5`"),
            );
            return None;
        }
        Some(number)
    }

    pub(super) fn whole(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<i64> {
        let number = match self.quantity(expr, ty, scope)? {
            Quantity::Plain(n) => n,
            _ => return self.wrong_quantity(expr, ty, scope),
        };
        let least = if ty == Type::Count { 1 } else { 0 };
        let (code, message, help) = match number.as_whole() {
            Some(n) if n >= least && n <= MOST => return Some(n),
            _ if number.value > MOST as f64 => {
                (Code::OutOfRange, "this number is too large".to_owned(), format!("the largest is {MOST}"))
            }
            Some(_) => {
                (Code::OutOfRange, format!("expected {}", ty.described()), format!("the least is {least}"))
            }
            None => {
                let near = number.value.round().max(least as f64);
                (
                    Code::NotAWholeNumber,
                    "expected a whole number".to_owned(),
                    format!("the nearest allowed whole number is {near}"),
                )
            }
        };
        let label = format!("this is {}", number.value);
        self.findings.push(Diagnostic::error(code, message, expr.span, label).help(help));
        None
    }

    pub(super) fn bytes(&mut self, expr: &Expr, scope: ScopeId) -> Option<u64> {
        match self.quantity(expr, Type::Bytes, scope)? {
            Quantity::Bytes(n) if n.value >= 0.0 => Some(n.value as u64),
            _ => self.wrong_type(expr, Type::Bytes),
        }
    }

    /// Evaluates `[0, 2, 4]`.
    pub(super) fn indices(&mut self, expr: &Expr, scope: ScopeId) -> Option<Vec<usize>> {
        let ExprKind::List(items) = &expr.kind else { return self.wrong_type(expr, Type::Indices) };
        if let Some(range) = items.iter().find(|i| matches!(i.kind, ExprKind::Range(..))) {
            let message = "a list of layers holds no ranges";
            let diagnostic = Diagnostic::error(Code::WrongType, message, range.span, "this is a range");
            self.findings.push(diagnostic.help("write each of them, as `[0, 1, 2]`"));
            return None;
        }
        let list: Option<Vec<i64>> = items.iter().map(|i| self.whole(i, Type::Whole, scope)).collect();
        Some(list?.into_iter().map(|n| n as usize).collect())
    }

    /// Evaluates `1e-7` or `1e-7 or raise`.
    pub(super) fn damp(&mut self, expr: &Expr, scope: ScopeId) -> Option<Value> {
        let (rate, raise) = match expr.items() {
            [rate] => (rate, false),
            [rate, or, raise] if or.is_word("or") && raise.is_word("raise") => (rate, true),
            _ => return self.wrong_type(expr, Type::Damp),
        };
        self.number(rate, Type::Rate, scope).map(|n| Value::Damp(n.value, raise))
    }
}

fn scale(quantity: Quantity, n: Number) -> Quantity {
    let times = |x: Number| x.combine(n, |a, b| a * b, Rational::times);
    match quantity {
        Quantity::Plain(x) => Quantity::Plain(times(x)),
        Quantity::Ratio(x) => Quantity::Ratio(times(x)),
        Quantity::Bytes(x) => Quantity::Bytes(times(x)),
        Quantity::Time(t) => Quantity::Time(n.exact.and_then(|n| t.times(n)).unwrap_or(t)),
    }
}

fn kind_of(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Plain(_) => "a number",
        Quantity::Ratio(_) => "a ratio",
        Quantity::Time(_) => "a time",
        Quantity::Bytes(_) => "memory",
    }
}
