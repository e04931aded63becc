//! Placement: which statements are allowed in a file, a recipe and a stage.

use std::collections::HashMap;

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::language::syntax::ast::Entry;
use crate::language::vocab::{Body, Place, Type, VERBS, verb};

use super::bound::Bound;
use super::names::Names;

/// Returns the statements that are allowed in `place`; the others are reported.
pub fn allowed_in(
    entries: Vec<Bound<Entry>>,
    place: Place,
    names: &Names,
    findings: &mut Findings,
) -> Vec<Bound<Entry>> {
    let mut kept: Vec<Bound<Entry>> = Vec::new();
    let mut single: HashMap<&str, Span> = HashMap::new();
    for entry in entries {
        match verb(&entry.node.verb.value) {
            Some(known) if known.places.contains(&place) => {
                if let Some(first) = single.get(known.name) {
                    findings.push(
                        Diagnostic::error(
                            Code::DuplicateStatement,
                            format!("`{}` is allowed only once here", known.name),
                            entry.node.head,
                            "a second one",
                        )
                        .and_at(*first, "the first")
                        .help("join them into one"),
                    );
                    continue;
                }
                if !known.repeats {
                    single.insert(known.name, entry.node.head);
                }
                kept.push(entry);
            }
            _ => match kept.last().filter(|before| continues_operand(&before.node, &entry, names)) {
                Some(before) => {
                    findings.push(missing_brackets(&before.node, &entry.node));
                    kept.pop();
                }
                None => findings.push(misplaced(&entry.node, place)),
            },
        }
    }
    kept
}

/// Whether `prune a, b { … }` was parsed as two statements: the second begins with a name of parameters
/// instead of a verb, and the first takes parameters and has no block.
fn continues_operand(before: &Entry, entry: &Bound<Entry>, names: &Names) -> bool {
    let takes = verb(&before.verb.value).and_then(|v| v.operand);
    let word = entry.node.verb.value.as_str();
    let is_params = word == "params" || names.visible(entry.scope).contains(&word);
    takes.is_some_and(|o| o.ty == Type::Params) && before.body.is_none() && is_params
}

fn missing_brackets(before: &Entry, entry: &Entry) -> Diagnostic {
    let word = &before.verb.value;
    Diagnostic::error(
        Code::UnknownVerb,
        format!("several sets of parameters after `{word}` without brackets"),
        entry.verb.span,
        "not a statement",
    )
    .and_at(before.head, "the statement")
    .help(format!("join them in brackets, as `{word} [a, b]`"))
}

/// Help for imports as in other languages, and for a recipe without its first word.
fn help_for(entry: &Entry, place: Place) -> Option<String> {
    let word = entry.verb.value.as_str();
    if place != Place::File {
        return None;
    }
    match word {
        "from" | "import" | "include" | "require" => {
            Some("bring names in with `use std.bert.{encoder_linears}`, or `use \"FILE\".{NAME}`".to_owned())
        }
        _ if entry.operands.first().is_some_and(|o| o.is_word("for")) && entry.body.is_some() => {
            Some(format!("begin it with `recipe`: `recipe {word} for … {{`"))
        }
        _ => None,
    }
}

/// The diagnostic of a statement that is unknown or not allowed in `place`.
pub fn misplaced(entry: &Entry, place: Place) -> Diagnostic {
    let word = &entry.verb.value;
    if let Some(known) = verb(word) {
        let belongs = match known.places {
            [Place::File] => "at the top of a file",
            [Place::Recipe] => "in a recipe, outside its stages",
            [Place::Recipe, ..] => "in a recipe or in a stage",
            _ if place == Place::Recipe => "in one of the recipe's stages",
            _ => "in a recipe or in a stage",
        };
        return Diagnostic::error(
            Code::MisplacedStatement,
            format!("`{word}` is not allowed here"),
            entry.verb.span,
            "not here",
        )
        .help(format!("it belongs {belongs}"));
    }
    if let Some(help) = help_for(entry, place) {
        let message = format!("there is no verb `{word}`");
        let diagnostic =
            Diagnostic::error(Code::UnknownVerb, message, entry.verb.span, "unknown verb").help(help);
        let is_recipe = entry.operands.first().is_some_and(|o| o.is_word("for"));
        return match is_recipe {
            true => diagnostic.fix(entry.verb.span, format!("recipe {word}")),
            false => diagnostic,
        };
    }
    let allowed = VERBS.iter().filter(|v| v.places.contains(&place)).map(|v| v.name);
    let settings = VERBS.iter().flat_map(|v| match v.body {
        Body::Statements(settings) => settings,
        _ => &[],
    });
    let near = nearest(word, allowed.clone().chain(["use", "param", "let", "edition"]));
    let is_setting = settings.clone().find(|s| s.name == word);
    let help = match (is_setting, near) {
        (Some(setting), _) => format!("`{0}` is a setting: write `{0}: …`", setting.name),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("the statements here are {}", allowed.collect::<Vec<_>>().join(", ")),
    };
    let diagnostic = Diagnostic::error(
        Code::UnknownVerb,
        format!("there is no verb `{word}`"),
        entry.verb.span,
        "unknown verb",
    )
    .help(help);
    match near.filter(|_| is_setting.is_none()) {
        Some(near) => diagnostic.fix(entry.verb.span, near),
        None => diagnostic,
    }
}
