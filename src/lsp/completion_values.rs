//! Completion of values: words of a type, names in scope, and texts in quotes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::completion_item::{Item, ItemKind, escaped};
use super::context::{Context, Expected};
use super::modules::{Declaration, Kind};
use super::selection;
use super::snapshot::Snapshot;
use super::symbols::one_line;
use crate::diag::Code;
use crate::explain::{signature, values_of};
use crate::language::vocab::parameter_types::parameter_type;
use crate::language::vocab::{Choice, SHAPES, Type};
use crate::params::ParameterTable;
use crate::params::builtin::WELL_KNOWN;
use crate::params::table::layer_of;
use crate::schedule::ir::START;

/// The most names of parameters that are listed.
const MOST_NAMES: usize = 500;

/// The values of a type.
pub(super) fn of(snapshot: &Snapshot, context: &Context, ty: Type) -> Vec<Item> {
    let typed = &context.typed;
    let mut list: Vec<Item> = Vec::new();
    // Shapes come after two values.
    if !matches!(ty, Type::Sparsity | Type::Rates) {
        list.extend(values_of(ty).iter().map(|choice| of_choice(choice, typed)));
    }
    match ty {
        Type::Bool => {
            let words = ["true", "false"];
            list.extend(words.map(|word| Item::new(word, ItemKind::Value, typed.clone())));
        }
        Type::Stage | Type::Teacher => {
            let stages = snapshot.modules.own().declarations.iter().filter(|d| d.kind == Kind::Stage);
            list.extend(stages.map(|d| {
                Item::new(&d.name, ItemKind::Stage, typed.clone()).detail(one_line(&d.written)).doc(&d.doc)
            }));
            if ty == Type::Stage {
                let item = Item::new(START, ItemKind::Stage, typed.clone());
                list.push(item.detail("the model that the run starts from"));
            }
        }
        Type::Template => {
            let visible = snapshot.modules.visible();
            let templates = visible.iter().filter(|d| d.kind == Kind::Template);
            list.extend(templates.map(|d| name(d, typed)));
        }
        Type::Names if context.words().first() == Some(&"allow") => {
            let lints = Code::ALL.iter().filter(|code| code.is_lint());
            list.extend(lints.map(|code| {
                Item::new(code.to_string(), ItemKind::Value, typed.clone()).detail(code.title())
            }));
        }
        Type::Params => {
            let item = Item::new("params(\"…\")", ItemKind::Value, typed.clone());
            list.push(item.doc("A pattern of parameters' names.").inserts("params(\"", "params(\"$1\")"));
        }
        Type::Model => {
            let models = WELL_KNOWN.iter();
            list.extend(
                models.map(|model| Item::new(format!("\"{model}\""), ItemKind::Value, typed.clone())),
            );
        }
        _ => {}
    }
    list.extend(names(snapshot, context, ty).iter().map(|declared| name(declared, typed)));
    list
}

/// The declared names whose value may have a type.
fn names(snapshot: &Snapshot, context: &Context, ty: Type) -> Vec<Arc<Declaration>> {
    let mut list = snapshot.modules.visible();
    let template = context.template().and_then(|name| snapshot.modules.find(0, name, true));
    list.extend(template.iter().flat_map(|template| template.parameters.iter().cloned()));
    list.retain(|declared| match declared.kind {
        Kind::Parameter | Kind::TemplateParameter => {
            declared.ty.as_deref().and_then(parameter_type).is_some_and(|declared| fits(declared, ty))
        }
        Kind::Value => {
            let selects = selection::declared(&snapshot.modules, declared).is_some();
            selects == (ty == Type::Params) && !matches!(ty, Type::NewName | Type::Template | Type::Stage)
        }
        _ => false,
    });
    list
}

/// Whether a parameter of a type may be written where another is expected.
fn fits(declared: Type, wanted: Type) -> bool {
    let parts = match wanted {
        Type::Span => Type::Duration,
        Type::Sparsity => Type::Ratio,
        Type::Rates => Type::Rate,
        other => other,
    };
    declared == wanted
        || declared == parts
        || declared == Type::Number && matches!(wanted, Type::Rate | Type::Count)
}

fn name(declared: &Declaration, typed: &Range<usize>) -> Item {
    let (kind, detail) = match declared.kind {
        Kind::Template => (ItemKind::Template, one_line(&declared.written)),
        Kind::Stage => (ItemKind::Stage, one_line(&declared.written)),
        Kind::Parameter | Kind::TemplateParameter => {
            let ty = declared.ty.as_deref().unwrap_or("");
            (ItemKind::Name, format!("{ty} = {}", one_line(&declared.written)))
        }
        _ => (ItemKind::Name, one_line(&declared.written)),
    };
    Item::new(&declared.name, kind, typed.clone()).detail(detail).doc(&declared.doc)
}

/// A word of a choice; its required arguments are to be filled in.
fn of_choice(choice: &Choice, typed: &Range<usize>) -> Item {
    let item =
        Item::new(choice.name, ItemKind::Value, typed.clone()).detail(signature(choice)).doc(choice.doc);
    let required: Vec<String> = choice
        .arguments
        .iter()
        .filter(|argument| argument.required)
        .enumerate()
        .map(|(i, argument)| format!("{}: ${{{}:{}}}", argument.name, i + 1, escaped(&sample(argument.ty))))
        .collect();
    match required.is_empty() {
        true => item,
        false => {
            item.inserts(format!("{}(", choice.name), format!("{}({})", choice.name, required.join(", ")))
        }
    }
}

/// The words that continue a value.
pub(super) fn continuations(context: &Context, ty: Type) -> Vec<Item> {
    let typed = &context.typed;
    let word = |text: &str, kind| Item::new(text, kind, typed.clone());
    let last = context.statement.last();
    let number = last.is_some_and(|token| token.kind == super::lexer::Kind::Number);
    let words = context.words();
    let mut list = Vec::new();
    match ty {
        Type::Duration | Type::Span | Type::After if number => {
            list.extend(["epochs", "steps"].map(|unit| word(unit, ItemKind::Unit)));
        }
        Type::Bytes if number => list.extend(["MiB", "GiB"].map(|unit| word(unit, ItemKind::Unit))),
        Type::Sparsity | Type::Rates => {
            list.extend(SHAPES.iter().map(|shape| of_choice(shape, typed)));
            if ty == Type::Rates && !words.contains(&"repeating") {
                list.push(
                    word("repeating", ItemKind::Keyword).inserts("repeating ", "repeating ${1:4 epochs}"),
                );
            }
        }
        Type::Params => {
            list.extend(
                ["except", "expect"].map(|text| {
                    word(text, ItemKind::Keyword).inserts(format!("{text} "), format!("{text} $1"))
                }),
            );
        }
        Type::Damp if number => {
            list.push(word("or raise", ItemKind::Keyword));
        }
        _ => {}
    }
    // `10% of run`
    let percent = last.is_some_and(|token| context.word(token) == "%");
    if percent && matches!(ty, Type::Duration | Type::Span) {
        list.push(word("of run", ItemKind::Keyword));
    }
    list
}

/// A value of a type to start from.
pub(super) fn sample(ty: Type) -> String {
    match ty {
        Type::Choice(choices) => choices.first().map_or(String::new(), |choice| choice.name.to_owned()),
        Type::NewName => "name".to_owned(),
        Type::Stage => START.to_owned(),
        Type::Teacher => "teacher".to_owned(),
        Type::Template => "template".to_owned(),
        Type::Data => "squad".to_owned(),
        Type::Model => "\"bert-base-uncased\"".to_owned(),
        Type::Params => "encoder_linears".to_owned(),
        Type::After => "after 3 epochs".to_owned(),
        _ => ty.example().split('`').nth(1).unwrap_or("").to_owned(),
    }
}

/// Texts in quotes: parameters, models and files. `string` are the bytes from the quote to the cursor.
pub(super) fn in_quotes(
    snapshot: &Snapshot,
    context: &Context,
    expected: &Expected,
    string: Range<usize>,
) -> Vec<Item> {
    let inside = string.start + 1..string.end.max(string.start + 1);
    let item = |text: &str, kind| Item::new(text, kind, inside.clone());
    let callee = context.statement.iter().rev().nth(1).map(|token| context.word(token));
    match expected {
        Expected::Pattern | Expected::Value(Type::Params) => {
            let table = selection::parameters(snapshot, string.start);
            table.map_or(Vec::new(), |table| parameters(&table, &inside))
        }
        Expected::Module => files_beside(snapshot).iter().map(|file| item(file, ItemKind::Module)).collect(),
        Expected::Value(Type::Model | Type::Teacher) => {
            WELL_KNOWN.iter().map(|model| item(model, ItemKind::Value)).collect()
        }
        Expected::Argument(..) | Expected::Value(Type::Text) if callee == Some("states") => {
            let table = selection::parameters(snapshot, string.start);
            let stem = table.as_ref().and_then(|table| table.layer_stem());
            stem.map(|stem| item(&format!("{stem}*"), ItemKind::Parameter)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The names of parameters: patterns over all layers first, then every name.
fn parameters(table: &ParameterTable, range: &Range<usize>) -> Vec<Item> {
    let mut list: Vec<Item> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for parameter in table.iter() {
        let Some((stem, _, rest)) = layer_of(&parameter.name) else { continue };
        let pattern = format!("{stem}*{rest}");
        if seen.insert(pattern.clone()) {
            let detail = format!("{:?} in every layer", parameter.shape);
            list.push(Item::new(pattern, ItemKind::Parameter, range.clone()).detail(detail));
        }
    }
    let names = table.iter().take(MOST_NAMES);
    list.extend(names.map(|parameter| {
        Item::new(&parameter.name, ItemKind::Parameter, range.clone())
            .detail(format!("{:?}", parameter.shape))
    }));
    list
}

/// The other recipes in the folder of the document.
pub(super) fn files_beside(snapshot: &Snapshot) -> Vec<String> {
    let own = Path::new(&snapshot.name);
    let Some(entries) = own.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let own = own.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut files: Vec<String> = names
        .filter(|name| name.ends_with(".obert") && Some(name) != own.as_ref())
        .take(MOST_NAMES)
        .collect();
    files.sort();
    files
}
