//! Compares the fields of a modifier with those that its class declares.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};

use super::datum::{Datum, Located};
use super::modifier::Modifier;
use super::registry::{Family, Known};

/// A field of a modifier, as written in the recipe.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) name: String,
    pub(super) at: Span,
    /// Name and value.
    pub(super) whole: Span,
    pub(super) value: Option<Located>,
}

/// Reports fields that are unknown, missing or without effect. Returns whether the modifier can still be read.
pub(super) fn check(modifier: &Modifier, known: &Known, list: &[Given], findings: &mut Findings) -> bool {
    let table = if modifier.untagged { known.untagged } else { known.fields };
    let name = known.name;
    if table.is_empty() {
        let (form, other) = match modifier.untagged {
            true => ("without a tag", "with the tag"),
            false => ("with a tag", "without a tag, in a group"),
        };
        let message = format!("`{name}` cannot be written {form}");
        let diagnostic = Diagnostic::error(Code::ModifierRefused, message, modifier.at, "not in this form");
        findings.push(diagnostic.help(format!("write it {other}, as its own library does")));
        return false;
    }
    let mut readable = true;
    let mut misspelt: Vec<&str> = Vec::new();
    for given in list {
        if table.iter().any(|(field, _)| *field == given.name) {
            continue;
        }
        if given.name == "log_types" {
            if let Some(value) = &given.value {
                value.noted();
            }
            let message = "`log_types` does nothing in SparseML";
            let diagnostic = Diagnostic::advice(Code::Dropped, message, given.whole, "left out");
            findings.push(diagnostic.help("no change is needed"));
            continue;
        }
        if given.name == "global_sparsity"
            && let Family::Magnitude { global } = known.family
        {
            findings.push(fixed_ranking(modifier, given, global));
            readable = false;
            continue;
        }
        let near = nearest(&given.name, table.iter().map(|(field, _)| *field))
            .filter(|near| !list.iter().any(|g| g.name == *near));
        let renamed = [
            ("update_frequency", "update"),
            ("start_epoch", "start"),
            ("end_epoch", "end"),
            ("params", "targets"),
            ("mask_type", "mask_structure"),
            ("dampening", "damp"),
            ("dampening_frac", "damp"),
        ];
        let near = renamed
            .iter()
            .find(|(a, b)| *a == given.name && table.iter().any(|(f, _)| f == b))
            .map(|(_, b)| *b)
            .or(near);
        let taken = near.filter(|near| list.iter().any(|g| g.name == *near));
        let near = near.filter(|_| taken.is_none());
        let mut diagnostic = Diagnostic::error(
            Code::UnknownField,
            format!("`{name}` has no field `{}`", given.name),
            given.at,
            if modifier.untagged { "SparseML ignores it silently" } else { "unknown" },
        )
        .help(near.map_or(
            format!("its fields are {}", table.iter().map(|(f, _)| *f).collect::<Vec<_>>().join(", ")),
            |n| format!("did you mean `{n}`?"),
        ));
        if let Some(taken) = taken {
            diagnostic = diagnostic.help(format!("remove it: `{taken}` is given")).fix(given.whole, "");
        }
        if let Some(near) = near {
            misspelt.push(near);
            diagnostic = diagnostic.fix(given.at, near);
        }
        findings.push(diagnostic);
        readable = false;
    }
    for (field, required) in table {
        // An empty `params` selects parameters, and is reported where they are selected.
        let empty = |g: &Given| matches!(g.value.as_ref().map(Located::peek), Some(Datum::Null));
        if let Some(given) =
            list.iter().find(|g| *required && g.name == *field && empty(g) && *field != "params")
        {
            findings.push(
                Diagnostic::error(Code::MissingField, format!("`{field}` has no value"), given.at, "empty")
                    .help(format!("write its value after `{field}:`")),
            );
            readable = false;
        }
        if *required && !list.iter().any(|g| g.name == *field) && !misspelt.contains(field) {
            findings.push(
                Diagnostic::error(
                    Code::MissingField,
                    format!("`{name}` needs `{field}`"),
                    modifier.at,
                    format!("`{field}` is missing"),
                )
                .help(format!("add `{field}:` and its value")),
            );
            readable = false;
        }
    }
    readable
}

/// Reports `global_sparsity` of a modifier whose class has only one ranking.
fn fixed_ranking(modifier: &Modifier, given: &Given, global: bool) -> Diagnostic {
    let (how, other) = match global {
        true => ("globally", "MagnitudePruningModifier"),
        false => ("each parameter by itself", "GlobalMagnitudePruningModifier"),
    };
    let message = format!("`{}` has no field `global_sparsity`: it always ranks {how}", modifier.name);
    let diagnostic = Diagnostic::error(Code::UnknownField, message, given.whole, "SparseML refuses it");
    match given.value.as_ref().map(Located::peek) {
        Some(Datum::Bool(wished)) if *wished != global => {
            let mark = if modifier.untagged { "" } else { "!" };
            diagnostic
                .help(format!("use `{other}`, and remove this"))
                .fix(modifier.at, format!("{mark}{other}"))
        }
        _ => diagnostic.help("remove it").fix(given.whole, ""),
    }
}
