//! The use of a template by `extends`, and relocation of diagnostics from the template to that use.

use crate::diag::{Diagnostic, Fix, Label, Sources, Span};
use crate::language::syntax::ast::Word;

/// A use of a template by `extends`.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The template's name after `extends`.
    pub name: Word,
    /// The spans of the template and of those that it extends.
    pub templates: Vec<Span>,
    /// The span of the template's length.
    pub length: Option<Span>,
    /// The names of all parameters.
    pub parameters: Vec<String>,
    /// The parameters with a value, and its span.
    pub given: Vec<(String, Span)>,
}

impl Extension {
    /// An extension whose template has not been expanded yet.
    pub fn new(name: Word) -> Self {
        Extension { name, templates: vec![], length: None, parameters: vec![], given: vec![] }
    }

    /// Whether a span is in one of the templates, and these are in another file.
    fn contains(&self, span: Span) -> bool {
        let holds = |t: &Span| t.file == span.file && t.start <= span.start && span.end <= t.end;
        span.file != self.name.span.file && self.templates.iter().any(holds)
    }

    /// Changes the primary label of a diagnostic about the template's text to what the user wrote: the value of
    /// a parameter, another label of the diagnostic, or the template's name. The label in the template becomes
    /// a secondary one.
    pub fn relocate(&self, diagnostic: &mut Diagnostic, sources: &Sources, length: Span) {
        let Some(there) = diagnostic.primary.clone().filter(|l| self.contains(l.span)) else { return };
        diagnostic.fix = diagnostic.fix.take().filter(|fix| !self.contains(fix.span));
        let mut places = self.values_in(&there, sources);
        places.extend(diagnostic.secondary.iter().filter(|l| !self.contains(l.span)).cloned());
        for label in &diagnostic.secondary {
            places.extend(self.values_in(label, sources));
        }
        let extends = Label { span: self.name.span, text: "brought in here".to_owned() };
        let mut places = places.into_iter();
        let here = places.next().unwrap_or(extends);
        if here.span == length
            && let Some(made_for) = self.length
        {
            let (template, made_for) = (&self.name.value, sources.slice(made_for));
            diagnostic.help = Some(format!(
                "`{template}` is made for {made_for}: leave `for {}` out, or write a template of your own",
                sources.slice(length)
            ));
            let text = &sources.get(length.file).text;
            let clause = text[..length.range().start].trim_end().strip_suffix("for").map(str::trim_end);
            diagnostic.fix = clause.map(|before| Fix {
                span: Span::new(length.file, before.len()..length.range().end),
                replacement: String::new(),
                safe: false,
            });
        }
        let mut secondary = vec![there];
        for label in places.chain(diagnostic.secondary.drain(..)) {
            if label.span != here.span && !secondary.iter().any(|l| l.span == label.span) {
                secondary.push(label);
            }
        }
        diagnostic.primary = Some(here);
        diagnostic.secondary = secondary;
    }

    /// Labels, with the same text, at the values of the parameters that occur in a label's span.
    fn values_in(&self, label: &Label, sources: &Sources) -> Vec<Label> {
        if !self.contains(label.span) {
            return Vec::new();
        }
        let text = sources.slice(label.span);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut used: Vec<&str> = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            let word = rest[start..].split(|c| !is_word(c)).next().unwrap_or("");
            rest = &rest[start + word.len()..];
            // A word before a colon is the name of a setting.
            if !rest.starts_with(':') {
                used.push(word);
            }
        }
        let given =
            self.given.iter().filter(|(name, at)| used.contains(&name.as_str()) && !self.contains(*at));
        let mut places: Vec<Label> =
            given.map(|(_, span)| Label { span: *span, text: label.text.clone() }).collect();
        places.sort_by_key(|l| l.span.start);
        places.iter_mut().skip(1).for_each(|l| l.text = "and this".to_owned());
        places
    }
}
