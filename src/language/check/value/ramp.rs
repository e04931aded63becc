//! Evaluation of ramps (sparsities and learning rates) and of intervals.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::resolve::ScopeId;
use crate::language::syntax::ast::{Expr, ExprKind, Spanned};
use crate::language::vocab::{SHAPES, Type};
use crate::schedule::{Ramp, Shape};

use super::{Evaluator, Value};

impl Evaluator<'_> {
    /// Evaluates `a`, `a -> b shape` or `a -> b linear repeating 4 epochs`.
    pub(super) fn ramp(&mut self, expr: &Expr, ty: Type, scope: ScopeId) -> Option<Value> {
        let items = expr.items();
        let one = |this: &mut Self, expr: &Expr| match this.value(expr, ty, scope)? {
            Value::Ratio(share) => Some(share),
            Value::Number(number) => Some(number.value),
            _ => None,
        };
        let (from, to) = match &items[0].kind {
            ExprKind::Ramp(from, to) => (one(self, from)?, Some(one(self, to)?)),
            _ => (one(self, &items[0])?, None),
        };
        let mut shape = None;
        let mut repeating = None;
        let mut rest = items[1..].iter();
        while let Some(item) = rest.next() {
            if item.is_word("cyclic_linear") && ty == Type::Rate {
                let message = "there is no shape `cyclic_linear`";
                let diagnostic = Diagnostic::error(Code::UnknownShape, message, item.span, "unknown shape");
                // SparseML gives the length of a cycle elsewhere.
                let (written, end) = match rest.next() {
                    Some(cycle) => {
                        (format!("linear repeating {}", self.sources.slice(cycle.span)), cycle.span)
                    }
                    None => ("linear repeating 4 epochs".to_owned(), item.span),
                };
                let help = format!("write `{written}`, with the length of a cycle");
                self.findings.push(diagnostic.help(help).unsafe_fix(item.span.to(end), written));
                return None;
            }
            if item.is_word("repeating") && ty == Type::Rate {
                let Some(next) = rest.next() else {
                    return self.missing(
                        item.span,
                        "`repeating` needs a time after it",
                        "as `repeating 4 epochs`",
                    );
                };
                repeating = Some(Spanned::new(self.duration(next, scope)?, next.span));
                continue;
            }
            match self.shape(item, scope)? {
                Some(found) if shape.is_none() => shape = Some(found),
                Some(_) => {
                    return self
                        .stray_word(item, if ty == Type::Rate { Type::Rates } else { Type::Sparsity });
                }
                None => return None,
            }
        }
        if to.is_none() && shape.is_some_and(|s| s != Shape::Constant) {
            let message = "this shape needs two ends";
            let diagnostic = Diagnostic::error(Code::RampExpected, message, expr.span, "a single value");
            self.findings.push(diagnostic.help(match ty {
                Type::Rate => "two values come before a shape, as `8e-5 -> 0 linear`",
                _ => "two values come before a shape, as `70% -> 90% cubic`",
            }));
            return None;
        }
        let to = to.unwrap_or(from);
        let default = if from == to { Shape::Constant } else { Shape::Linear };
        let shape = shape.unwrap_or(default);
        if shape == Shape::Exponential && !(from > 0.0 && to > 0.0) {
            let word = items.iter().find(|item| item.is_word("exponential")).map(|item| item.span);
            let (message, label, verb) = match from > 0.0 {
                true => ("an exponential ramp never reaches zero", "ends at 0", "end"),
                false => ("an exponential ramp never leaves zero", "starts at 0", "start"),
            };
            let diagnostic = Diagnostic::error(Code::OutOfRange, message, expr.span, label)
                .help(format!("{verb} it at a small positive value, or use `linear`"));
            self.findings.push(match word {
                Some(word) => diagnostic.unsafe_fix(word, "linear"),
                None => diagnostic,
            });
            return None;
        }
        Some(Value::Ramp(Ramp { from, to, shape }, repeating))
    }

    /// Evaluates a shape; `None` means that a mistake was reported.
    pub(super) fn shape(&mut self, item: &Expr, scope: ScopeId) -> Option<Option<Shape>> {
        let shapes = || SHAPES.iter().map(|shape| shape.name);
        let word = match &item.kind {
            ExprKind::Call(word, arguments) if word.value == "polynomial" && arguments.len() == 1 => {
                let power = self.number(&arguments[0].value, Type::Number, scope)?.value;
                if power <= 0.0 {
                    let diagnostic = Diagnostic::error(
                        Code::OutOfRange,
                        "the power of a polynomial is above zero",
                        arguments[0].value.span,
                        format!("this is {power}"),
                    );
                    let diagnostic = diagnostic.help("as `polynomial(2)`");
                    self.findings.push(diagnostic.unsafe_fix(arguments[0].value.span, "2"));
                    return None;
                }
                return Some(Some(Shape::Polynomial(power)));
            }
            _ => item.as_word(),
        };
        let Some(word) = word else {
            self.stray_word::<()>(item, Type::Rates);
            return None;
        };
        Some(Some(match word.value.as_str() {
            "constant" => Shape::Constant,
            "linear" | "warmup" => Shape::Linear,
            "cubic" => Shape::Cubic,
            "inverse_cubic" => Shape::InverseCubic,
            "cosine" => Shape::Cosine,
            "exponential" => Shape::Exponential,
            other => {
                let near = nearest(other, shapes().chain(["repeating"]));
                let mut diagnostic = Diagnostic::error(
                    Code::UnknownShape,
                    format!("there is no shape `{other}`"),
                    word.span,
                    "unknown shape",
                );
                diagnostic = match near {
                    _ if other == "to" => diagnostic.help("write `->`").fix(word.span, "->"),
                    Some("polynomial") => {
                        diagnostic.help("write `polynomial(2)`").unsafe_fix(word.span, "polynomial(2)")
                    }
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")).fix(word.span, near),
                    None => {
                        diagnostic.help(format!("the shapes are {}", shapes().collect::<Vec<_>>().join(", ")))
                    }
                };
                self.findings.push(diagnostic);
                return None;
            }
        }))
    }

    pub(super) fn interval(&mut self, expr: &Expr, scope: ScopeId) -> Option<Value> {
        let ExprKind::Range(least, most) = &expr.kind else { return self.wrong_type(expr, Type::Interval) };
        let least = self.number(least, Type::Number, scope)?.value;
        let most = self.number(most, Type::Number, scope)?.value;
        Some(Value::Interval(least, most))
    }
}
