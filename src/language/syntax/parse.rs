//! The grammar applied, and its pairs turned into the [`ast`](super::ast).

use pest::Parser;
use pest::iterators::Pair;

use crate::diag::{Code, Diagnostic, FileId, Findings, Span, nearest};

use super::ast::*;
use super::balance::{self, Comment, DEEPEST};
use super::number::Number;

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/obert.pest"]
struct Grammar;

/// A file's tree with its comments.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The tree; statements that are malformed are left out.
    pub file: File,
    /// All comments, in order.
    pub comments: Vec<Comment>,
}

/// Parses a whole file. Every malformed statement is reported and left out of the tree.
pub fn parse_file(id: FileId, text: &str, findings: &mut Findings) -> Parsed {
    let before = findings.iter().count();
    let comments = balance::scan(id, text, findings);
    if findings.iter().skip(before).any(Diagnostic::is_error) {
        return Parsed { file: File::default(), comments };
    }
    let mut builder = Builder { id, text, comments: &comments, findings };
    let file = match Grammar::parse(Rule::file, text) {
        Ok(mut pairs) => pairs.next().map(|file| builder.file(file)).unwrap_or_default(),
        Err(error) => {
            builder.syntax_error(&error, 0..text.len());
            File::default()
        }
    };
    Parsed { file, comments }
}

/// Parses one value, such as the right side of `--set name=value`.
pub fn parse_phrase(id: FileId, text: &str, findings: &mut Findings) -> Option<Expr> {
    let before = findings.iter().count();
    let comments = balance::scan(id, text, findings);
    if findings.iter().skip(before).any(Diagnostic::is_error) {
        return None;
    }
    let mut builder = Builder { id, text, comments: &comments, findings };
    match Grammar::parse(Rule::lone_phrase, text) {
        Ok(mut pairs) => {
            let phrase = pairs.next()?.into_inner().find(|p| p.as_rule() == Rule::phrase)?;
            builder.phrase(phrase)
        }
        Err(error) => {
            builder.syntax_error(&error, 0..text.len());
            None
        }
    }
}

/// Words that only begin statements at the top of a file.
const TOP_WORDS: [&str; 6] = ["edition", "use", "param", "let", "recipe", "template"];

struct Builder<'a> {
    id: FileId,
    text: &'a str,
    comments: &'a [Comment],
    findings: &'a mut Findings,
}

type P<'a> = Pair<'a, Rule>;

impl Builder<'_> {
    fn span(&self, pair: &P) -> Span {
        let span = pair.as_span();
        let trimmed = span.as_str().trim_end().len();
        Span::new(self.id, span.start()..span.start() + trimmed)
    }

    fn word(&self, pair: P) -> Word {
        Spanned::new(pair.as_str().to_owned(), self.span(&pair))
    }

    fn file(&mut self, pair: P) -> File {
        let mut items = Vec::new();
        for pair in pair.into_inner() {
            let item = match pair.as_rule() {
                Rule::edition => self.edition(pair).map(Item::Edition),
                Rule::import => Some(Item::Import(self.import(pair))),
                Rule::parameter => self.parameter(pair).map(Item::Parameter),
                Rule::binding => self.binding(pair).map(Item::Binding),
                Rule::entry => self.entry(pair).map(Item::Entry),
                Rule::malformed => {
                    self.malformed(&pair, Rule::lone_item);
                    None
                }
                _ => None,
            };
            items.extend(item);
        }
        File { items }
    }

    fn edition(&mut self, pair: P) -> Option<Spanned<Number>> {
        let number = pair.into_inner().find(|p| p.as_rule() == Rule::number)?;
        let span = self.span(&number);
        Some(Spanned::new(self.number(&number)?, span))
    }

    fn import(&mut self, pair: P) -> Import {
        let span = self.span(&pair);
        let mut from = ImportPath::Dotted(Vec::new());
        let mut names = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::string => {
                    let span = self.span(&part);
                    from = ImportPath::File(Spanned::new(self.text_of(part), span));
                }
                Rule::name => from = ImportPath::Dotted(part.into_inner().map(|w| self.word(w)).collect()),
                Rule::imported => names = Some(part.into_inner().map(|w| self.word(w)).collect()),
                _ => {}
            }
        }
        Import { from, names, span }
    }

    fn parameter(&mut self, pair: P) -> Option<Parameter> {
        let span = self.span(&pair);
        let mut words = Vec::new();
        let (mut default, mut range) = (None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::word => words.push(self.word(part)),
                Rule::default => default = self.phrase(part),
                Rule::range => range = self.range(part),
                _ => {}
            }
        }
        let [name, ty] = <[Word; 2]>::try_from(words).ok()?;
        Some(Parameter { name, ty, default, range, doc: self.doc_above(span), span })
    }

    fn binding(&mut self, pair: P) -> Option<Binding> {
        let span = self.span(&pair);
        let (mut name, mut value) = (None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::word => name = Some(self.word(part)),
                Rule::phrase => value = self.phrase(part),
                _ => {}
            }
        }
        Some(Binding { name: name?, value: value?, doc: self.doc_above(span), span })
    }

    fn entry(&mut self, pair: P) -> Option<Entry> {
        let span = self.span(&pair);
        let (mut verb, mut operands, mut body) = (None, Vec::new(), None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::word => verb = Some(self.word(part)),
                Rule::ramp => operands.push(self.ramp(part)?),
                Rule::block => body = Some(self.block(part)),
                _ => {}
            }
        }
        let verb = verb?;
        let head = operands.last().map_or(verb.span, |last: &Expr| verb.span.to(last.span));
        Some(Entry { verb, operands, body, doc: self.doc_above(span), head, span })
    }

    fn block(&mut self, pair: P) -> Block {
        let span = self.span(&pair);
        let mut members = Vec::new();
        for part in pair.into_inner() {
            let member = match part.as_rule() {
                Rule::parameter => self.parameter(part).map(Member::Parameter),
                Rule::setting => self.setting(part).map(Member::Setting),
                Rule::entry => self.entry(part).map(Member::Entry),
                Rule::malformed => {
                    self.malformed(&part, Rule::lone_member);
                    None
                }
                _ => None,
            };
            members.extend(member);
        }
        Block { members, span }
    }

    fn setting(&mut self, pair: P) -> Option<Setting> {
        let span = self.span(&pair);
        let (mut key, mut value) = (None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::phrase if key.is_none() => key = Some(self.phrase(part)?),
                Rule::phrase => value = self.phrase(part),
                _ => {}
            }
        }
        Some(Setting { key: key?, value: value?, span })
    }

    fn phrase(&mut self, pair: P) -> Option<Expr> {
        let items: Option<Vec<_>> =
            pair.into_inner().filter(|p| p.as_rule() == Rule::ramp).map(|p| self.ramp(p)).collect();
        Expr::phrase(items?)
    }

    fn ramp(&mut self, pair: P) -> Option<Expr> {
        self.pairwise(pair, Rule::range, Self::range, ExprKind::Ramp)
    }

    fn range(&mut self, pair: P) -> Option<Expr> {
        self.pairwise(pair, Rule::sum, Self::sum, ExprKind::Range)
    }

    /// One operand, or two joined by an arrow or by dots.
    fn pairwise(
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

    fn sum(&mut self, pair: P) -> Option<Expr> {
        self.chain(pair, Self::product)
    }

    fn product(&mut self, pair: P) -> Option<Expr> {
        self.chain(pair, Self::unary)
    }

    /// `a op b op c`, grouped from the left.
    fn chain(&mut self, pair: P, operand: fn(&mut Self, P) -> Option<Expr>) -> Option<Expr> {
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

    fn unary(&mut self, pair: P) -> Option<Expr> {
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

    fn primary(&mut self, pair: P) -> Option<Expr> {
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

    fn argument(&mut self, pair: P) -> Option<Argument> {
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

    fn quantity(&mut self, pair: P) -> Option<Expr> {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let number = self.number(&parts.next()?)?;
        let unit = parts.next().and_then(|p| Some(Spanned::new(Unit::from_word(p.as_str())?, self.span(&p))));
        Some(Expr { kind: ExprKind::Quantity(number, unit), span })
    }

    fn number(&mut self, pair: &P) -> Option<Number> {
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
    fn text_of(&mut self, string: P) -> String {
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

    /// The `##` lines that stand directly above a statement.
    fn doc_above(&self, span: Span) -> String {
        let mut lines: Vec<&str> = Vec::new();
        let mut below = span.start as usize;
        let last = self.comments.partition_point(|c| c.span.start < span.start);
        for comment in self.comments[..last].iter().rev() {
            let between = &self.text[comment.span.end as usize..below];
            let adjacent = between.trim().is_empty() && between.matches('\n').count() == 1;
            match comment.text.strip_prefix("##") {
                Some(line) if adjacent => lines.push(line.strip_prefix(' ').unwrap_or(line)),
                _ => break,
            }
            below = comment.span.start as usize;
        }
        lines.reverse();
        lines.join("\n")
    }

    /// Parses a malformed statement alone, to learn what was expected where.
    fn malformed(&mut self, pair: &P, alone: Rule) {
        let span = self.span(pair);
        let text = &self.text[span.range()];
        match Grammar::parse(alone, text) {
            Err(error) => self.syntax_error(&error, span.range()),
            Ok(_) => self.push_syntax_error(span, "this statement does not end here", None),
        }
    }

    fn syntax_error(&mut self, error: &pest::error::Error<Rule>, within: std::ops::Range<usize>) {
        let offset = match error.location {
            pest::error::InputLocation::Pos(at) => at,
            pest::error::InputLocation::Span((at, _)) => at,
        };
        let at = (within.start + offset).min(self.text.len());
        let rest = &self.text[at..within.end.max(at)];
        let width = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let width = width.max(rest.chars().next().map_or(0, char::len_utf8));
        let expected = expected_words(error);
        let found = match &self.text[at..at + width] {
            "" | "\n" | "\r" => "the line ends here".to_owned(),
            text => format!("`{text}` does not fit here"),
        };
        let statement = &self.text[within.clone()];
        let first = statement.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        let help = match nearest(first, TOP_WORDS) {
            Some(word) if word != first => Some(format!("did you mean `{word}`?")),
            _ if !expected.is_empty() => Some(format!("expected {expected}")),
            _ => None,
        };
        let span = Span::new(self.id, at..at + width);
        self.push_syntax_error(span, &found, help);
    }

    fn push_syntax_error(&mut self, span: Span, message: &str, help: Option<String>) {
        let form = "a statement is `name: value`, or a verb with what it needs: `hold encoder_linears`";
        let diagnostic = Diagnostic::error(Code::Malformed, message, span, "cannot be read");
        self.findings.push(diagnostic.help(help.unwrap_or_else(|| form.to_owned())));
    }
}

/// The text between a string's quotes.
fn raw_text<'a>(string: &P<'a>) -> &'a str {
    let text = string.as_str();
    text.get(1..text.len().saturating_sub(1)).unwrap_or("")
}

/// What the grammar expected, in words a user knows.
fn expected_words(error: &pest::error::Error<Rule>) -> String {
    let pest::error::ErrorVariant::ParsingError { positives, .. } = &error.variant else {
        return String::new();
    };
    let mut words: Vec<&str> = Vec::new();
    for rule in positives {
        let word = match rule {
            Rule::number | Rule::quantity => "a number",
            Rule::word => "a name",
            Rule::string | Rule::text => "a string",
            Rule::phrase
            | Rule::ramp
            | Rule::range
            | Rule::sum
            | Rule::product
            | Rule::unary
            | Rule::default => "a value",
            Rule::block => "`{`",
            Rule::imported => "`{` and names",
            Rule::EOI => "the end of the statement",
            Rule::unit => "a unit",
            Rule::argument => "an argument",
            _ => continue,
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
