//! Completion: statements, settings with their types and defaults, values, and names in scope.

use std::ops::Range;

use super::completion_item::{Item, ItemKind, escaped};
use super::completion_values as values;
use super::context::{self, Context, Expected};
use super::modules::exports;
use super::place::Place;
use super::snapshot::{Kind, Snapshot};
use crate::explain::{block_of, special_lines};
use crate::language::STANDARD_LIBRARY;
use crate::language::vocab::parameter_types::PARAMETER_TYPES;
use crate::language::vocab::{Body, KEYWORDS, Place as Where, Setting, Type, VERBS, Verb};

/// What can be inserted at an offset. All of it is listed, whatever is typed already: the client filters.
pub fn complete(snapshot: &Snapshot, offset: usize) -> Vec<Item> {
    if snapshot.kind != Kind::Recipe {
        return Vec::new();
    }
    let Some(context) = context::at(snapshot.text(), &snapshot.tokens, offset) else { return Vec::new() };
    let expected = context.expected(&snapshot.modules);
    if let Some(string) = &context.string {
        return values::in_quotes(snapshot, &context, &expected, string.clone());
    }
    let typed = context.typed.clone();
    // A number that is being typed is no word.
    if snapshot.text()[..offset].ends_with(|c: char| c.is_ascii_digit()) && typed.is_empty() {
        return Vec::new();
    }
    let mut list = match expected {
        Expected::Statement(owner) => statements(snapshot, &context, owner),
        Expected::Value(ty) => values::of(snapshot, &context, ty),
        Expected::Rest(ty) => rest(&context, ty),
        Expected::Argument(settings, ty) => {
            let mut list: Vec<Item> = settings.iter().map(|s| setting(s, &typed)).collect();
            list.extend(ty.into_iter().flat_map(|ty| values::of(snapshot, &context, ty)));
            list
        }
        Expected::Module => modules(snapshot, &context),
        Expected::Export(module) => names_of(snapshot, &module, &typed),
        Expected::ParameterType => {
            let types = PARAMETER_TYPES.iter();
            types
                .map(|(name, ty)| Item::new(*name, ItemKind::Unit, typed.clone()).detail(ty.described()))
                .collect()
        }
        Expected::Edition => vec![Item::new("2026", ItemKind::Value, typed)],
        Expected::Pattern => vec![Item::new("\"\"", ItemKind::Value, typed).inserts("\"\"", "\"$1\"")],
        Expected::Nothing => Vec::new(),
    };
    let mut seen = std::collections::HashSet::new();
    list.retain(|item| seen.insert((item.label.clone(), item.insert.clone())));
    list
}

/// Statements and settings in a block, or at the top of a file.
fn statements(snapshot: &Snapshot, context: &Context, owner: Option<&'static str>) -> Vec<Item> {
    let typed = &context.typed;
    let Some(owner) = context.owner().filter(|verb| Some(verb.name) == owner) else {
        let mut list = top(typed);
        // Inside a block of an unknown verb nothing is known.
        list.retain(|_| context.blocks.is_empty());
        return list;
    };
    let given = context.given();
    let mut list = Vec::new();
    if let Some(template) = context.extends().and_then(|name| snapshot.modules.find(0, name, true)) {
        let parameters = snapshot.modules.template_parameters(&template);
        let free = parameters.iter().filter(|p| !given.contains(&p.name.as_str()));
        list.extend(free.map(|p| {
            let ty = p.ty.clone().unwrap_or_default();
            let item = Item::new(&p.name, ItemKind::Setting, typed.clone()).detail(ty).doc(&p.doc);
            item.inserts(format!("{}: ", p.name), format!("{}: ${{1:{}}}", p.name, escaped(&p.written)))
        }));
    }
    let free = block_of(owner).iter().filter(|s| !given.contains(&s.name));
    list.extend(free.map(|s| setting(s, typed)));
    match owner.body {
        Body::Statements(_) => {
            let place = match owner.name {
                "recipe" => [Where::Recipe, Where::Stage],
                _ => [Where::Stage, Where::Stage],
            };
            let allowed = VERBS.iter().filter(|verb| verb.places.iter().any(|at| place.contains(at)));
            list.extend(allowed.map(|verb| of_verb(verb, typed)));
            if owner.name == "template" {
                list.extend(keyword("param", "param ${1:name}: ${2:ratio} = ${3:90%}", typed));
            }
        }
        Body::PruneSettings(_) => list.extend(keyword("target", "target ${1:PARAMS}: ${2:80%}", typed)),
        Body::LrPieces => {
            let window = Item::new("0..2 epochs: 8e-5 -> 0 linear", ItemKind::Setting, typed.clone());
            let doc = special_lines(owner).first().map_or(String::new(), |(_, doc)| doc.clone());
            list.push(window.doc(doc).inserts(
                "0..2 epochs: 8e-5 -> 0 linear",
                "${1:0}..${2:2} epochs: ${3:8e-5} -> ${4:0} ${5:linear}",
            ));
            list.extend(keyword("factor", "factor ${1:PARAMS}: ${2:10}", typed));
        }
        Body::Metrics => {
            for metric in ["f1", "em", "accuracy", "loss"] {
                let item = Item::new(metric, ItemKind::Setting, typed.clone());
                let free = !given.contains(&metric);
                list.extend(free.then(|| {
                    item.inserts(format!("{metric}: "), format!("{metric}: ${{1:85.0}} .. ${{2:100}}"))
                }));
            }
        }
        Body::None | Body::Settings(_) => {}
    }
    list
}

/// The statements at the top of a file.
fn top(typed: &Range<usize>) -> Vec<Item> {
    let mut list: Vec<Item> = VERBS
        .iter()
        .filter(|verb| verb.places.contains(&Where::File))
        .map(|verb| of_verb(verb, typed))
        .collect();
    list.extend(keyword("edition", "edition 2026", typed));
    list.extend(keyword("use", "use ${1:std.bert}.{${2:encoder_linears}}", typed));
    list.extend(keyword("param", "param ${1:name}: ${2:ratio} = ${3:90%} in ${4:50%..99%}", typed));
    list.extend(keyword("let", "let ${1:name} = ${2:params(\"$3\")}", typed));
    list
}

fn keyword(name: &'static str, snippet: &str, typed: &Range<usize>) -> Option<Item> {
    let known = KEYWORDS.iter().find(|keyword| keyword.name == name)?;
    let item = Item::new(name, ItemKind::Keyword, typed.clone()).detail(known.form).doc(known.doc);
    Some(item.inserts(format!("{name} "), snippet))
}

fn of_verb(verb: &Verb, typed: &Range<usize>) -> Item {
    let snippet = match verb.name {
        "recipe" => {
            "recipe ${1:name} for ${2:30 epochs} {\n  model: ${3:\"bert-base-uncased\"}\n  data: ${4:squad}\n  $0\n}"
        }
        "template" => "template ${1:name} for ${2:30 epochs} {\n  $0\n}",
        "stage" => "stage ${1:name} for ${2:10 epochs} {\n  $0\n}",
        "branch" => "branch ${1:name} from ${2:stage} {\n  $0\n}",
        "keep" | "drop" => &format!("{} layers [${{1:0, 2, 4}}]", verb.name),
        "lr" => "lr { ${1:0}..${2:2} epochs: ${3:8e-5} -> ${4:8e-6} ${5:linear} }",
        "prune" => {
            "prune ${1:encoder_linears} over ${2:2..26 epochs} every ${3:4 epochs} {\n  by: ${4:obs(gradients: 1024)}\n  sparsity: ${5:70%} -> ${6:90%} ${7:cubic}\n}"
        }
        "quantize" => {
            "quantize ${1:encoder_linears} {\n  weights: ${2:int8(symmetric, per: channel)}\n  activations: ${3:uint8(asymmetric)}\n}"
        }
        "distill" => "distill from ${1:teacher} { hardness: ${2:1.0}, temperature: ${3:2.0} }",
        "train" => "train { $1 }",
        "evaluate" => "evaluate every ${1:1 epoch}",
        "allow" => "allow ${1:OB0701}",
        "expect" => "expect { ${1:f1}: ${2:85.0} .. ${3:100} }",
        name => &format!("{name} ${{1:PARAMS}}"),
    };
    let item = Item::new(verb.name, ItemKind::Keyword, typed.clone()).detail(verb.form).doc(verb.doc);
    item.inserts(format!("{} ", verb.name), snippet)
}

/// A setting or an argument, with its default to be replaced.
fn setting(setting: &Setting, typed: &Range<usize>) -> Item {
    let detail = match setting.default {
        Some(default) => format!("{}; default {default}", setting.ty.described()),
        None if setting.required => format!("{}; required", setting.ty.described()),
        None => setting.ty.described(),
    };
    let sample = setting.default.map_or_else(|| values::sample(setting.ty), str::to_owned);
    Item::new(setting.name, ItemKind::Setting, typed.clone())
        .detail(detail)
        .doc(setting.doc)
        .inserts(format!("{}: ", setting.name), format!("{}: ${{1:{}}}", setting.name, escaped(&sample)))
}

/// What continues a value, and the clauses that may come after it.
fn rest(context: &Context, ty: Type) -> Vec<Item> {
    let mut list = values::continuations(context, ty);
    if let Some(verb) = context.clauses() {
        let words = context.words();
        let free = verb.clauses.iter().filter(|clause| !words.contains(&clause.name));
        list.extend(free.map(|clause| {
            let sample = escaped(&values::sample(clause.ty));
            Item::new(clause.name, ItemKind::Setting, context.typed.clone())
                .detail(clause.ty.described())
                .doc(clause.doc)
                .inserts(format!("{} ", clause.name), format!("{} ${{1:{sample}}}", clause.name))
        }));
    }
    list
}

/// Modules of the standard library, after `use`.
fn modules(snapshot: &Snapshot, context: &Context) -> Vec<Item> {
    // The whole path is replaced, which may have dots.
    let start = context.statement.get(1).map_or(context.typed.start, |token| token.range.start);
    let range = start..context.typed.end;
    let mut list: Vec<Item> = STANDARD_LIBRARY
        .iter()
        .map(|(name, text)| {
            let doc = text.lines().map_while(|line| line.strip_prefix("## ")).collect::<Vec<_>>().join(" ");
            Item::new(*name, ItemKind::Module, range.clone()).detail("standard library").doc(doc)
        })
        .collect();
    let files = values::files_beside(snapshot);
    list.extend(
        files.into_iter().map(|file| Item::new(format!("\"{file}\""), ItemKind::Module, range.clone())),
    );
    list
}

/// The names that a module exports.
fn names_of(snapshot: &Snapshot, module: &str, typed: &Range<usize>) -> Vec<Item> {
    let text = STANDARD_LIBRARY.iter().find(|(name, _)| *name == module);
    let path = module.trim_matches('"');
    let used = snapshot.modules.iter().find(|m| match &m.place {
        Place::Standard(name) => *name == module,
        Place::File(file) => file.ends_with(path) && text.is_none() && m.place != snapshot.place,
    });
    let name = |declared: &super::modules::Declaration| {
        let kind = match declared.kind {
            super::modules::Kind::Template => ItemKind::Template,
            _ => ItemKind::Name,
        };
        let detail = super::symbols::one_line(&declared.written);
        Item::new(&declared.name, kind, typed.clone()).detail(detail).doc(&declared.doc)
    };
    match (used, text) {
        (Some(module), _) => exports(module).map(|declared| name(declared)).collect(),
        (None, Some((module, _))) => {
            super::modules::standard_exports(module).iter().map(|declared| name(declared)).collect()
        }
        (None, None) => Vec::new(),
    }
}
