//! Semantic tokens: the kind of each word, for highlighting.

use lsp_types::{SemanticToken, SemanticTokenModifier, SemanticTokenType, SemanticTokensLegend};

use super::lexer;
use super::modules::Kind;
use super::place::Place;
use super::snapshot::Snapshot;
use super::words::{Role, Word, is_keyword};
use crate::language::vocab::KEYWORDS;

/// The types of tokens, by their index.
const TYPES: [SemanticTokenType; 15] = [
    SemanticTokenType::COMMENT,
    SemanticTokenType::STRING,
    SemanticTokenType::NUMBER,
    SemanticTokenType::OPERATOR,
    SemanticTokenType::REGEXP,
    SemanticTokenType::KEYWORD,
    SemanticTokenType::PROPERTY,
    SemanticTokenType::ENUM_MEMBER,
    SemanticTokenType::FUNCTION,
    SemanticTokenType::TYPE,
    SemanticTokenType::NAMESPACE,
    SemanticTokenType::PARAMETER,
    SemanticTokenType::VARIABLE,
    SemanticTokenType::CLASS,
    SemanticTokenType::STRUCT,
];

/// The modifiers of tokens, by their bit.
const MODIFIERS: [SemanticTokenModifier; 3] = [
    SemanticTokenModifier::DECLARATION,
    SemanticTokenModifier::DEFAULT_LIBRARY,
    SemanticTokenModifier::DOCUMENTATION,
];

const DECLARATION: u32 = 1;
const LIBRARY: u32 = 2;
const DOCUMENTATION: u32 = 4;

/// The types and modifiers that tokens refer to.
pub fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend { token_types: TYPES.to_vec(), token_modifiers: MODIFIERS.to_vec() }
}

/// The tokens of the lines `first..=last`, or of the whole document, each relative to the one before.
pub fn tokens(snapshot: &Snapshot, among: Option<(u32, u32)>) -> Vec<SemanticToken> {
    let text = snapshot.text();
    let words = snapshot.words();
    let mut before = (0, 0);
    let mut list = Vec::new();
    for token in &snapshot.tokens {
        let at = words.partition_point(|word| word.range.start < token.range.start);
        let word = words[at..].iter().find(|word| word.range.start == token.range.start);
        let Some((kind, modifiers)) = of(token, token.text(text), word) else { continue };
        let range = snapshot.span(token.range.clone());
        let start = range.start;
        if among.is_some_and(|(first, last)| start.line < first || start.line > last) {
            continue;
        }
        let Some(index) = TYPES.iter().position(|known| *known == kind) else { continue };
        let (line, column) = before;
        list.push(SemanticToken {
            delta_line: start.line - line,
            delta_start: if start.line == line { start.character - column } else { start.character },
            length: range.end.character - start.character,
            token_type: index as u32,
            token_modifiers_bitset: modifiers,
        });
        before = (start.line, start.character);
    }
    list
}

/// The type and the modifiers of a token; `None` for brackets, commas and line breaks.
fn of(token: &lexer::Token, text: &str, word: Option<&Word>) -> Option<(SemanticTokenType, u32)> {
    match token.kind {
        lexer::Kind::Comment if text.starts_with("##") => {
            return Some((SemanticTokenType::COMMENT, DOCUMENTATION));
        }
        lexer::Kind::Comment => return Some((SemanticTokenType::COMMENT, 0)),
        lexer::Kind::Number => return Some((SemanticTokenType::NUMBER, 0)),
        lexer::Kind::Operator if text == "%" => return Some((SemanticTokenType::NUMBER, 0)),
        lexer::Kind::Operator if matches!(text, ":" | ".") => return None,
        lexer::Kind::Operator => return Some((SemanticTokenType::OPERATOR, 0)),
        lexer::Kind::Text { .. } => return Some((SemanticTokenType::STRING, 0)),
        lexer::Kind::Word => {}
        _ => return None,
    }
    let Some(word) = word else {
        let known = is_keyword(text) || KEYWORDS.iter().any(|keyword| keyword.name == text);
        return known.then_some((SemanticTokenType::KEYWORD, 0));
    };
    Some(match &word.role {
        Role::Verb(_) | Role::Keyword => (SemanticTokenType::KEYWORD, 0),
        Role::Setting(..) => (SemanticTokenType::PROPERTY, 0),
        Role::Value(_) | Role::Output | Role::Code(_) => (SemanticTokenType::ENUM_MEMBER, 0),
        Role::Shape(_) => (SemanticTokenType::FUNCTION, 0),
        Role::Type(_) | Role::Unit => (SemanticTokenType::TYPE, 0),
        Role::Module(_) => (SemanticTokenType::NAMESPACE, LIBRARY),
        Role::Pattern(_) => (SemanticTokenType::REGEXP, 0),
        Role::File(_) | Role::Unknown => return None,
        Role::Declares(declared) => (named(declared.kind), DECLARATION),
        Role::Refers(declared) => {
            let library = matches!(declared.place, Place::Standard(_));
            (named(declared.kind), if library { LIBRARY } else { 0 })
        }
    })
}

fn named(kind: Kind) -> SemanticTokenType {
    match kind {
        Kind::Parameter | Kind::TemplateParameter => SemanticTokenType::PARAMETER,
        Kind::Value => SemanticTokenType::VARIABLE,
        Kind::Template => SemanticTokenType::CLASS,
        Kind::Recipe | Kind::Stage => SemanticTokenType::STRUCT,
    }
}
