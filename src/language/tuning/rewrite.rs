//! Changes settings of `obs` in a recipe's text; comments and everything else stay as they are.

use crate::diag::{Code, Diagnostic, FileId, Findings, Span};
use crate::language::format;
use crate::language::syntax::ast::{Argument, Block, Entry, Expr, ExprKind, Item, Member};
use crate::language::syntax::parse_file;
use crate::language::vocab::{Setting, Type};
use crate::schedule::ir::Obs;
use crate::settings::Settings;

/// A setting's name and its new value as text.
pub type Change<'a> = (&'a str, &'a str);

/// The text of the recipe file `main` with changed settings in the `by: obs(…)` at `by`, formatted.
///
/// # Errors
/// A diagnostic that says what to write instead, if the settings are not written in this text: the `prune` belongs to
/// a template of another file, or `by:` refers to a declared name (`by: mine`) whose `obs(…)` is written elsewhere.
pub fn with_settings(text: &str, main: FileId, by: Span, changes: &[Change]) -> Result<String, Diagnostic> {
    let written =
        changes.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ");
    if by.file != main {
        let message = "the best setting cannot be written into a template of another file";
        return Err(Diagnostic::error(
            Code::NotWritable,
            message,
            by,
            "this `prune` belongs to a template in another file",
        )
        .help(format!("write a `prune` of your own into the recipe, with `by: obs({written}, …)`")));
    }
    let parsed = parse_file(main, text, &mut Findings::new());
    let entries = parsed.file.items.iter().filter_map(|item| match item {
        Item::Entry(entry) => Some(entry),
        _ => None,
    });
    let found = entries.filter_map(|entry| find(entry, by, false)).next();
    let elsewhere = |help: String| {
        Diagnostic::error(Code::NotWritable, "the best setting cannot be written here", by, "the criterion")
            .help(help)
    };
    let Some((criterion, in_template)) = found else {
        return Err(elsewhere(format!("write `by: obs({written}, …)`")));
    };
    let edits = match &criterion.kind {
        ExprKind::Name(path) if path.len() == 1 && path[0].value == "obs" => {
            vec![(criterion.span, format!("obs({written})"))]
        }
        ExprKind::Name(_) => {
            return Err(elsewhere(format!(
                "it has a name: write `obs({written}, …)` where that is declared"
            )));
        }
        ExprKind::Call(_, arguments) => edits(text, arguments, criterion.span, changes)?,
        _ => return Err(elsewhere(format!("write `by: obs({written}, …)`"))),
    };
    let changed = apply(text, edits);
    let mut findings = Findings::new();
    let parsed = parse_file(main, &changed, &mut findings);
    if findings.has_errors() {
        let template = if in_template { "the template" } else { "the recipe" };
        return Err(elsewhere(format!("write `by: obs({written}, …)` into {template} yourself")));
    }
    Ok(format(&changed, &parsed))
}

/// The value of the `by:` with this span, and whether it is in a template.
fn find(entry: &Entry, by: Span, in_template: bool) -> Option<(&Expr, bool)> {
    let in_template = in_template || entry.verb.value == "template";
    let members = entry.body.as_ref().map_or(&[][..], |Block { members, .. }| members);
    members.iter().find_map(|member| match member {
        Member::Setting(setting) if setting.key.is_word("by") && setting.value.span == by => {
            Some((&setting.value, in_template))
        }
        Member::Entry(inner) => find(inner, by, in_template),
        _ => None,
    })
}

/// The edits of the arguments of `obs(…)`.
fn edits(
    text: &str,
    arguments: &[Argument],
    call: Span,
    changes: &[Change],
) -> Result<Vec<(Span, String)>, Diagnostic> {
    let mut edits = Vec::new();
    let mut new = Vec::new();
    for (name, value) in changes {
        match arguments_of(arguments).find(|(setting, _)| setting.name == *name) {
            Some((setting, argument)) if named(&argument.value, setting.ty) => {
                let span = argument.value.span;
                let message =
                    format!("`{name}` refers to a name, so `--write` cannot replace its value here");
                return Err(Diagnostic::error(Code::NotWritable, message, span, "declared elsewhere").help(
                    format!(
                        "write `{value}` here or in the declaration of the name; if it is a `param`, `--set NAME={value}` also works"
                    ),
                ));
            }
            Some((_, argument)) => edits.push((argument.value.span, (*value).to_owned())),
            None => new.push(format!("{name}: {value}")),
        }
    }
    if !new.is_empty() {
        let added = new.join(", ");
        match arguments.last() {
            Some(last) => {
                // New arguments are placed after a comment on the last one, not before it.
                let (end, close) = (last.value.span.range().end, call.range().end - 1);
                let comma = if text[end..close].trim_start().starts_with(',') { "" } else { ", " };
                if end == close {
                    edits.push((Span::new(call.file, end..end), format!("{comma}{added}")));
                } else {
                    edits.push((Span::new(call.file, close..close), added));
                    edits.push((Span::new(call.file, end..end), comma.to_owned()));
                }
            }
            None => edits.push((call, format!("obs({added})"))),
        }
    }
    Ok(edits)
}

/// Each argument with its setting, given by name or by position.
fn arguments_of(arguments: &[Argument]) -> impl Iterator<Item = (&'static Setting, &Argument)> {
    let mut unnamed = Obs::TABLE.iter();
    arguments.iter().filter_map(move |argument| {
        let setting = match &argument.name {
            Some(name) => Obs::TABLE.iter().find(|s| s.name == name.value),
            None => unnamed.next(),
        };
        Some((setting?, argument))
    })
}

/// Whether a value contains a declared name.
fn named(expr: &Expr, ty: Type) -> bool {
    match &expr.kind {
        ExprKind::Name(path) => {
            let word = path.last().map_or("", |w| w.value.as_str());
            let known = match ty {
                Type::Choice(choices) => choices.iter().any(|c| c.name == word),
                Type::Bool => matches!(word, "true" | "false"),
                Type::Damp => matches!(word, "or" | "raise"),
                _ => false,
            };
            !known
        }
        ExprKind::Binary(_, left, right) | ExprKind::Range(left, right) | ExprKind::Ramp(left, right) => {
            named(left, ty) || named(right, ty)
        }
        ExprKind::Negate(inner) | ExprKind::Paren(inner) => named(inner, ty),
        ExprKind::Phrase(items) | ExprKind::List(items) => items.iter().any(|item| named(item, ty)),
        ExprKind::Quantity(..) | ExprKind::Text(_) | ExprKind::Regex(_) | ExprKind::Call(..) => false,
    }
}

fn apply(text: &str, mut edits: Vec<(Span, String)>) -> String {
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.range().start));
    let mut text = text.to_owned();
    for (span, written) in edits {
        text.replace_range(span.range(), &written);
    }
    text
}
