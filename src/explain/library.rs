//! The declarations of the recipe language's standard library with their doc comments, read from its files.

use crate::diag::{Findings, Sources};
use crate::language::STANDARD_LIBRARY;
use crate::language::syntax::ast::{Entry, Item, Member, Parameter};
use crate::language::syntax::parse_file;

/// A module of the standard library.
pub(crate) struct Module {
    /// `std.bert`
    pub(crate) name: &'static str,
    /// Its declarations in order.
    pub(crate) names: Vec<Name>,
}

/// A declared name, which `use` imports.
pub(crate) struct Name {
    /// The name.
    pub(crate) name: String,
    /// Its doc comment.
    pub(crate) doc: String,
    /// Its value as text, or the head of a template.
    pub(crate) written: String,
    /// The parameters of a template.
    pub(crate) parameters: Option<Vec<TemplateParameter>>,
}

/// A parameter of a template.
pub(crate) struct TemplateParameter {
    /// Its name.
    pub(crate) name: String,
    /// Its type's name.
    pub(crate) ty: String,
    /// Its default as text.
    pub(crate) default: Option<String>,
    /// Its doc comment.
    pub(crate) doc: String,
}

/// Every module.
pub(crate) fn modules() -> Vec<Module> {
    STANDARD_LIBRARY.iter().map(|(name, text)| module(name, text)).collect()
}

fn module(name: &'static str, text: &str) -> Module {
    let mut sources = Sources::new();
    let file = sources.add(name, text);
    let parsed = parse_file(file, text, &mut Findings::new());
    let names = parsed.file.items.iter().filter_map(|item| match item {
        Item::Binding(binding) => Some(Name {
            name: binding.name.value.clone(),
            doc: binding.doc.clone(),
            written: one_line(sources.slice(binding.value.span)),
            parameters: None,
        }),
        Item::Entry(entry) if entry.verb.value == "template" => template(entry, &sources),
        _ => None,
    });
    Module { name, names: names.collect() }
}

fn template(entry: &Entry, sources: &Sources) -> Option<Name> {
    let name = entry.operands.first()?.as_word()?.value.clone();
    let members = entry.body.as_ref().map_or(&[][..], |body| &body.members);
    let parameters = members.iter().filter_map(|member| match member {
        Member::Parameter(parameter) => Some(template_parameter(parameter, sources)),
        _ => None,
    });
    Some(Name {
        name,
        doc: entry.doc.clone(),
        written: one_line(sources.slice(entry.head)),
        parameters: Some(parameters.collect()),
    })
}

fn template_parameter(parameter: &Parameter, sources: &Sources) -> TemplateParameter {
    TemplateParameter {
        name: parameter.name.value.clone(),
        ty: parameter.ty.value.clone(),
        default: parameter.default.as_ref().map(|d| sources.slice(d.span).to_owned()),
        doc: parameter.doc.clone(),
    }
}

/// Joins code to one line and removes commas before closing brackets.
fn one_line(code: &str) -> String {
    let words: Vec<&str> = code.split_whitespace().collect();
    words.join(" ").replace("( ", "(").replace(", )", ")").replace(" )", ")")
}
