//! The syntax tree of a text that is being typed.
//!
//! The parser gives no tree for a text whose brackets do not match. Here such brackets are replaced by spaces, so that
//! every other statement is read, at the same offsets. Diagnostics are not made from this tree.

use crate::diag::{FileId, Findings};
use crate::language::syntax::{Parsed, parse_file};

use super::lexer::{Kind, Token};

/// Parses a text, with its brackets repaired if they do not match.
pub fn parse(file: FileId, text: &str, tokens: &[Token]) -> Parsed {
    let repaired = repaired(text, tokens);
    parse_file(file, repaired.as_deref().unwrap_or(text), &mut Findings::new())
}

/// The text with the same offsets and matching brackets; `None` if they match already.
pub fn repaired(text: &str, tokens: &[Token]) -> Option<String> {
    let mut bytes: Option<Vec<u8>> = None;
    let mut blank = |range: std::ops::Range<usize>| {
        bytes.get_or_insert_with(|| text.as_bytes().to_vec())[range].fill(b' ');
    };
    let mut open: Vec<&Token> = Vec::new();
    for token in tokens {
        match token.kind {
            Kind::Open(_) => open.push(token),
            Kind::Close(closer) => {
                // A brace closes its block, whatever is open inside.
                let partner = open.iter().rposition(|o| Some(o.kind) == opener(closer).map(Kind::Open));
                let inside = |o: &Token| matches!(o.kind, Kind::Open('{'));
                match partner.filter(|at| closer == '}' || !open[at + 1..].iter().any(|o| inside(o))) {
                    Some(at) => {
                        open[at + 1..].iter().for_each(|unclosed| blank(unclosed.range.clone()));
                        open.truncate(at);
                    }
                    None => blank(token.range.clone()),
                }
            }
            Kind::Text { closed: false } | Kind::Other => blank(token.range.clone()),
            _ => {}
        }
    }
    let mut missing = String::new();
    for unclosed in open.iter().rev() {
        match unclosed.kind {
            Kind::Open('{') => missing.push_str("\n}"),
            _ => blank(unclosed.range.clone()),
        }
    }
    if bytes.is_none() && missing.is_empty() {
        return None;
    }
    // Only whole characters were replaced.
    let mut repaired = bytes.map_or_else(|| text.to_owned(), |b| String::from_utf8_lossy(&b).into_owned());
    repaired.push_str(&missing);
    Some(repaired)
}

fn opener(closer: char) -> Option<char> {
    Some(match closer {
        '}' => '{',
        ')' => '(',
        ']' => '[',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    #[test]
    fn one_bracket_that_does_not_match_leaves_the_other_statements() {
        let fixed = |text: &str| repaired(text, &tokens(text));
        assert_eq!(fixed("recipe a { b (c) }"), None);
        assert_eq!(fixed("recipe a { b").as_deref(), Some("recipe a { b\n}"));
        assert_eq!(
            fixed("a { by: obs(x: 1\n rank: global }").as_deref(),
            Some("a { by: obs x: 1\n rank: global }")
        );
        assert_eq!(fixed("a { b ) c }").as_deref(), Some("a { b   c }"));
        assert_eq!(fixed("a { model: \"ß\n}").as_deref(), Some("a { model:    \n}"));
        assert_eq!(fixed("a { b [ c { d ] }").as_deref(), Some("a { b   c { d   }\n}"));
    }
}
