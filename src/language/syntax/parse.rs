//! Parsing with the grammar, and construction of statements of the [`ast`](super::ast) from its pairs;
//! expressions are constructed in [`values`](super::values).

use pest::Parser;
use pest::iterators::Pair;

use crate::diag::{Diagnostic, FileId, Findings, Span};

use super::ast::*;
use super::brackets::{self, Comment};
use super::number::Number;
use super::yaml_text::{not_yaml, yaml_line};

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/obert.pest"]
pub(super) struct Grammar;

/// The syntax tree of a file, with its comments.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The tree, without malformed statements.
    pub file: File,
    /// All comments, in order.
    pub comments: Vec<Comment>,
}

/// Parses a file. Every malformed statement is reported and left out of the tree.
pub fn parse_file(id: FileId, text: &str, findings: &mut Findings) -> Parsed {
    let mut found = Findings::new();
    let parsed = read_file(id, text, &mut found);
    match yaml_line(text).filter(|_| found.has_errors()) {
        Some(line) => {
            findings.push(not_yaml(Span::new(id, line)));
            Parsed { file: File::default(), comments: parsed.comments }
        }
        None => {
            findings.extend(found);
            parsed
        }
    }
}

fn read_file(id: FileId, text: &str, findings: &mut Findings) -> Parsed {
    let before = findings.iter().count();
    let comments = brackets::scan(id, text, findings);
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
    let comments = brackets::scan(id, text, findings);
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

/// Builds the tree of a text.
pub(super) struct Builder<'a> {
    pub(super) id: FileId,
    pub(super) text: &'a str,
    comments: &'a [Comment],
    pub(super) findings: &'a mut Findings,
}

pub(super) type P<'a> = Pair<'a, Rule>;

impl Builder<'_> {
    pub(super) fn span(&self, pair: &P) -> Span {
        let span = pair.as_span();
        let (start, mut end) = (span.start(), span.end());
        // A pair may end with space and comments that the grammar skipped before a missing optional part.
        loop {
            end = start + self.text[start..end].trim_end().len();
            let last = self.comments.partition_point(|c| (c.span.end as usize) < end);
            match self.comments.get(last).map(|c| c.span.range()) {
                Some(comment) if comment.end == end && comment.start > start => end = comment.start,
                _ => return Span::new(self.id, start..end),
            }
        }
    }

    pub(super) fn word(&self, pair: P) -> Word {
        Spanned::new(pair.as_str().to_owned(), self.span(&pair))
    }

    fn file(&mut self, pair: P) -> File {
        let (mut items, mut failed_imports) = (Vec::new(), Vec::new());
        for pair in pair.into_inner() {
            let item = match pair.as_rule() {
                Rule::edition => self.edition(pair).map(Item::Edition),
                Rule::import => Some(Item::Import(self.import(pair))),
                Rule::parameter => self.parameter(pair).map(Item::Parameter),
                Rule::binding => self.binding(pair).map(Item::Binding),
                Rule::entry => self.entry(pair).map(Item::Entry),
                Rule::malformed => {
                    self.malformed(&pair, Rule::lone_item);
                    failed_imports.extend(words_of_use(pair.as_str()));
                    None
                }
                _ => None,
            };
            items.extend(item);
        }
        File { items, failed_imports }
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
                Rule::between => range = self.between(part),
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
                Rule::plain | Rule::ramp => operands.push(self.item(part)??),
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

    /// The `##` lines directly above a statement.
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
}

/// The words of a statement that begins with `use`.
fn words_of_use(statement: &str) -> impl Iterator<Item = String> {
    let mut words = statement.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
    let is_use = words.next() == Some("use");
    words.filter(move |_| is_use).map(str::to_owned)
}
