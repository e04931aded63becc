//! The tokens of a recipe's text, valid or not: for highlighting, and for completion in a statement that is being typed.

use std::ops::Range;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: Kind,
    /// Its bytes.
    pub range: Range<usize>,
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `# …`, to the end of the line.
    Comment,
    /// `"…"`, or `"…` to the end of the line if it is not closed.
    Text {
        /// Whether the closing quote is there.
        closed: bool,
    },
    /// A word.
    Word,
    /// A number, without its unit.
    Number,
    /// `->`, `..`, or one of `+ - * / % : . =`.
    Operator,
    /// `{`, `(` or `[`.
    Open(char),
    /// `}`, `)` or `]`.
    Close(char),
    /// `,`.
    Comma,
    /// A line break.
    Newline,
    /// A character that no recipe has.
    Other,
}

impl Token {
    /// The token's text.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        &text[self.range.clone()]
    }
}

/// All tokens of a text but space.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut list = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
        let (kind, length) = match c {
            ' ' | '\t' | '\u{feff}' => {
                at += c.len_utf8();
                continue;
            }
            '\r' | '\n' => (Kind::Newline, if rest.starts_with("\r\n") { 2 } else { 1 }),
            '#' => (Kind::Comment, until(|c| matches!(c, '\n' | '\r'))),
            '"' => string(rest),
            '{' | '(' | '[' => (Kind::Open(c), 1),
            '}' | ')' | ']' => (Kind::Close(c), 1),
            ',' => (Kind::Comma, 1),
            '-' if rest.starts_with("->") => (Kind::Operator, 2),
            '.' if rest.starts_with("..") => (Kind::Operator, 2),
            '+' | '-' | '*' | '/' | '%' | ':' | '.' | '=' => (Kind::Operator, 1),
            c if c.is_ascii_digit() => (Kind::Number, number(rest)),
            c if c.is_ascii_alphabetic() || c == '_' => {
                (Kind::Word, until(|c| !(c.is_ascii_alphanumeric() || c == '_')))
            }
            c => (Kind::Other, c.len_utf8()),
        };
        list.push(Token { kind, range: at..at + length });
        at += length;
    }
    list
}

/// A string literal; one without a closing quote ends with its line.
fn string(rest: &str) -> (Kind, usize) {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            '\n' | '\r' => return (Kind::Text { closed: false }, i),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return (Kind::Text { closed: true }, i + 1),
            _ => {}
        }
    }
    (Kind::Text { closed: false }, rest.len())
}

/// The length of a number: digits, a fraction and an exponent. The dots of `0..3` are not its fraction.
fn number(rest: &str) -> usize {
    let digits = |from: usize| {
        let count = rest[from..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'_').count();
        from + count
    };
    let mut end = digits(0);
    if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
        end = digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|t| t.text(text)).collect()
    }

    #[test]
    fn numbers_end_before_the_dots_of_a_window_and_before_units() {
        assert_eq!(words("0..3 epochs"), ["0", "..", "3", "epochs"]);
        assert_eq!(words("8e-5 -> 0.5%"), ["8e-5", "->", "0.5", "%"]);
        assert_eq!(words("2e epochs 1_000"), ["2", "e", "epochs", "1_000"]);
    }

    #[test]
    fn strings_and_comments_end_with_their_line() {
        assert_eq!(
            words("a \"b \\\" c\" \"d\n# e \"\nf"),
            ["a", "\"b \\\" c\"", "\"d", "\n", "# e \"", "\n", "f"]
        );
    }

    #[test]
    fn every_byte_is_in_one_token_or_is_space() {
        let text = "prune ä { by: \"x\u{1d11e}\", §\r\n} 1.2.3 ..";
        let mut end = 0;
        for token in tokens(text) {
            assert!(text[end..token.range.start].trim().is_empty() && token.range.start >= end);
            end = token.range.end;
        }
        assert_eq!(end, text.len());
    }
}
