//! Names of parameters in few words: the kinds among many, and what a pattern without a match may mean.

use std::collections::{BTreeMap, HashSet};

use crate::params::{ParameterTable, Selector};

/// More kinds of names than this nobody reads.
const MOST_KINDS: usize = 6;

/// Of more patterns in one selector nobody asks what each may mean.
const MOST_WIDENED: usize = 20;

/// As many near names as are offered.
const MOST_NEAR: usize = 3;

/// `12 of \`….attention.self.key.weight\`` and so on: the layers of one kind counted together.
pub(super) fn grouped<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *kinds.entry(kind(name)).or_default() += 1;
    }
    let hidden = kinds.len().saturating_sub(MOST_KINDS);
    let mut parts: Vec<String> =
        kinds.iter().take(MOST_KINDS).map(|(kind, count)| format!("{count} × `{kind}`")).collect();
    if hidden > 0 {
        parts.push(format!("{hidden} other kinds"));
    }
    parts.join(", ")
}

/// A name without all that stands before and in the number of its layer.
fn kind(name: &str) -> &str {
    let behind = name.find(".layer.").map(|at| &name[at + ".layer.".len()..]);
    match behind.and_then(|rest| rest.split_once('.')) {
        Some((number, rest)) if number.parse::<usize>().is_ok() => rest,
        _ => name,
    }
}

/// What a selector that matches nothing may mean: wider patterns that match, or the nearest names.
pub(super) fn nearest_selection(selector: &Selector, table: &ParameterTable) -> String {
    let patterns = selector.patterns();
    if let Some((wider, count)) =
        patterns.iter().take(MOST_WIDENED).find_map(|pattern| wider(pattern, selector, table))
    {
        let stars = match wider {
            Selector::Regex(_) => "a regular expression must match whole names",
            _ => "`*` is one segment, `**` any text",
        };
        return format!("did you mean `{wider}`, which matches {count}? {stars}");
    }
    let Some(pattern) = patterns.first() else {
        return "list the names with `obertc params --model DIR '**'`".to_owned();
    };
    let distance = |name: &str| strsim::damerau_levenshtein(pattern, name);
    let mut seen = HashSet::new();
    let mut near: Vec<(usize, &str)> = table
        .iter()
        .map(|p| p.name.as_str())
        .filter(|name| seen.insert(kind(name)))
        .map(|name| (distance(name), name))
        .filter(|(distance, name)| *distance <= name.len().max(pattern.len()) * 2 / 3)
        .collect();
    near.sort_unstable();
    let near: Vec<String> = near.iter().take(MOST_NEAR).map(|(_, name)| format!("`{name}`")).collect();
    match near.as_slice() {
        [] => "list the names with `obertc params --model DIR '**'`".to_owned(),
        [one] => format!("the nearest name is {one}"),
        several => format!("the nearest names are {}", several.join(", ")),
    }
}

/// A pattern that says a little less and matches something, as it would be written.
fn wider(pattern: &str, selector: &Selector, table: &ParameterTable) -> Option<(Selector, usize)> {
    let candidates = match selector {
        Selector::Named(_, inner) => return wider(pattern, inner, table),
        Selector::Regex(_) => vec![Selector::Regex(format!(".*{pattern}.*"))],
        _ => {
            let glob = Selector::Glob;
            let doubled = pattern.replace("**", "*").replace('*', "**");
            let (inside, before) = (format!("**{pattern}**"), format!("**.{doubled}"));
            vec![glob(doubled), glob(format!("{pattern}.**")), glob(inside), glob(before)]
        }
    };
    candidates.into_iter().find_map(|candidate| {
        let count = candidate.select(table).ok()?.len();
        (count > 0).then_some((candidate, count))
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
