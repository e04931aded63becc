//! Checking of library files, which declare templates and names but no recipe: each declaration is compiled
//! in a trial recipe.

use crate::diag::{Code, Diagnostic, Findings, Label, Sources};

use super::syntax::ast::{Expr, ExprKind, Item};
use super::syntax::parse_file;
use super::{Compilation, Loader, Options, compile};

/// The declarations of a library file, which other files can `use`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The names of its templates.
    pub templates: Vec<String>,
    /// Its names for selectors of parameters.
    pub sets: Vec<String>,
    /// The number of its other names.
    pub values: usize,
}

/// The declarations of a library file; `None` for a file with a recipe, or without declarations.
pub fn parts(text: &str) -> Option<Parts> {
    let mut sources = Sources::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = sources.add("", text);
    let mut parts = Parts::default();
    for item in parse_file(file, text, &mut Findings::new()).file.items {
        match item {
            Item::Entry(entry) if entry.verb.value == "recipe" => return None,
            Item::Entry(entry) if entry.verb.value == "template" => {
                let name = entry.operands.first().and_then(|o| o.as_word());
                parts.templates.extend(name.map(|w| w.value.clone()));
            }
            Item::Binding(binding) if selects(&binding.value) => parts.sets.push(binding.name.value),
            Item::Binding(_) => parts.values += 1,
            _ => {}
        }
    }
    (parts != Parts::default()).then_some(parts)
}

/// Whether a value is written as a selector of parameters.
fn selects(value: &Expr) -> bool {
    match &value.items()[0].kind {
        ExprKind::Regex(_) => true,
        ExprKind::Call(word, _) => word.value == "params",
        ExprKind::List(items) => items.first().is_some_and(selects),
        _ => false,
    }
}

/// Compiles a library file: every template is extended with its defaults, every set is used. Diagnostics that
/// depend on the recipe, its model or its data are left to the recipes that use the file.
pub fn check(name: &str, text: &str, parts: &Parts, loader: &dyn Loader) -> Compilation {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut whole = compile(name, text, loader, Options::default());
    whole.diagnostics.retain(|d| !matches!(d.code, Code::NoRecipe | Code::UnusedName));
    if whole.has_errors() {
        return whole;
    }
    for part in trials(parts) {
        let mut found = trial(name, text, &part, "", loader);
        // A template without a length gets that of the stage that extends it.
        if found.iter().any(|d| d.code == Code::LengthMissing) {
            found = trial(name, text, &part, " for 30 epochs", loader);
            found.retain(|d| !(400..500).contains(&d.code.number()));
        }
        for diagnostic in found {
            keep(diagnostic, &mut whole, text.len());
        }
    }
    whole.diagnostics.sort_by_key(|d| d.primary.as_ref().map_or(u32::MAX, |l| l.span.start));
    whole
}

/// The head and the statements of trial recipes: one for each template, and one for all sets.
fn trials(parts: &Parts) -> Vec<(String, String)> {
    let extends = |name: &String| (format!(" extends {name}"), String::new());
    let mut list: Vec<(String, String)> = parts.templates.iter().map(extends).collect();
    let sets = parts.sets.join(", ");
    let hold = if sets.is_empty() { sets } else { format!("hold [{sets}]\n") };
    list.push((" for 1 epoch".to_owned(), format!("lr {{ 0..1 epochs: 1e-5 }}\n{hold}")));
    list
}

fn trial(
    name: &str,
    text: &str,
    (head, statements): &(String, String),
    length: &str,
    loader: &dyn Loader,
) -> Vec<Diagnostic> {
    let recipe = format!(
        "{text}\nrecipe trial_of_a_part{head}{length} {{\nmodel: \"no/model\"\ndata: squad\n{statements}}}\n"
    );
    compile(name, &recipe, loader, Options::default()).diagnostics
}

/// Adds a diagnostic of a trial recipe if it is about the text of the library file, once, without those of its labels
/// that point into the trial recipe.
fn keep(mut diagnostic: Diagnostic, whole: &mut Compilation, length: usize) {
    let main = whole.main;
    let own = |label: &Label| label.span.file == main && label.span.end as usize <= length;
    let about_values = (200..500).contains(&diagnostic.code.number())
        || matches!(
            diagnostic.code,
            Code::SparsityFalls | Code::BlockDoesNotFit | Code::SettingHasNoEffect | Code::SchemeWithoutSense
        );
    let asked_for = matches!(diagnostic.code, Code::ParameterWithoutValue | Code::UnusedName);
    if !diagnostic.is_error() || asked_for || !about_values || !diagnostic.primary.as_ref().is_some_and(own) {
        return;
    }
    diagnostic.secondary.retain(|label| own(label) || label.span.file.0 < main.0);
    if !whole.diagnostics.contains(&diagnostic) {
        whole.diagnostics.push(diagnostic);
    }
}
