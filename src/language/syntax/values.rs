//! Construction of expressions from the grammar's pairs.

use std::iter::Peekable;

use pest::iterators::Pairs;

use crate::diag::{Code, Diagnostic};

use super::ast::{Argument, Expr, ExprKind, Operator, Spanned, Unit};
use super::brackets::DEEPEST;
use super::number::Number;
use super::parse::{Builder, P, Rule};

/// The operands and operators of a `ramp`, in order.
type Operands<'a> = Peekable<Pairs<'a, Rule>>;

impl Builder<'_> {
    pub(super) fn phrase(&mut self, pair: P) -> Option<Expr> {
        let items: Option<Vec<_>> = pair.into_inner().filter_map(|p| self.item(p)).collect();
        Expr::phrase(items?)
    }

    /// An item of a phrase. The outer `None` means that this pair is none.
    pub(super) fn item(&mut self, pair: P) -> Option<Option<Expr>> {
        match pair.as_rule() {
            Rule::ramp => Some(self.ramp(pair)),
            Rule::plain => {
                let inner = pair.into_inner().next()?;
                Some(match inner.as_rule() {
                    Rule::word => {
                        let word = self.word(inner);
                        Some(Expr { span: word.span, kind: ExprKind::Name(vec![word]) })
                    }
                    _ => self.quantity(inner),
                })
            }
            _ => None,
        }
    }

    pub(super) fn ramp(&mut self, pair: P) -> Option<Expr> {
        self.pairwise(&mut pair.into_inner().peekable(), Rule::arrow, Self::range, ExprKind::Ramp)
    }

    /// The range of a `param` declaration.
    pub(super) fn between(&mut self, pair: P) -> Option<Expr> {
        self.range(&mut pair.into_inner().peekable())
    }

    fn range(&mut self, parts: &mut Operands) -> Option<Expr> {
        self.pairwise(parts, Rule::dots, Self::sum, ExprKind::Range)
    }

    /// One operand, or two joined by an arrow or by dots.
    fn pairwise(
        &mut self,
        parts: &mut Operands,
        joint: Rule,
        operand: fn(&mut Self, &mut Operands) -> Option<Expr>,
        join: fn(Box<Expr>, Box<Expr>) -> ExprKind,
    ) -> Option<Expr> {
        let first = operand(self, parts)?;
        if parts.next_if(|p| p.as_rule() == joint).is_none() {
            return Some(first);
        }
        let second = operand(self, parts)?;
        let span = first.span.to(second.span);
        Some(Expr { kind: join(Box::new(first), Box::new(second)), span })
    }

    fn sum(&mut self, parts: &mut Operands) -> Option<Expr> {
        self.chain(parts, [(Rule::plus, Operator::Plus), (Rule::minus, Operator::Minus)], Self::product)
    }

    fn product(&mut self, parts: &mut Operands) -> Option<Expr> {
        self.chain(parts, [(Rule::star, Operator::Times), (Rule::slash, Operator::Over)], Self::unary)
    }

    /// Parses `a op b op c`, left-associative.
    fn chain(
        &mut self,
        parts: &mut Operands,
        operators: [(Rule, Operator); 2],
        operand: fn(&mut Self, &mut Operands) -> Option<Expr>,
    ) -> Option<Expr> {
        let mut left = operand(self, parts)?;
        let mut length = 1;
        let next = |parts: &mut Operands| {
            let rule = parts.peek()?.as_rule();
            operators.into_iter().find(|(operator, _)| *operator == rule)
        };
        while let Some((_, operator)) = next(parts) {
            parts.next();
            let right = operand(self, parts)?;
            let span = left.span.to(right.span);
            left = Expr { kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)), span };
            length += 1;
            if length > DEEPEST {
                let message = format!("more than {DEEPEST} operands in one expression");
                let diagnostic = Diagnostic::error(Code::NestingTooDeep, message, span, "this expression");
                self.findings.push(diagnostic.help("write the result, or name parts of it with `let`"));
                return None;
            }
        }
        Some(left)
    }

    fn unary(&mut self, parts: &mut Operands) -> Option<Expr> {
        let negate = parts.next_if(|p| p.as_rule() == Rule::negate).map(|p| self.span(&p));
        let value = self.primary(parts.next()?)?;
        Some(match negate {
            Some(start) => Expr { span: start.to(value.span), kind: ExprKind::Negate(Box::new(value)) },
            None => value,
        })
    }

    pub(super) fn primary(&mut self, pair: P) -> Option<Expr> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::quantity => return self.quantity(pair),
            Rule::regex => {
                let string = pair.into_inner().find(|p| p.as_rule() == Rule::string)?;
                ExprKind::Regex(raw_text(&string).to_owned())
            }
            Rule::string => ExprKind::Text(self.text_of(pair)),
            Rule::name => ExprKind::Name(pair.into_inner().map(|w| self.word(w)).collect()),
            Rule::call => {
                let mut parts = pair.into_inner();
                let word = parts.next().map(|w| self.word(w))?;
                let arguments: Option<Vec<_>> = parts.map(|p| self.argument(p)).collect();
                ExprKind::Call(word, arguments?)
            }
            Rule::list => {
                let items: Option<Vec<_>> = pair.into_inner().map(|p| self.phrase(p)).collect();
                ExprKind::List(items?)
            }
            Rule::paren => {
                let inner = pair.into_inner().find(|p| p.as_rule() == Rule::ramp)?;
                ExprKind::Paren(Box::new(self.ramp(inner)?))
            }
            _ => return None,
        };
        Some(Expr { kind, span })
    }

    pub(super) fn argument(&mut self, pair: P) -> Option<Argument> {
        let (mut name, mut value) = (None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::word => name = Some(self.word(part)),
                Rule::phrase => value = self.phrase(part),
                _ => {}
            }
        }
        Some(Argument { name, value: value? })
    }

    pub(super) fn quantity(&mut self, pair: P) -> Option<Expr> {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let number = self.number(&parts.next()?)?;
        let unit = parts.next().and_then(|p| Some(Spanned::new(Unit::from_word(p.as_str())?, self.span(&p))));
        Some(Expr { kind: ExprKind::Quantity(number, unit), span })
    }

    pub(super) fn number(&mut self, pair: &P) -> Option<Number> {
        let number = Number::parse(pair.as_str());
        if number.is_none() {
            self.findings.push(
                Diagnostic::error(
                    Code::NumberTooLarge,
                    "this number is too large to be represented",
                    self.span(pair),
                    "larger than any double",
                )
                .help("the largest is about 1.8e308"),
            );
        }
        number
    }

    /// The text of a string literal, with escapes replaced.
    pub(super) fn text_of(&mut self, string: P) -> String {
        let span = self.span(&string);
        let mut text = String::new();
        let mut chars = raw_text(&string).chars();
        while let Some(c) = chars.next() {
            match (c, c == '\\') {
                (c, false) => text.push(c),
                (_, true) => match chars.next() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    other => self.findings.push(
                        Diagnostic::error(
                            Code::UnknownEscape,
                            format!("`\\{}` is not an escape", other.unwrap_or(' ')),
                            span,
                            "in this string",
                        )
                        .help(r#"write \\ for a backslash; the escapes are \" \\ \n \t"#),
                    ),
                },
            }
        }
        text
    }
}

/// The text between a string's quotes.
fn raw_text<'a>(string: &P<'a>) -> &'a str {
    let text = string.as_str();
    text.get(1..text.len().saturating_sub(1)).unwrap_or("")
}
