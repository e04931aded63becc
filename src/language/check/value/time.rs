//! Evaluation of durations and windows.

use crate::diag::{Code, Diagnostic, Span, agreeing, counted};
use crate::language::resolve::ScopeId;
use crate::language::syntax::ast::{Expr, ExprKind, Unit};
use crate::language::vocab::{TimeRange, Type};
use crate::schedule::{Rational, Time};

use super::Evaluator;
use super::quantity::Quantity;

impl Evaluator<'_> {
    /// Evaluates a time, or `10% of run`.
    pub(super) fn duration(&mut self, expr: &Expr, scope: ScopeId) -> Option<Time> {
        if let Some(of) = of_run(expr) {
            let share = self.exact_ratio(of, scope)?;
            return self.share_of_run(share, expr.span);
        }
        match self.quantity(expr, Type::Duration, scope)? {
            Quantity::Time(time) => Some(time),
            Quantity::Plain(n) if n.value == 0.0 => Some(Time::ZERO),
            Quantity::Plain(n) => {
                let text = self.sources.slice(expr.span);
                let with_unit = |one, many| format!("{text} {}", agreeing(&n.value, one, many));
                let (epochs, steps) = (with_unit("epoch", "epochs"), with_unit("step", "steps"));
                self.findings.push(
                    Diagnostic::error(
                        Code::TimeWithoutUnit,
                        "a time needs a unit",
                        expr.span,
                        "epochs or steps?",
                    )
                    .help(format!("write `{epochs}` or `{steps}`"))
                    .unsafe_fix(expr.span, epochs),
                );
                None
            }
            Quantity::Ratio(n) => {
                let text = self.sources.slice(expr.span).to_owned();
                let epochs = counted(n.value * 100.0, "epoch", "epochs");
                let message = "expected a time, this is a ratio";
                let diagnostic = Diagnostic::error(Code::RatioForTime, message, expr.span, "of what?");
                self.findings.push(
                    diagnostic
                        .help(format!("write `{epochs}`, or `{text} of run`"))
                        .unsafe_fix(expr.span, epochs),
                );
                None
            }
            Quantity::Bytes(_) => self.wrong_type(expr, Type::Duration),
        }
    }

    /// Evaluates `after 3 epochs`.
    pub(super) fn after(&mut self, expr: &Expr, scope: ScopeId) -> Option<Time> {
        match expr.items() {
            [after, time @ ..] if after.is_word("after") && !time.is_empty() => {
                let time = Expr::phrase(time.to_vec())?;
                self.duration(&time, scope)
            }
            _ => self.wrong_type(expr, Type::After),
        }
    }

    pub(super) fn exact_ratio(&mut self, expr: &Expr, scope: ScopeId) -> Option<Rational> {
        match self.quantity(expr, Type::Ratio, scope)? {
            Quantity::Ratio(n) | Quantity::Plain(n) => self.exact(&n, expr.span),
            _ => self.wrong_type(expr, Type::Ratio),
        }
    }

    pub(super) fn share_of_run(&mut self, share: Rational, span: Span) -> Option<Time> {
        let Some(run) = self.run else {
            let message = "there is no run to take a share of";
            let diagnostic = Diagnostic::error(Code::LengthMissing, message, span, "of which run?");
            self.findings.push(diagnostic.help("say how long the stage is: `for 10 epochs`"));
            return None;
        };
        run.times(share)
    }

    /// Evaluates `2..26 epochs` or `10%..90% of run`: the unit of the end also applies to the start.
    pub(super) fn span(&mut self, expr: &Expr, scope: ScopeId) -> Option<TimeRange> {
        let (range, shared) = match of_run(expr) {
            Some(inner) => (inner, true),
            None => (expr, false),
        };
        let ExprKind::Range(start, end) = &range.kind else { return self.wrong_type(expr, Type::Span) };
        let ends_in_percent =
            matches!(&end.kind, ExprKind::Quantity(_, Some(unit)) if unit.value == Unit::Percent);
        if ends_in_percent && !shared {
            let text = self.sources.slice(expr.span).to_owned();
            let message = "expected a window, this is a range of ratios";
            let diagnostic = Diagnostic::error(Code::RatioForTime, message, expr.span, "of what?");
            self.findings.push(
                diagnostic.help(format!("write `{text} of run`")).fix(expr.span, format!("{text} of run")),
            );
            return None;
        }
        if shared {
            let start = match (&start.kind, &end.kind) {
                (ExprKind::Quantity(number, None), ExprKind::Quantity(_, Some(unit))) => {
                    let kind = ExprKind::Quantity(*number, Some(unit.clone()));
                    self.exact_ratio(&Expr { kind, span: start.span }, scope)?
                }
                _ => self.exact_ratio(start, scope)?,
            };
            let end = self.exact_ratio(end, scope)?;
            return Some(TimeRange {
                start: self.share_of_run(start, expr.span)?,
                end: self.share_of_run(end, expr.span)?,
            });
        }
        let unit = match &end.kind {
            ExprKind::Quantity(_, Some(unit)) => Some(unit.clone()),
            _ => None,
        };
        let start = match (&start.kind, unit) {
            (ExprKind::Quantity(number, None), Some(unit)) => {
                let kind = ExprKind::Quantity(*number, Some(unit));
                self.duration(&Expr { kind, span: start.span }, scope)?
            }
            _ => self.duration(start, scope)?,
        };
        Some(TimeRange { start, end: self.duration(end, scope)? })
    }
}

/// The `x` of `x of run`.
fn of_run(expr: &Expr) -> Option<&Expr> {
    match expr.items() {
        [share, of, run] if of.is_word("of") && run.is_word("run") => Some(share),
        _ => None,
    }
}
