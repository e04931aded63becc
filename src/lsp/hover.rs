//! Hover: what a word means, its type, unit and default, the value that it has here, and sparsity and learning rate over
//! time.

use std::ops::Range;

use super::modules::{Declaration, Kind, exports};
use super::over_time;
use super::place::Place;
use super::selection;
use super::snapshot::Snapshot;
use super::symbols::one_line;
use super::words::{Role, Word, is_keyword};
use crate::explain::{block_of, page, signature, values_of};
use crate::language::vocab::{Body, Choice, KEYWORDS, Setting, Type, UNITS, Verb};

/// What hover shows: the bytes of the word, and Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The bytes of the word.
    pub range: Range<usize>,
    /// The text.
    pub markdown: String,
}

/// The text about the word at an offset.
pub fn hover(snapshot: &Snapshot, offset: usize) -> Option<Shown> {
    let Some(word) = snapshot.word_at(offset) else { return keyword(snapshot, offset) };
    let mut text = about(snapshot, word).or_else(|| keyword(snapshot, offset).map(|shown| shown.markdown))?;
    if let Some(value) = snapshot.computed(&word.range).filter(|value| !text.contains(&format!("`{value}`")))
    {
        text.push_str(&format!("\n\nHere: `{value}`"));
    }
    if let Some(more) = over_time_at(snapshot, word, offset) {
        text.push_str(&format!("\n\n{}", more.trim_end()));
    }
    Some(Shown { range: word.range.clone(), markdown: text })
}

fn about(snapshot: &Snapshot, word: &Word) -> Option<String> {
    Some(match &word.role {
        Role::Verb(verb) => of_verb(verb),
        Role::Setting(setting, owner, value) => of_setting(snapshot, setting, owner, value),
        Role::Value(choice) | Role::Shape(choice) => of_choice(choice),
        Role::Type(name) => format!("`{name}`: the type of a `param`"),
        Role::Declares(declared) | Role::Refers(declared) => of_declaration(snapshot, declared, word),
        Role::Module(name) => of_module(snapshot, name),
        Role::File(module) => {
            let module = snapshot.modules.get(*module);
            let names: Vec<String> = exports(module).map(|d| format!("`{}`", d.name)).collect();
            format!("Definitions: {}", names.join(", "))
        }
        Role::Pattern(pattern) => {
            let matches = selection::pattern_matches(snapshot, pattern, word.range.start);
            matches.unwrap_or_else(|| {
                "A pattern of parameters' names. The model's parameters are unknown.".to_owned()
            })
        }
        Role::Code(code) => format!("**{code}**: {}\n\n{}", code.title(), page(*code)?.why),
        Role::Unit => {
            let text = &snapshot.text()[word.range.clone()];
            let named = |(name, _): &&(&str, &str)| *name == text || name.strip_suffix('s') == Some(text);
            let (name, doc) = UNITS.iter().find(named)?;
            format!("`{name}`: {doc}")
        }
        Role::Keyword | Role::Output | Role::Unknown => return None,
    })
}

/// A word that only joins others, which the tree does not have.
fn keyword(snapshot: &Snapshot, offset: usize) -> Option<Shown> {
    let touches = |token: &&super::lexer::Token| token.range.start <= offset && offset <= token.range.end;
    let token = snapshot.tokens.iter().filter(touches).find(|t| is_keyword(t.text(snapshot.text())))?;
    let name = token.text(snapshot.text());
    let keyword = KEYWORDS.iter().find(|keyword| keyword.name == name)?;
    let markdown = format!("{}\n\n```obert\n{}\n```", keyword.doc, keyword.form);
    Some(Shown { range: token.range.clone(), markdown })
}

fn of_verb(verb: &Verb) -> String {
    let mut text = format!("{}\n\n```obert\n{}\n```", verb.doc, verb.form);
    let names: Vec<String> = block_of(verb).iter().map(|setting| format!("`{}`", setting.name)).collect();
    if !names.is_empty() && !matches!(verb.body, Body::Statements(_)) {
        text.push_str(&format!("\n\nIts settings: {}", names.join(", ")));
    }
    text
}

fn of_setting(snapshot: &Snapshot, setting: &Setting, owner: &str, value: &Range<usize>) -> String {
    let mut text = format!("**{owner}.{}**: {}\n\n{}", setting.name, setting.ty.described(), setting.doc);
    text.push_str(&match setting.default {
        Some(default) => format!("\n\nDefault: `{default}`"),
        None if setting.required => "\n\nIt must be given.".to_owned(),
        None => "\n\nIt may be left out.".to_owned(),
    });
    // The words of a choice are in the description of its type.
    let choices = values_of(setting.ty);
    if !choices.is_empty() && !matches!(setting.ty, Type::Sparsity | Type::Rates) {
        for choice in choices {
            text.push_str(&format!("\n- `{}`: {}", signature(choice), choice.doc));
        }
    }
    if !setting.formerly.is_empty() {
        let names: Vec<String> = setting.formerly.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\n\nIn other tools: {}", names.join(", ")));
    }
    let written = &snapshot.text()[value.clone()];
    if let Some(computed) = snapshot.computed(value).filter(|computed| computed != written) {
        text.push_str(&format!("\n\nHere: `{computed}`"));
    }
    text
}

fn of_choice(choice: &Choice) -> String {
    let mut text = format!("`{}`\n\n{}", signature(choice), choice.doc);
    for argument in choice.arguments {
        let default = argument.default.map_or(String::new(), |default| format!(" (default `{default}`)"));
        text.push_str(&format!("\n- `{}`{default}: {}", argument.name, argument.doc));
    }
    text
}

fn of_declaration(snapshot: &Snapshot, declared: &Declaration, word: &Word) -> String {
    let home = match &declared.place {
        Place::Standard(module) => format!(" from `{module}`"),
        Place::File(path) if declared.place != snapshot.place => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            format!(" from `{}`", name.to_string_lossy())
        }
        Place::File(_) => String::new(),
    };
    let written = one_line(&declared.written);
    let name = &declared.name;
    let head = match declared.kind {
        Kind::Parameter | Kind::TemplateParameter => {
            let ty = declared.ty.as_deref().unwrap_or("");
            let default = if written.is_empty() { String::new() } else { format!(" = {written}") };
            format!("param {name}: {ty}{default}")
        }
        Kind::Value => format!("let {name} = {written}"),
        Kind::Template | Kind::Recipe | Kind::Stage => written,
    };
    let mut text = format!("```obert\n{head}\n```");
    if !home.is_empty() {
        text.push_str(&format!("\n{}{home}", kind(declared.kind)));
    }
    if !declared.doc.is_empty() {
        text.push_str(&format!("\n\n{}", declared.doc));
    }
    for parameter in snapshot.modules.template_parameters(declared) {
        let (ty, default) = (parameter.ty.as_deref().unwrap_or(""), one_line(&parameter.written));
        let default = if default.is_empty() { String::new() } else { format!(" = {default}") };
        text.push_str(&format!("\n- `{}: {ty}{default}` {}", parameter.name, one_line(&parameter.doc)));
    }
    let selector = selection::declared(&snapshot.modules, declared);
    let parameters = selection::parameters(snapshot, word.range.start);
    if let Some((selector, table)) = selector.zip(parameters)
        && let Some(matches) = selection::matches(&selector, &table)
    {
        text.push_str(&format!("\n\n{matches}"));
    }
    if matches!(declared.kind, Kind::Stage | Kind::Recipe)
        && let Some(summary) =
            snapshot.stage_named(&declared.name).and_then(|i| over_time::stage_summary(snapshot, i))
    {
        text.push_str(&format!("\n\n{}", summary.trim_end()));
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Parameter => "a parameter",
        Kind::TemplateParameter => "a parameter of a template",
        Kind::Value => "a name",
        Kind::Template => "a template",
        Kind::Recipe => "a recipe",
        Kind::Stage => "a stage",
    }
}

fn of_module(snapshot: &Snapshot, name: &'static str) -> String {
    let mut text = format!("**{name}**");
    for declared in snapshot.modules.of(&Place::Standard(name)).into_iter().flat_map(exports) {
        let doc = one_line(&declared.doc);
        text.push_str(&format!("\n- `{}`: {doc}", declared.name));
    }
    text
}

/// Sparsity or learning rate over time, where the word is about it.
fn over_time_at(snapshot: &Snapshot, word: &Word, offset: usize) -> Option<String> {
    let about = match &word.role {
        Role::Verb(verb) => verb.name,
        Role::Setting(setting, "prune", _) if ["sparsity", "over", "every"].contains(&setting.name) => {
            "prune"
        }
        Role::Shape(_) if snapshot.statement_at(offset, "lr").is_some() => "lr",
        Role::Shape(_) => "prune",
        _ => return None,
    };
    match about {
        "prune" => over_time::sparsity_table(snapshot, over_time::prune_at(snapshot, offset)?),
        "lr" => over_time::rate_table(snapshot, snapshot.stage_at(offset)?),
        "stage" | "branch" => over_time::stage_summary(snapshot, snapshot.stage_at(offset)?),
        "recipe" => {
            let recipe = snapshot.compiled.recipe.as_ref()?;
            let only = recipe.stages.len() == 1;
            only.then(|| over_time::stage_summary(snapshot, 0)).flatten()
        }
        _ => None,
    }
}
