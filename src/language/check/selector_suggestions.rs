//! Suggestions for selectors: patterns close to one without a match, and the prunable part of a selection.

use std::collections::{BTreeMap, HashSet};

use crate::diag::counted;
use crate::params::table::layer_of;
use crate::params::{Parameter, ParameterTable, Selector};

/// The most kinds of names that are listed.
const MOST_KINDS: usize = 6;

/// The most patterns of a selector for which alternatives are tried.
const MOST_WIDENED: usize = 20;

/// The most similar names that are offered.
const MOST_NEAR: usize = 3;

/// Summarizes names as `12 × attention.self.key.weight` and so on, counting the layers of a kind together.
pub(super) fn grouped<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *kinds.entry(kind(name)).or_default() += 1;
    }
    let hidden = kinds.len().saturating_sub(MOST_KINDS);
    let mut parts: Vec<String> =
        kinds.iter().take(MOST_KINDS).map(|(kind, count)| format!("{count} × `{kind}`")).collect();
    if hidden > 0 {
        parts.push(counted(hidden, "other kind", "other kinds"));
    }
    parts.join(", ")
}

/// The part of a name after the number of its layer.
fn kind(name: &str) -> &str {
    let behind = name.find(".layer.").map(|at| &name[at + ".layer.".len()..]);
    match behind.and_then(|rest| rest.split_once('.')) {
        Some((number, rest)) if number.parse::<usize>().is_ok() => rest,
        _ => name,
    }
}

/// Help for a selector without a match, and a similar selector whose parameters are all suitable.
pub(super) fn nearest_selection(
    selector: &Selector,
    table: &ParameterTable,
    fit: Fit,
) -> (String, Option<Selector>) {
    let list = || ("list the names with `obertc params --model DIR '**'`".to_owned(), None);
    let patterns = selector.patterns();
    let found = patterns.iter().take(MOST_WIDENED).find_map(|pattern| wider(pattern, selector, table, fit));
    let Some(pattern) = patterns.first() else { return list() };
    let near = near_names(pattern, table, fit);
    let found = found.or_else(|| {
        let selection = |name: &&str| checked(Selector::Glob(as_general(pattern, name)), table, fit);
        near.iter().find_map(selection)
    });
    if let Some((meant, count)) = found {
        let stars = match meant {
            Selector::Regex(_) => "a regular expression must match whole names",
            _ => "`*` is one segment, `**` any text",
        };
        return (format!("did you mean `{meant}`, which matches {count}? {stars}"), Some(meant));
    }
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    match near.as_slice() {
        [] => list(),
        [one] => (format!("the nearest name is {one}"), None),
        several => (format!("the nearest names are {}", several.join(", ")), None),
    }
}

/// Whether a parameter is suitable for a statement.
pub(super) type Fit = fn(&Parameter) -> bool;

/// The names most similar to a pattern, one of each kind.
fn near_names<'a>(pattern: &str, table: &'a ParameterTable, fit: Fit) -> Vec<&'a str> {
    let distance = |name: &str| strsim::damerau_levenshtein(pattern, name);
    let mut seen = HashSet::new();
    let mut near: Vec<(usize, &str)> = table
        .iter()
        .filter(|p| fit(p))
        .map(|p| p.name.as_str())
        .filter(|name| seen.insert(kind(name)))
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= name.len().max(pattern.len()) * 2 / 3)
        .collect();
    near.sort_unstable();
    near.into_iter().take(MOST_NEAR).map(|(_, name)| name).collect()
}

/// A name with the layer number replaced by the pattern's `*` or `{0,1}`.
fn as_general(pattern: &str, name: &str) -> String {
    let wild = pattern
        .split('.')
        .skip_while(|segment| *segment != "layer")
        .nth(1)
        .filter(|segment| segment.contains(['*', '?', '{']));
    match (wild, layer_of(name)) {
        (Some(wild), Some((before, _, rest))) => format!("{before}{wild}{rest}"),
        _ => name.to_owned(),
    }
}

/// The selector with its number of matches, if there are any and all are suitable.
fn checked(selector: Selector, table: &ParameterTable, fit: Fit) -> Option<(Selector, usize)> {
    let selected = selector.select(table).ok()?;
    let sound = !selected.is_empty() && selected.iter().all(|i| fit(table.get(*i)));
    sound.then_some((selector, selected.len()))
}

/// A selector of exactly the suitable parameters of a selection: of weights only, without layer
/// normalizations, or without each unsuitable kind of name. `None` if no parameter is suitable.
pub(super) fn fitting(selector: &Selector, table: &ParameterTable, fit: Fit) -> Option<Selector> {
    let selected = selector.select(table).ok()?;
    let glob = |text: &str| Selector::Glob(text.to_owned());
    let without = |from: &Selector, what: Selector| Selector::Except(Box::new(from.clone()), Box::new(what));
    let mut candidates = Vec::new();
    let mut bases = vec![selector.clone()];
    if let Selector::Glob(text) = selector {
        let stem = text.trim_end_matches('*').trim_end_matches('.');
        if stem.len() < text.len() {
            bases.insert(0, Selector::Glob(format!("{stem}.**.weight")));
            bases.insert(1, Selector::Glob(format!("{stem}.weight")));
        }
    }
    for base in &bases {
        candidates.push(base.clone());
        candidates.push(without(base, glob("**.LayerNorm.*")));
    }
    let unfit = selected.iter().map(|i| table.get(*i)).filter(|p| !fit(p));
    let mut kinds: Vec<Selector> = Vec::new();
    for parameter in unfit {
        let kind = glob(&match layer_of(&parameter.name) {
            Some((before, _, rest)) => format!("{before}*{rest}"),
            None => parameter.name.clone(),
        });
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    candidates.push(without(selector, Selector::Union(kinds)));
    let all = selected.iter().filter(|i| fit(table.get(**i))).count();
    candidates.into_iter().find_map(|candidate| {
        // It must select every suitable parameter.
        checked(candidate, table, fit).filter(|(_, count)| *count == all).map(|(candidate, _)| candidate)
    })
}

/// A more general pattern with suitable matches.
fn wider(pattern: &str, selector: &Selector, table: &ParameterTable, fit: Fit) -> Option<(Selector, usize)> {
    let candidates = match selector {
        Selector::Named(_, inner) => return wider(pattern, inner, table, fit),
        Selector::Regex(_) => vec![Selector::Regex(format!(".*{pattern}.*"))],
        _ => {
            let glob = Selector::Glob;
            let doubled = pattern.replace("**", "*").replace('*', "**");
            let (inside, before) = (format!("**{pattern}**"), format!("**.{doubled}"));
            vec![glob(doubled), glob(format!("{pattern}.**")), glob(inside), glob(before)]
        }
    };
    candidates.into_iter().find_map(|candidate| {
        checked(candidate.clone(), table, fit)
            .or_else(|| checked(fitting(&candidate, table, fit)?, table, fit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_one_kind_are_counted_together() {
        let names = ["b.layer.0.key.weight", "b.layer.11.key.weight", "pooler.weight"];
        assert_eq!(grouped(names.into_iter()), "2 × `key.weight`, 1 × `pooler.weight`");
    }
}
