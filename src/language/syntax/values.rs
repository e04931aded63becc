//! Pairs of the grammar turned into values.

use crate::diag::{Code, Diagnostic};

use super::ast::{Argument, Expr, ExprKind, Operator, Spanned, Unit};
use super::balance::DEEPEST;
use super::number::Number;
use super::parse::{Builder, P, Rule};

impl Builder<'_> {
    pub(super) fn phrase(&mut self, pair: P) -> Option<Expr> {
        let items: Option<Vec<_>> = pair.into_inner().filter_map(|p| self.item(p)).collect();
        Expr::phrase(items?)
    }

    /// One of the values side by side. The outer `None`: this pair is none.
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
        self.pairwise(pair, Rule::range, Self::range, ExprKind::Ramp)
    }

    pub(super) fn range(&mut self, pair: P) -> Option<Expr> {
        self.pairwise(pair, Rule::sum, Self::sum, ExprKind::Range)
    }

    /// One operand, or two joined by an arrow or by dots.
    pub(super) fn pairwise(
        &mut self,
        pair: P,
        inner: Rule,
        build: fn(&mut Self, P) -> Option<Expr>,
        join: fn(Box<Expr>, Box<Expr>) -> ExprKind,
    ) -> Option<Expr> {
        let span = self.span(&pair);
        let mut parts = pair.into_inner().filter(|p| p.as_rule() == inner);
        let first = build(self, parts.next()?)?;
        match parts.next() {
            None => Some(first),
            Some(second) => {
                let second = build(self, second)?;
                Some(Expr { kind: join(Box::new(first), Box::new(second)), span })
            }
        }
    }

    pub(super) fn sum(&mut self, pair: P) -> Option<Expr> {
        self.chain(pair, Self::product)
    }

    pub(super) fn product(&mut self, pair: P) -> Option<Expr> {
        self.chain(pair, Self::unary)
    }

    /// `a op b op c`, grouped from the left.
    pub(super) fn chain(&mut self, pair: P, operand: fn(&mut Self, P) -> Option<Expr>) -> Option<Expr> {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner();
        let mut left = operand(self, parts.next()?)?;
        let mut length = 1;
        while let (Some(op), Some(right)) = (parts.next(), parts.next()) {
            let operator = match op.as_rule() {
                Rule::plus => Operator::Plus,
                Rule::minus => Operator::Minus,
                Rule::star => Operator::Times,
                _ => Operator::Over,
            };
            let right = operand(self, right)?;
            let span = left.span.to(right.span);
            left = Expr { kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)), span };
            length += 1;
            if length > DEEPEST {
                self.findings.push(
                    Diagnostic::error(
                        Code::NestingTooDeep,
                        format!("more than {DEEPEST} operands in one expression"),
                        whole,
                        "this expression",
                    )
                    .help("write the result, or name parts of it with `let`"),
                );
                return None;
            }
        }
        Some(left)
    }

    pub(super) fn unary(&mut self, pair: P) -> Option<Expr> {
        let span = self.span(&pair);
        let mut negative = false;
        let mut value = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::negate => negative = true,
                _ => value = self.primary(part),
            }
        }
        let value = value?;
        Some(if negative { Expr { kind: ExprKind::Negate(Box::new(value)), span } } else { value })
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

    /// A string's text with its escapes replaced.
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
