//! Formatting of recipes: an indent of two spaces, single spaces between tokens, comments and blank lines
//! preserved.
//!
//! A block on one line stays on one line if it fits; every other statement has its own line. Lists and arguments
//! are broken over lines only if they are too long or contain comments.

use crate::diag::Span;

use super::ast::{
    Argument, Binding, Block, Entry, Expr, ExprKind, File, Import, ImportPath, Item, Member, Operator,
    Parameter, Setting, Unit, Word,
};
use super::brackets::Comment;
use super::parse::Parsed;

/// The line length, in characters, beyond which lists and blocks are broken.
const WIDTH: usize = 100;

/// Formats a file that was parsed without errors.
pub fn format(text: &str, parsed: &Parsed) -> String {
    let mut printer =
        Printer { text, comments: &parsed.comments, next: 0, out: String::new(), indent: 0, last: None };
    printer.file(&parsed.file);
    printer.out
}

struct Printer<'a> {
    text: &'a str,
    comments: &'a [Comment],
    /// The index of the next comment to print.
    next: usize,
    out: String,
    indent: usize,
    /// The end, in the source, of what was printed last; `None` at the start of a block.
    last: Option<u32>,
}

impl<'a> Printer<'a> {
    fn file(&mut self, file: &File) {
        for item in &file.items {
            let (start, end) = item_bounds(item);
            self.line_start(start);
            match item {
                Item::Edition(number) => {
                    self.out.push_str("edition ");
                    self.out.push_str(self.slice(number.span));
                }
                Item::Import(import) => self.import(import),
                Item::Parameter(parameter) => self.parameter(parameter),
                Item::Binding(binding) => self.binding(binding),
                Item::Entry(entry) => self.entry(entry),
            }
            self.line_end(end);
        }
        self.comments_before(u32::MAX);
    }

    fn slice(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    /// Prints the comments and blank lines before a statement, and its indent.
    fn line_start(&mut self, start: u32) {
        self.comments_before(start);
        self.paragraph(start);
        self.indentation();
    }

    /// Prints the comment at the end of a statement's line, and the newline.
    fn line_end(&mut self, end: u32) {
        self.last = Some(end);
        self.trailing(end);
        self.out.push('\n');
    }

    /// Prints the comment on the line of `end`.
    fn trailing(&mut self, end: u32) {
        let Some(comment) = self.comments.get(self.next) else { return };
        let between = &self.text[end as usize..(comment.span.start as usize).max(end as usize)];
        let only_space = between.chars().all(|c| matches!(c, ' ' | '\t' | ','));
        if comment.span.start >= end && only_space {
            self.out.push_str("  ");
            self.out.push_str(&comment.text);
            self.last = Some(comment.span.end);
            self.next += 1;
        }
    }

    /// Prints the comments before `start`, each on its own line.
    fn comments_before(&mut self, start: u32) {
        while let Some(comment) = self.comments.get(self.next).filter(|c| c.span.start < start) {
            let span = comment.span;
            self.paragraph(span.start);
            self.indentation();
            self.out.push_str(&comment.text);
            self.out.push('\n');
            self.last = Some(span.end);
            self.next += 1;
        }
    }

    /// Prints one blank line if the source has any, except at the start of a block.
    fn paragraph(&mut self, start: u32) {
        let Some(last) = self.last else { return };
        let between = self.text.get(last as usize..start as usize).unwrap_or("");
        let lines = between.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count();
        if lines >= 2 {
            self.out.push('\n');
        }
    }

    fn indentation(&mut self) {
        for _ in 0..self.indent {
            self.out.push_str("  ");
        }
    }

    fn column(&self) -> usize {
        self.out.rsplit('\n').next().unwrap_or("").chars().count()
    }

    fn import(&mut self, import: &Import) {
        self.out.push_str("use ");
        match &import.from {
            ImportPath::Dotted(path) => self.out.push_str(&dotted(path)),
            ImportPath::File(file) => self.out.push_str(&self.text[file.span.range()]),
        }
        if let Some(names) = &import.names {
            let names: Vec<&str> = names.iter().map(|n| n.value.as_str()).collect();
            self.out.push_str(&format!(".{{{}}}", names.join(", ")));
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        self.out.push_str(&format!("param {}: {}", parameter.name.value, parameter.ty.value));
        if let Some(default) = &parameter.default {
            self.out.push_str(" = ");
            self.expr(default);
        }
        if let Some(range) = &parameter.range {
            self.out.push_str(" in ");
            self.expr(range);
        }
    }

    fn binding(&mut self, binding: &Binding) {
        self.out.push_str(&format!("let {} = ", binding.name.value));
        self.expr(&binding.value);
    }

    fn entry(&mut self, entry: &Entry) {
        self.out.push_str(&entry.verb.value);
        for operand in &entry.operands {
            self.out.push(' ');
            self.expr(operand);
        }
        if let Some(body) = &entry.body {
            self.out.push(' ');
            self.block(body);
        }
    }

    fn setting(&mut self, setting: &Setting) {
        self.expr(&setting.key);
        self.out.push_str(": ");
        self.expr(&setting.value);
    }

    fn block(&mut self, block: &Block) {
        let holds_comments = self.has_comments(block.span);
        if block.members.is_empty() && !holds_comments {
            self.out.push_str("{}");
            return;
        }
        let on_one_line = !self.slice(block.span).contains(['\n', '\r']) && !holds_comments;
        if on_one_line {
            let before = self.out.len();
            self.one_line(block);
            if self.column() <= WIDTH && !self.out[before..].contains('\n') {
                return;
            }
            self.out.truncate(before);
        }
        self.out.push('{');
        self.trailing(block.span.start + 1);
        self.out.push('\n');
        self.indent += 1;
        let outer = self.last.take();
        for member in &block.members {
            let (start, end) = member_bounds(member);
            self.line_start(start);
            self.member(member);
            self.line_end(end);
        }
        self.comments_before(block.span.end.saturating_sub(1));
        self.last = outer;
        self.indent -= 1;
        self.indentation();
        self.out.push('}');
    }

    fn one_line(&mut self, block: &Block) {
        self.out.push_str("{ ");
        for (i, member) in block.members.iter().enumerate() {
            if i > 0 {
                self.out.push_str(", ");
            }
            self.member(member);
        }
        self.out.push_str(" }");
    }

    fn member(&mut self, member: &Member) {
        match member {
            Member::Parameter(parameter) => self.parameter(parameter),
            Member::Setting(setting) => self.setting(setting),
            Member::Entry(entry) => self.entry(entry),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Quantity(_, unit) => {
                let number = match unit {
                    Some(unit) => Span { end: unit.span.start, ..expr.span },
                    None => expr.span,
                };
                self.out.push_str(self.slice(number).trim_end());
                if let Some(unit) = unit {
                    self.out.push_str(if unit.value == Unit::Percent { "" } else { " " });
                    self.out.push_str(self.slice(unit.span));
                }
            }
            ExprKind::Text(_) | ExprKind::Regex(_) => {
                self.out.push_str(self.slice(expr.span));
            }
            ExprKind::Name(path) => self.out.push_str(&dotted(path)),
            ExprKind::Call(word, arguments) => {
                self.out.push_str(&word.value);
                let ends: Vec<Span> = arguments.iter().map(argument_span).collect();
                self.sequence('(', ')', expr.span, &ends, |this, i| this.argument(&arguments[i]));
            }
            ExprKind::List(items) => {
                let ends: Vec<Span> = items.iter().map(|i| i.span).collect();
                self.sequence('[', ']', expr.span, &ends, |this, i| this.expr(&items[i]));
            }
            ExprKind::Range(a, b) => self.pair(a, "..", b),
            ExprKind::Ramp(a, b) => self.pair(a, " -> ", b),
            ExprKind::Binary(operator, a, b) => {
                let sign = match operator {
                    Operator::Plus => " + ",
                    Operator::Minus => " - ",
                    Operator::Times => " * ",
                    Operator::Over => " / ",
                };
                self.pair(a, sign, b);
            }
            ExprKind::Negate(inner) => {
                self.out.push('-');
                self.expr(inner);
            }
            ExprKind::Paren(inner) => {
                self.out.push('(');
                self.expr(inner);
                self.out.push(')');
            }
            ExprKind::Phrase(items) => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        self.out.push(' ');
                    }
                    self.expr(item);
                }
            }
        }
    }

    fn pair(&mut self, a: &Expr, between: &str, b: &Expr) {
        self.expr(a);
        self.out.push_str(between);
        self.expr(b);
    }

    fn argument(&mut self, argument: &Argument) {
        if let Some(name) = &argument.name {
            self.out.push_str(&format!("{}: ", name.value));
        }
        self.expr(&argument.value);
    }

    /// Prints items in brackets, on one line if they fit and contain no comment.
    fn sequence(
        &mut self,
        open: char,
        close: char,
        whole: Span,
        items: &[Span],
        print: impl Fn(&mut Self, usize),
    ) {
        let before = self.out.len();
        if !self.has_comments(whole) {
            self.out.push(open);
            for i in 0..items.len() {
                if i > 0 {
                    self.out.push_str(", ");
                }
                print(self, i);
            }
            self.out.push(close);
            if self.column() <= WIDTH || items.is_empty() {
                return;
            }
            self.out.truncate(before);
        }
        self.out.push(open);
        // A comment directly after the bracket stays there.
        self.trailing(self.opening(whole, open));
        self.out.push('\n');
        self.indent += 1;
        let outer = self.last.take();
        for (i, span) in items.iter().enumerate() {
            self.line_start(span.start);
            print(self, i);
            self.out.push(',');
            self.line_end(span.end);
        }
        self.comments_before(whole.end.saturating_sub(1));
        self.last = outer;
        self.indent -= 1;
        self.indentation();
        self.out.push(close);
    }

    /// The position after the opening bracket of a call or list.
    fn opening(&self, whole: Span, open: char) -> u32 {
        let at = self.slice(whole).find(open).unwrap_or(0);
        whole.start + at as u32 + 1
    }

    fn has_comments(&self, span: Span) -> bool {
        self.comments[self.next..].iter().any(|c| span.start <= c.span.start && c.span.start < span.end)
    }
}

fn dotted(path: &[Word]) -> String {
    path.iter().map(|w| w.value.as_str()).collect::<Vec<_>>().join(".")
}

fn argument_span(argument: &Argument) -> Span {
    let value = argument.value.span;
    argument.name.as_ref().map_or(value, |name| name.span.to(value))
}

/// The byte range of a statement.
fn item_bounds(item: &Item) -> (u32, u32) {
    let span = match item {
        Item::Edition(number) => number.span,
        Item::Import(import) => import.span,
        Item::Parameter(parameter) => parameter.span,
        Item::Binding(binding) => binding.span,
        Item::Entry(entry) => entry.span,
    };
    (span.start, span.end)
}

fn member_bounds(member: &Member) -> (u32, u32) {
    let span = match member {
        Member::Parameter(parameter) => parameter.span,
        Member::Setting(setting) => setting.span,
        Member::Entry(entry) => entry.span,
    };
    (span.start, span.end)
}
