//! The outline of a document: its declarations, and the statements of each stage.

use lsp_types::{DocumentSymbol, SymbolKind};

use super::modules::{Declaration, Kind};
use super::snapshot::Snapshot;
use crate::diag::Span;
use crate::language::syntax::ast::{Entry, Expr, Item, Member, Parameter};

/// The symbols of a document, those of a stage inside it.
pub fn outline(snapshot: &Snapshot) -> Vec<DocumentSymbol> {
    let text = snapshot.text();
    let symbols = snapshot.compiled.tree.items.iter().filter_map(|item| match item {
        Item::Parameter(parameter) => Some(of_parameter(snapshot, parameter)),
        Item::Binding(binding) => {
            let detail = one_line(&text[binding.value.span.range()]);
            let (name, whole) = (binding.name.value.clone(), binding.span);
            Some(symbol(snapshot, name, detail, SymbolKind::CONSTANT, whole, binding.name.span))
        }
        Item::Entry(entry) => Some(of_entry(snapshot, entry)),
        Item::Edition(_) | Item::Import(_) => None,
    });
    symbols.collect()
}

fn of_parameter(snapshot: &Snapshot, parameter: &Parameter) -> DocumentSymbol {
    let name = parameter.name.value.clone();
    let default = parameter.default.as_ref().map(|default| &snapshot.text()[default.span.range()]);
    let detail = match default {
        Some(default) => format!("{} = {}", parameter.ty.value, one_line(default)),
        None => parameter.ty.value.clone(),
    };
    symbol(snapshot, name, detail, SymbolKind::VARIABLE, parameter.span, parameter.name.span)
}

fn of_entry(snapshot: &Snapshot, entry: &Entry) -> DocumentSymbol {
    let text = snapshot.text();
    let kind = match entry.verb.value.as_str() {
        "recipe" => SymbolKind::MODULE,
        "template" => SymbolKind::CLASS,
        "stage" | "branch" => SymbolKind::NAMESPACE,
        _ => SymbolKind::EVENT,
    };
    let named = kind != SymbolKind::EVENT;
    let name = entry.operands.first().and_then(Expr::as_word).filter(|_| named);
    let shown = name.map_or_else(|| one_line(&text[entry.head.range()]), |name| name.value.clone());
    let detail = if named { one_line(&text[entry.head.range()]) } else { String::new() };
    let at = name.map_or(entry.head, |name| name.span);
    let mut symbol = symbol(snapshot, shown, detail, kind, entry.span, at);
    let members = entry.body.as_ref().map_or(&[][..], |body| &body.members);
    let inner: Vec<DocumentSymbol> = members
        .iter()
        .filter_map(|member| match member {
            Member::Parameter(parameter) => Some(of_parameter(snapshot, parameter)),
            Member::Entry(inner) if named => Some(of_entry(snapshot, inner)),
            Member::Entry(_) | Member::Setting(_) => None,
        })
        .collect();
    symbol.children = (!inner.is_empty()).then_some(inner);
    symbol
}

#[allow(deprecated)]
fn symbol(
    snapshot: &Snapshot,
    name: String,
    detail: String,
    kind: SymbolKind,
    whole: Span,
    at: Span,
) -> DocumentSymbol {
    DocumentSymbol {
        name,
        detail: (!detail.is_empty()).then_some(detail),
        kind,
        tags: None,
        deprecated: None,
        range: snapshot.span(whole.range()),
        selection_range: snapshot.span(at.range()),
        children: None,
    }
}

/// The kind of a declaration in lists of symbols.
pub fn kind(declaration: &Declaration) -> SymbolKind {
    match declaration.kind {
        Kind::Parameter | Kind::TemplateParameter => SymbolKind::VARIABLE,
        Kind::Value => SymbolKind::CONSTANT,
        Kind::Template => SymbolKind::CLASS,
        Kind::Recipe => SymbolKind::MODULE,
        Kind::Stage => SymbolKind::NAMESPACE,
    }
}

/// A text on one line, cut after 80 characters.
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
