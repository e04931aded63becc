//! The head of a recipe, template, stage or branch: `NAME extends TEMPLATE for 30 epochs`.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::language::syntax::ast::{Entry, Expr, ExprKind, Operator, Spanned, Word};
use crate::language::vocab::verb;

/// The parts of a head.
#[derive(Default)]
pub struct Head {
    pub name: Option<Word>,
    pub extends: Option<Word>,
    pub length: Option<Expr>,
    pub from: Option<Expr>,
}

/// Reads `NAME extends TEMPLATE for TIME`; other operands are reported.
pub fn head(entry: &Entry, findings: &mut Findings) -> Head {
    let mut head = Head::default();
    let clauses: Vec<&str> =
        verb(&entry.verb.value).map_or(vec![], |v| v.clauses.iter().map(|c| c.name).collect());
    let mut operands = entry.operands.iter().peekable();
    if let Some(first) = operands.peek()
        && let Some(name) = intended_name(first)
    {
        let what = &entry.verb.value;
        findings.push(
            Diagnostic::error(
                Code::StrayOperand,
                format!("the name of a {what} is one word"),
                first.span,
                "letters, digits and `_`",
            )
            .help(format!("write `{what} {name}`"))
            .fix(first.span, name.clone()),
        );
        head.name = Some(Spanned::new(name, first.span));
        operands.next();
    }
    if let Some(first) =
        operands.peek().and_then(|o| o.as_word()).filter(|w| !clauses.contains(&w.value.as_str()))
    {
        head.name = Some((*first).clone());
        operands.next();
    }
    while let Some(operand) = operands.next() {
        let word = operand.as_word().map(|w| w.value.as_str()).unwrap_or("");
        if !clauses.contains(&word) {
            let near = nearest(word, clauses.iter().copied()).map(|n| format!("did you mean `{n}`?"));
            let form = verb(&entry.verb.value).map_or("", |v| v.form);
            let message = format!("`{}` does not take this", entry.verb.value);
            let diagnostic = Diagnostic::error(Code::StrayOperand, message, operand.span, "does not fit");
            findings.push(diagnostic.help(near.unwrap_or(format!("the form is `{form}`"))));
            continue;
        }
        let mut value = Vec::new();
        while let Some(next) = operands.next_if(|o| !clauses.iter().any(|c| o.is_word(c))) {
            value.push(next.clone());
        }
        let Some(value) = Expr::phrase(value) else {
            missing(entry, operand.span, format!("`{word}` needs a value after it"), findings);
            continue;
        };
        match word {
            "extends" => match value.as_word() {
                Some(name) => head.extends = Some(name.clone()),
                None => missing(entry, value.span, "`extends` needs the name of a template".into(), findings),
            },
            "from" => head.from = Some(value),
            _ => head.length = Some(value),
        }
    }
    if head.name.is_none() {
        missing(entry, entry.verb.span, format!("this {} has no name", entry.verb.value), findings);
    }
    head
}

/// The valid name that was probably intended by `"squad90"` (`squad90`) or `squad-90` (`squad_90`), for the help.
fn intended_name(expr: &Expr) -> Option<String> {
    let text = match &expr.kind {
        ExprKind::Text(text) => text.clone(),
        ExprKind::Binary(Operator::Minus, left, right) => {
            format!("{}_{}", name_part(left)?, name_part(right)?)
        }
        _ => return None,
    };
    let name: String = text.trim().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    name.starts_with(|c: char| c.is_alphabetic()).then_some(name)
}

fn name_part(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Quantity(number, None) => number.as_whole().map(|n| n.to_string()),
        ExprKind::Name(_) => expr.as_word().map(|w| w.value.clone()),
        _ => intended_name(expr),
    }
}

fn missing(entry: &Entry, span: Span, message: String, findings: &mut Findings) {
    let form = verb(&entry.verb.value).map_or("", |v| v.form);
    let diagnostic = Diagnostic::error(Code::MissingOperand, message, span, "here");
    findings.push(diagnostic.help(format!("the form is `{form}`")));
}
