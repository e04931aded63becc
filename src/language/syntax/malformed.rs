//! Diagnostics of malformed statements.

use pest::Parser;

use crate::diag::{Code, Diagnostic, MOST_FINDINGS, Span, nearest};

use super::foreign_syntax::recognize;
use super::parse::{Builder, Grammar, P, Rule};

/// Words that only begin statements at the top of a file.
const TOP_WORDS: [&str; 6] = ["edition", "use", "param", "let", "recipe", "template"];

/// The longest statement, in bytes, that is parsed again to find the position of its error.
const LONGEST_REPARSED: usize = 1 << 16;

/// The most findings after which statements are no longer parsed again.
const MOST_REPARSED: usize = 10 * MOST_FINDINGS;

impl Builder<'_> {
    /// Parses a malformed statement alone to find the position of its error.
    pub(super) fn malformed(&mut self, pair: &P, alone: Rule) {
        let span = self.span(pair);
        let text = &self.text[span.range()];
        if text.starts_with('{') {
            self.block_below(span);
            return;
        }
        if text.len() > LONGEST_REPARSED || self.findings.iter().count() > MOST_REPARSED {
            self.push_syntax_error(span, "this statement cannot be read", None);
            return;
        }
        match Grammar::parse(alone, text) {
            Err(error) => self.syntax_error(&error, span.range()),
            Ok(_) => self.push_syntax_error(span, "this statement does not end here", None),
        }
    }

    pub(super) fn syntax_error(&mut self, error: &pest::error::Error<Rule>, within: std::ops::Range<usize>) {
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
        if let Some(foreign) = recognize(self.text, within.clone(), at) {
            let span = Span::new(self.id, foreign.place.clone().unwrap_or(at..at + width));
            let found = if foreign.place.is_some() { "this does not fit here".to_owned() } else { found };
            let message = foreign.message.unwrap_or(found);
            let diagnostic = Diagnostic::error(Code::Malformed, message, span, "cannot be read");
            let diagnostic = diagnostic.help(foreign.help);
            self.findings.push(match foreign.fix {
                Some((place, text)) => diagnostic.fix(Span::new(self.id, place), text),
                None => diagnostic,
            });
            return;
        }
        let statement = &self.text[within.clone()];
        let first = statement.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        let help = match nearest(first, TOP_WORDS) {
            Some(word) if word != first => Some(format!("did you mean `{word}`?")),
            _ if !expected.is_empty() => Some(format!("expected {expected}")),
            _ => None,
        };
        let span = Span::new(self.id, at..at + width);
        if let Some(word) = nearest(first, TOP_WORDS).filter(|word| *word != first) {
            let verb = Span::new(self.id, within.start..within.start + first.len());
            let diagnostic = Diagnostic::error(Code::Malformed, found, span, "cannot be read");
            self.findings.push(diagnostic.help(format!("did you mean `{word}`?")).fix(verb, word));
            return;
        }
        self.push_syntax_error(span, &found, help);
    }

    /// Reports a block on the line after its statement.
    fn block_below(&mut self, span: Span) {
        let start = span.start as usize;
        let above = self.text[..start].trim_end().len();
        let bracket = Span::new(self.id, start..start + 1);
        if above == 0 {
            let form = "a recipe reads `recipe NAME for 3 epochs { model: …, data: … }`";
            self.push_syntax_error(bracket, "a file does not begin with a block", Some(form.to_owned()));
            return;
        }
        let message = "a block begins on the line of its statement";
        let diagnostic = Diagnostic::error(Code::Malformed, message, bracket, "on a line of its own");
        // A comment at the end of the line above would include the bracket.
        let line = self.text[..above].rfind('\n').map_or(0, |at| at + 1);
        let diagnostic = diagnostic.help("put `{` on the line above");
        self.findings.push(match !self.text[line..above].contains('#') {
            true => diagnostic.fix(Span::new(self.id, above..start), " "),
            false => diagnostic,
        });
    }

    pub(super) fn push_syntax_error(&mut self, span: Span, message: &str, help: Option<String>) {
        let form = "a statement is `name: value`, or a verb with what it needs: `hold encoder_linears`";
        let diagnostic = Diagnostic::error(Code::Malformed, message, span, "cannot be read");
        self.findings.push(diagnostic.help(help.unwrap_or_else(|| form.to_owned())));
    }
}

/// The tokens that the grammar expected, in words.
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
            Rule::phrase | Rule::ramp | Rule::between | Rule::default => "a value",
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
