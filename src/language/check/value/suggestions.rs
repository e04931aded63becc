//! Suggestions for values that could not be read: misspelt units and clauses, windows and patterns in another
//! notation.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::syntax::ast::{Expr, ExprKind, Unit};
use crate::language::vocab::{SHAPES, Type, VERBS};

use super::Evaluator;

impl Evaluator<'_> {
    pub(super) fn stray_word<T>(&mut self, item: &Expr, ty: Type) -> Option<T> {
        // A misspelt unit, or a misspelt clause that was parsed as a part of this value.
        let units = ["epochs", "steps", "KiB", "MiB", "GiB", "except", "expect"];
        let clauses = VERBS.iter().flat_map(|v| v.clauses).map(|c| c.name);
        let word = item.as_word().map_or("", |w| w.value.as_str());
        let near = clause_of_other_tools(word).or_else(|| nearest(word, units.into_iter().chain(clauses)));
        let near = near.filter(|near| *near != word);
        let mut diagnostic = Diagnostic::error(
            Code::StrayOperand,
            format!("expected {}", ty.described()),
            item.span,
            "this does not belong here",
        );
        diagnostic = match near {
            Some(unit) => diagnostic.help(format!("did you mean `{unit}`?")).fix(item.span, unit),
            None => match self.suggested_form(item, ty) {
                Some((help, Some(written))) => diagnostic.help(help).fix(item.span, written),
                Some((help, None)) => diagnostic.help(help),
                None => diagnostic.help("remove it"),
            },
        };
        self.findings.push(diagnostic);
        None
    }

    /// Help and a replacement for an unexpected part of a value.
    fn suggested_form(&self, item: &Expr, ty: Type) -> Option<(String, Option<String>)> {
        match &item.kind {
            ExprKind::Call(word, arguments)
                if arguments.is_empty() && SHAPES.iter().any(|shape| shape.name == word.value) =>
            {
                Some((format!("write `{}` without parentheses", word.value), Some(word.value.clone())))
            }
            ExprKind::List(_) if ty == Type::Params => {
                let numbers: String = self.sources.slice(item.span).split_whitespace().collect();
                let numbers = numbers.trim_matches(['[', ']']);
                let is_number = |c: char| c.is_ascii_digit() || c == ',';
                let layers = if numbers.chars().all(is_number) { numbers } else { "0,1" };
                let pattern = format!("params(\"**.layer.{{{layers}}}.**\")");
                Some((format!("layers are named by a pattern, as `{pattern}`"), None))
            }
            _ => None,
        }
    }

    /// `from 0 to 2 epochs`: reports that a window reads `over 0..2 epochs`.
    pub(super) fn window_in_words(&mut self, items: &[Expr]) -> bool {
        let [first, start, to, end, ..] = items else { return false };
        let leads = first.as_word().and_then(|word| clause_of_other_tools(&word.value)) == Some("over");
        if !leads || !["to", "until", "and"].iter().any(|word| to.is_word(word)) {
            return false;
        }
        let text = |e: &Expr| self.sources.slice(e.span);
        let written = format!("over {}..{}", text(start), text(end));
        let whole = first.span.to(end.span);
        let diagnostic =
            Diagnostic::error(Code::StrayOperand, "a window has two dots", whole, "written in words");
        self.findings.push(diagnostic.help(format!("write `{written}`")).fix(whole, written));
        true
    }

    /// Reports a unit after an expression that is not a number literal, as in `n epochs` for a parameter `n`, and
    /// suggests `n * 1 epoch`.
    pub(super) fn unit_behind_a_name(&mut self, items: &[Expr]) -> bool {
        let [value, unit] = items else { return false };
        let Some(unit_word) = unit.as_word().filter(|w| Unit::from_word(&w.value).is_some()) else {
            return false;
        };
        let one = match unit_word.value.as_str() {
            "epochs" => "epoch",
            "steps" => "step",
            other => other,
        };
        let text = |e: &Expr| self.sources.slice(e.span);
        let written = match &value.kind {
            ExprKind::Range(start, end) => match &start.kind {
                ExprKind::Quantity(n, None) if n.value != 0.0 => {
                    format!("{} {}..{} * 1 {one}", text(start), unit_word.value, text(end))
                }
                _ => format!("{}..{} * 1 {one}", text(start), text(end)),
            },
            _ => format!("{} * 1 {one}", text(value)),
        };
        let whole = value.span.to(unit.span);
        let message = "a unit follows a number only";
        self.findings.push(
            Diagnostic::error(Code::StrayOperand, message, unit.span, "after a name")
                .help(format!("write `{written}`"))
                .fix(whole, written),
        );
        true
    }
}

/// Help and a replacement for a number with a superfluous or missing unit.
pub(super) fn suggested_unit(expr: &Expr, ty: Type, text: &str) -> Option<(String, String)> {
    let ExprKind::Quantity(_, unit) = &expr.kind else { return None };
    let counts = matches!(ty, Type::Count | Type::Whole);
    let number = text.trim_end_matches(|c: char| c == '%' || c.is_alphabetic()).trim_end();
    match unit {
        Some(unit) if counts && unit.value != Unit::Percent => {
            Some((format!("write `{number}`: it counts, and has no unit"), number.to_owned()))
        }
        None if ty == Type::Bytes => Some((format!("write `{text} GiB`"), format!("{text} GiB"))),
        _ => None,
    }
}

/// The clause that other tools call `word`.
fn clause_of_other_tools(word: &str) -> Option<&'static str> {
    match word {
        "frequency" | "interval" | "each" | "update_frequency" => Some("every"),
        "from" | "during" | "between" | "within" | "in" => Some("over"),
        _ => None,
    }
}
