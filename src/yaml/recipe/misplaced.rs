//! Diagnostics for modifiers and stages that SparseML does not read because of where they are written.

use crate::diag::{Code, Diagnostic};
use crate::yaml::reader::{Entry, Value};

use super::block;
use super::registry::group_of;
use super::role::{Role, is_modifier_name, key};

/// Reports a stage beside a group: SparseML reads the groups only. `text` is the recipe's text, and `entries` are all
/// entries on the level of the stage and the group.
pub(super) fn stage_beside_group(text: &str, stage: &Entry, group: &Entry, entries: &[Entry]) -> Diagnostic {
    let inner = stage.value.entries();
    let taken = |e: &Entry| entries.iter().any(|other| key(other) == key(e));
    let moves = inner.iter().all(|e| Role::of(e) == Role::Group && !taken(e));
    let names: Vec<String> = inner.iter().map(|e| format!("`{}`", key(e))).collect();
    let help = if moves {
        format!("move {} to the level of `{}`, without `{}`", names.join(" and "), key(group), key(stage))
    } else {
        format!("put `{}` into a stage too", key(group))
    };
    let diagnostic = Diagnostic::error(
        Code::MisplacedModifier,
        format!("the stage `{}` is on the same level as a group", key(stage)),
        stage.key.span,
        "SparseML ignores the whole stage",
    )
    .and_at(group.key.span, "because of this group")
    .help(help);
    let whole = stage.key.span.to(stage.value.place);
    match moves.then(|| block::moved_out(text, whole, stage.value.span)).flatten() {
        Some(moved) => diagnostic.fix(whole, moved),
        None => diagnostic,
    }
}

/// Reports a stage beside the key `stages`: SparseML reads the stages below that key only.
pub(super) fn stage_beside_stages(stage: &Entry, all: &Entry) -> Diagnostic {
    Diagnostic::error(
        Code::MisplacedModifier,
        format!("the stage `{}` is beside `stages`", key(stage)),
        stage.key.span,
        "SparseML reads the stages below `stages` only",
    )
    .and_at(all.key.span, "because of this")
    .help(format!("move `{}` below `stages`", key(stage)))
}

/// Reports an entry whose modifiers are in no group, or in a group whose key lacks the word `modifiers`.
/// `alone` says whether it is the only such entry on its level.
pub(super) fn modifiers_outside_groups(text: &str, entry: &Entry, alone: bool, code: Code) -> Diagnostic {
    let at = entry.key.span;
    let modifiers: Vec<&Entry> = entry.value.entries().iter().filter(|e| is_modifier_name(key(e))).collect();
    let listed = matches!(&entry.value.value, Value::List(_));
    if listed || entry.value.tag.is_some() && !is_modifier_name(key(entry)) {
        let name = format!("{}_modifiers", key(entry));
        return Diagnostic::error(
            code,
            format!("SparseML does not read the modifiers under `{}`", key(entry)),
            at,
            "the key of a group contains `modifiers`",
        )
        .help(format!("did you mean `{name}`?"))
        .fix(at, name);
    }
    let (whole, first) = match modifiers.first() {
        _ if is_modifier_name(key(entry)) => (at.to(entry.value.place), key(entry)),
        Some(first) => (entry.value.span, key(first)),
        None => (at, key(entry)),
    };
    let group = group_of(first);
    let fixable = match modifiers.len() {
        0 => alone,
        some => some == entry.value.entries().len() && !is_modifier_name(key(entry)),
    };
    let place = if is_modifier_name(key(entry)) { at } else { modifiers.first().map_or(at, |m| m.key.span) };
    let diagnostic = Diagnostic::error(
        code,
        format!("`{first}` is not in a group of modifiers"),
        place,
        "SparseML ignores it silently",
    )
    .help(format!("write `{group}:` above it, and indent the modifier by two more columns"));
    match fixable.then(|| block::wrapped(text, whole, group)).flatten() {
        Some(wrapped) => diagnostic.fix(whole, wrapped),
        None => diagnostic,
    }
}
