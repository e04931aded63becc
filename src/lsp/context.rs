//! The cursor's place in a statement that is being typed: the enclosing blocks and brackets, and what may follow.
//!
//! Only tokens are read, because what is being typed is seldom a statement yet.

use std::ops::Range;

use super::lexer::{Kind, Token};
use super::modules::Modules;
use crate::explain::{block_of, values_of};
use crate::language::vocab::parameter_types::parameter_type;
use crate::language::vocab::{Body, SHAPES, Setting, Type, Verb, verb};

/// The place of the cursor.
pub struct Context<'a> {
    text: &'a str,
    /// The heads of the enclosing blocks, the outermost first.
    pub blocks: Vec<&'a [Token]>,
    /// The tokens from the opening brace of the innermost block to the end of that block or of the text.
    pub block: &'a [Token],
    /// The tokens of the statement before the word at the cursor.
    pub statement: &'a [Token],
    /// The indices in `statement` of brackets that are open at the cursor.
    open: Vec<usize>,
    /// The bytes of the word at the cursor, up to the cursor.
    pub typed: Range<usize>,
    /// The bytes of the string around the cursor, from its quote to the cursor.
    pub string: Option<Range<usize>>,
}

/// What may follow at the cursor.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A statement: at the top of a file, or in the block of a verb.
    Statement(Option<&'static str>),
    /// A value, of which nothing is written.
    Value(Type),
    /// The rest of a value, or a clause after it.
    Rest(Type),
    /// An argument, or its value if that may come without a name.
    Argument(&'static [Setting], Option<Type>),
    /// The name of a module.
    Module,
    /// A name that the module exports.
    Export(String),
    /// A type of `param`.
    ParameterType,
    /// The edition.
    Edition,
    /// A pattern of parameters in quotes.
    Pattern,
    /// The name of something new, or nothing known.
    Nothing,
}

/// The place of an offset in a text with these tokens; `None` in a comment.
pub fn at<'a>(text: &'a str, tokens: &'a [Token], offset: usize) -> Option<Context<'a>> {
    let before = tokens.partition_point(|token| token.range.start < offset);
    let last = before.checked_sub(1).map(|at| &tokens[at]);
    let inside = last.filter(|token| offset <= token.range.end);
    if inside.is_some_and(|token| token.kind == Kind::Comment) {
        return None;
    }
    let string = inside.filter(|token| match token.kind {
        Kind::Text { closed } => !closed || offset < token.range.end,
        _ => false,
    });
    let word = inside.filter(|token| token.kind == Kind::Word);
    let end = before - usize::from(string.is_some() || word.is_some());
    let mut start = 0;
    let mut stack: Vec<(char, usize, usize)> = Vec::new();
    for (i, token) in tokens[..end].iter().enumerate() {
        match token.kind {
            Kind::Open(c) => {
                stack.push((c, i, start));
                start = if c == '{' { i + 1 } else { start };
            }
            Kind::Close(c) => {
                let partner = stack.iter().rposition(|(open, ..)| pairs(*open, c));
                if let Some(at) = partner {
                    start = stack[at].2;
                    stack.truncate(at);
                }
            }
            Kind::Newline if stack.last().is_none_or(|(open, ..)| *open == '{') => start = i + 1,
            Kind::Comma if stack.last().is_some_and(|(open, ..)| *open == '{') => start = i + 1,
            _ => {}
        }
    }
    let blocks: Vec<&[Token]> =
        stack.iter().filter(|(open, ..)| *open == '{').map(|(_, at, start)| &tokens[*start..*at]).collect();
    let opened = stack.iter().rfind(|(open, ..)| *open == '{').map(|(_, at, _)| at + 1);
    let open = stack.iter().filter(|(open, at, _)| *open != '{' && *at >= start).map(|(_, at, _)| at - start);
    Some(Context {
        text,
        blocks,
        block: opened.map_or(&[], |from| &tokens[from..closing(tokens, from)]),
        statement: &tokens[start.min(end)..end],
        open: open.collect(),
        typed: word.map_or(offset..offset, |word| word.range.start..offset),
        string: string.map(|token| token.range.start..offset),
    })
}

/// The index of the brace that closes the block whose first token is at index `from`.
fn closing(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close('}') if depth == 0 => return i,
            Kind::Close(_) => depth = usize::saturating_sub(depth, 1),
            _ => {}
        }
    }
    tokens.len()
}

fn pairs(open: char, close: char) -> bool {
    matches!((open, close), ('{', '}') | ('(', ')') | ('[', ']'))
}

impl<'a> Context<'a> {
    /// The text of a token.
    pub fn word(&self, token: &Token) -> &'a str {
        &self.text[token.range.clone()]
    }

    /// The verb of the innermost block.
    pub fn owner(&self) -> Option<&'static Verb> {
        let head = self.blocks.last()?;
        verb(self.word(head.first()?))
    }

    /// The name of the template that the statement of the innermost block extends.
    pub fn extends(&self) -> Option<&'a str> {
        let head = self.blocks.last()?;
        let at = head.iter().position(|token| self.word(token) == "extends")?;
        head.get(at + 1).map(|token| self.word(token))
    }

    /// The name of the template around the cursor.
    pub fn template(&self) -> Option<&'a str> {
        let head =
            self.blocks.iter().find(|head| head.first().is_some_and(|t| self.word(t) == "template"))?;
        head.get(1).map(|token| self.word(token))
    }

    /// The names of the settings that the innermost block has.
    pub fn given(&self) -> Vec<&'a str> {
        let mut depth = 0;
        let mut list = Vec::new();
        for pair in self.block.windows(2) {
            match pair[0].kind {
                Kind::Open(_) => depth += 1,
                Kind::Close(_) => depth -= 1,
                Kind::Word if depth == 0 && self.word(&pair[1]) == ":" => list.push(self.word(&pair[0])),
                _ => {}
            }
        }
        list
    }

    /// Whether the statement begins with a verb that has clauses, none of whose brackets are open: their names may
    /// follow.
    pub fn clauses(&self) -> Option<&'static Verb> {
        let known = verb(self.word(self.statement.first()?))?;
        self.open.is_empty().then_some(known)
    }

    /// The words of the statement outside brackets.
    pub fn words(&self) -> Vec<&'a str> {
        self.statement.iter().filter(|t| t.kind == Kind::Word).map(|t| self.word(t)).collect()
    }

    /// What may follow at the cursor.
    pub fn expected(&self, modules: &Modules) -> Expected {
        // `use std.bert.{a, b}`
        if let Some(head) = self.blocks.last()
            && head.first().is_some_and(|token| self.word(token) == "use")
        {
            let path: String = head[1..].iter().map(|token| self.word(token)).collect();
            return Expected::Export(path.trim_end_matches('.').to_owned());
        }
        let Some((first, rest)) = self.statement.split_first() else {
            return Expected::Statement(self.owner().map(|verb| verb.name));
        };
        match self.word(first) {
            "use" => {
                let path: String = rest.iter().map(|token| self.word(token)).collect();
                match path.strip_suffix('.') {
                    Some(module) if module != "std" => Expected::Export(module.to_owned()),
                    _ => Expected::Module,
                }
            }
            "edition" if rest.is_empty() => Expected::Edition,
            "param" => self.parameter(rest),
            "let" => match rest.iter().position(|token| self.word(token) == "=") {
                Some(at) => self.value(&rest[at + 1..], Type::Params),
                None => Expected::Nothing,
            },
            _ => self.setting_or_clause(modules),
        }
    }

    fn parameter(&self, rest: &[Token]) -> Expected {
        let at = |sign: &str| rest.iter().position(|token| self.word(token) == sign);
        let ty = at(":").and_then(|colon| rest.get(colon + 1)).map(|token| self.word(token));
        match (at(":"), at("=")) {
            (None, _) => Expected::Nothing,
            (Some(_), None) if ty.is_none() => Expected::ParameterType,
            (Some(_), None) => Expected::Nothing,
            (Some(_), Some(equals)) => {
                let ty = ty.and_then(parameter_type);
                ty.map_or(Expected::Nothing, |ty| self.value(&rest[equals + 1..], ty))
            }
        }
    }

    fn setting_or_clause(&self, modules: &Modules) -> Expected {
        let outer = self.open.first().copied().unwrap_or(self.statement.len());
        let colon = self.statement[..outer].iter().position(|token| self.word(token) == ":");
        if let Some(colon) = colon {
            let ty = self.type_of_setting(&self.statement[..colon], modules);
            return ty.map_or(Expected::Nothing, |ty| self.value(&self.statement[colon + 1..], ty));
        }
        let first = self.word(&self.statement[0]);
        let in_lr = self.owner().is_some_and(|verb| matches!(verb.body, Body::LrPieces));
        if matches!(first, "target" | "factor")
            && self.owner().is_some_and(|v| ["prune", "lr"].contains(&v.name))
        {
            return self.value(&self.statement[1..], Type::Params);
        }
        if in_lr {
            return self.value(self.statement, Type::Span);
        }
        let Some(known) = verb(first) else { return Expected::Nothing };
        let clause = |token: &Token| known.clauses.iter().find(|clause| clause.name == self.word(token));
        let last = self.statement.iter().enumerate().skip(1).rev().find_map(|(i, t)| Some((i, clause(t)?)));
        let (from, setting) = last.map_or((0, known.operand), |(i, clause)| (i, Some(*clause)));
        match setting {
            Some(setting) => self.value(&self.statement[from + 1..], setting.ty),
            // Only a clause can follow.
            None => Expected::Rest(Type::NewName),
        }
    }

    /// The type of the value of a setting with this key, in the innermost block.
    fn type_of_setting(&self, key: &[Token], modules: &Modules) -> Option<Type> {
        let owner = self.owner()?;
        let name = self.word(key.first()?);
        match (owner.body, name) {
            (Body::PruneSettings(_), "target") if key.len() > 1 => return Some(Type::Ratio),
            (Body::LrPieces, "factor") => return Some(Type::Number),
            (Body::LrPieces, _) => return Some(Type::Rates),
            (Body::Metrics, _) => return Some(Type::Interval),
            _ => {}
        }
        let template = self.extends().and_then(|name| modules.find(0, name, true));
        let parameter = template.and_then(|template| modules.template_parameter(&template, name));
        if let Some(parameter) = parameter {
            return parameter_type(parameter.ty.as_deref()?);
        }
        block_of(owner).iter().find(|setting| setting.name == name).map(|setting| setting.ty)
    }

    /// What follows in a value whose tokens begin with `value`, through its open brackets.
    fn value(&self, value: &[Token], ty: Type) -> Expected {
        let offset = self.statement.len() - value.len();
        let open: Vec<usize> = self.open.iter().filter_map(|at| at.checked_sub(offset)).collect();
        let (mut ty, mut from) = (Some(ty), 0);
        for (depth, at) in open.iter().enumerate() {
            let callee = at.checked_sub(1).map(|before| self.word(&value[before]));
            let until = open.get(depth + 1).copied().unwrap_or(value.len());
            // The part after the last comma of this bracket.
            let part = last_part(&value[at + 1..until]) + at + 1;
            from = part;
            if value[*at].kind == Kind::Open('[') {
                continue;
            }
            if callee == Some("params") {
                return Expected::Pattern;
            }
            let choices = ty.map_or(&[][..], values_of);
            let named = |list: &'static [crate::language::vocab::Choice]| {
                list.iter().find(|choice| Some(choice.name) == callee)
            };
            let Some(choice) = named(choices).or_else(|| named(SHAPES)) else {
                // Parentheses of arithmetic.
                continue;
            };
            let own = &value[part..until];
            let named = own.get(1).is_some_and(|token| self.word(token) == ":");
            if named {
                let name = self.word(&own[0]);
                ty = choice.arguments.iter().find(|setting| setting.name == name).map(|setting| setting.ty);
                from = part + 2;
            } else {
                let index = commas(&value[at + 1..part]);
                ty = choice.arguments.get(index).map(|setting| setting.ty);
                if own.is_empty() && depth + 1 == open.len() {
                    return Expected::Argument(choice.arguments, ty);
                }
            }
        }
        let Some(ty) = ty else { return Expected::Nothing };
        let own = &value[from..];
        let is_joint = |token: &Token| token.kind == Kind::Operator && self.word(token) != "%";
        match own.last() {
            None => Expected::Value(ty),
            Some(last) if is_joint(last) => Expected::Value(ty),
            Some(last) if matches!(self.word(last), "except" | "after") => Expected::Value(ty),
            Some(_) => Expected::Rest(ty),
        }
    }
}

/// The index after the last comma outside inner brackets.
fn last_part(tokens: &[Token]) -> usize {
    let mut depth = 0;
    let mut part = 0;
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth -= 1,
            Kind::Comma if depth == 0 => part = i + 1,
            Kind::Newline if part == i => part = i + 1,
            _ => {}
        }
    }
    part
}

/// The number of commas outside inner brackets.
fn commas(tokens: &[Token]) -> usize {
    let mut depth = 0;
    let mut count = 0;
    for token in tokens {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth -= 1,
            Kind::Comma if depth == 0 => count += 1,
            _ => {}
        }
    }
    count
}
