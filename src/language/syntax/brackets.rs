//! A scan of the text before parsing: brackets, strings, nesting, invalid characters and comments.
//!
//! The parser cannot recover from an unclosed bracket, and its recursion must be limited, so both are checked
//! first.

use crate::diag::{Code, Diagnostic, FileId, Findings, Span};

/// The deepest nesting of brackets.
pub const DEEPEST: usize = 64;

/// The most unclosed brackets that are reported: the innermost.
const MOST_UNCLOSED: usize = 2;

/// A comment, from `#` to the end of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The text with its `#` or `##`, without trailing space.
    pub text: String,
    /// Where it is written.
    pub span: Span,
}

/// Scans a text and returns its comments. The grammar must not be applied if an error is reported.
pub fn scan(file: FileId, text: &str, findings: &mut Findings) -> Vec<Comment> {
    let mut scanner = Scanner { file, text, open: Vec::new(), comments: Vec::new(), findings };
    scanner.run();
    scanner.comments
}

struct Scanner<'a> {
    file: FileId,
    text: &'a str,
    open: Vec<(char, usize)>,
    comments: Vec<Comment>,
    findings: &'a mut Findings,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut chars = self.text.char_indices().peekable();
        let mut too_deep = false;
        while let Some((at, c)) = chars.next() {
            match c {
                '#' => {
                    let end = self.line_end(at);
                    let text = self.text[at..end].trim_end();
                    let span = Span::new(self.file, at..at + text.len());
                    self.comments.push(Comment { text: text.to_owned(), span });
                    while chars.next_if(|(i, _)| *i < end).is_some() {}
                }
                '"' => {
                    let end = self.string_end(at);
                    while chars.next_if(|(i, _)| *i < end).is_some() {}
                }
                '{' | '(' | '[' => {
                    self.open.push((c, at));
                    if self.open.len() == DEEPEST + 1 && !too_deep {
                        too_deep = true;
                        self.error(
                            Code::NestingTooDeep,
                            at,
                            format!("nesting is deeper than {DEEPEST} levels"),
                            "the level that is one too many",
                            "no recipe needs this; was a bracket meant to close earlier?",
                        );
                    }
                }
                '}' | ')' | ']' => self.close(c, at),
                '\u{feff}' if at == 0 => {}
                '\t' | '\n' | '\r' => {}
                c if c.is_control() || c == '\u{feff}' => self.error(
                    Code::StrayCharacter,
                    at,
                    format!("the character U+{:04X} is not allowed in a recipe", c as u32),
                    "here",
                    "remove it",
                ),
                _ => {}
            }
        }
        let open = std::mem::take(&mut self.open);
        let others = open.len().saturating_sub(MOST_UNCLOSED);
        for (bracket, at) in open.into_iter().skip(others) {
            let closer = partner(bracket);
            self.error(
                Code::UnclosedBracket,
                at,
                format!("`{bracket}` is never closed"),
                "opened here",
                format!("add the missing `{closer}`"),
            );
        }
    }

    fn close(&mut self, closer: char, at: usize) {
        match self.open.pop() {
            Some((bracket, _)) if partner(bracket) == closer => {}
            Some((bracket, opened)) => {
                let wanted = partner(bracket);
                let here = Span::new(self.file, at..at + 1);
                let there = Span::new(self.file, opened..opened + 1);
                self.findings.push(
                    Diagnostic::error(
                        Code::MismatchedBracket,
                        format!("`{closer}` closes `{bracket}`"),
                        here,
                        format!("expected `{wanted}`"),
                    )
                    .and_at(there, "opened here")
                    .help(format!("close it with `{wanted}`, or open it with `{}`", partner(closer))),
                );
            }
            None => self.error(
                Code::UnopenedBracket,
                at,
                format!("`{closer}` closes nothing"),
                "nothing is open here",
                "remove it, or open it earlier",
            ),
        }
    }

    /// The position after the closing quote; an unclosed string is reported and ends with its line.
    fn string_end(&mut self, start: usize) -> usize {
        let mut escaped = false;
        for (i, c) in self.text[start + 1..].char_indices() {
            match c {
                '\n' | '\r' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return start + 1 + i + 1,
                _ => {}
            }
        }
        self.error(
            Code::UnclosedString,
            start,
            "this string never ends",
            "starts here",
            "close it with `\"` on the same line",
        );
        self.line_end(start)
    }

    fn line_end(&self, start: usize) -> usize {
        self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |i| start + i)
    }

    fn error(
        &mut self,
        code: Code,
        at: usize,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        let width = self.text[at..].chars().next().map_or(1, char::len_utf8);
        let span = Span::new(self.file, at..at + width);
        self.findings.push(Diagnostic::error(code, message, span, label).help(help));
    }
}

fn partner(bracket: char) -> char {
    match bracket {
        '{' => '}',
        '(' => ')',
        '[' => ']',
        '}' => '{',
        ')' => '(',
        _ => '[',
    }
}
