//! Writes selectors as SparseML does: exact names, or `re:` patterns anchored at their start.

use crate::params::{ParameterTable, Selector};

use super::Refusals;

/// The six patterns of the paper's recipes.
const ENCODER_LINEARS: [&str; 6] = [
    "re:bert.encoder.layer.*.attention.self.query.weight",
    "re:bert.encoder.layer.*.attention.self.key.weight",
    "re:bert.encoder.layer.*.attention.self.value.weight",
    "re:bert.encoder.layer.*.attention.output.dense.weight",
    "re:bert.encoder.layer.*.intermediate.dense.weight",
    "re:bert.encoder.layer.*.output.dense.weight",
];

/// The names and patterns of a selector. `layers_drop` if the stage drops layers.
pub(super) fn patterns(
    selector: &Selector,
    layers_drop: bool,
    table: Option<&ParameterTable>,
    refusals: &mut Refusals,
) -> Vec<String> {
    let mut list = Vec::new();
    if !collect(selector, &mut list) {
        match table.and_then(|t| selector.select(t).ok().map(|s| (t, s))) {
            Some((table, selected)) => list = selected.iter().map(|i| table.get(*i).name.clone()).collect(),
            None => refusals.add(
                format!("SparseML has no counterpart of `except` in `{selector}`"),
                "with `--model DIR` the export lists the parameters by name",
            ),
        }
    }
    let numbered = |p: &String| {
        p.split(".layer").skip(1).any(|rest| {
            rest.trim_start_matches(['.', '\\', '{', '(', '?', ':']).starts_with(|c: char| c.is_ascii_digit())
        })
    };
    if let (true, Some(pattern)) = (layers_drop, list.iter().find(|p| numbered(p))) {
        refusals.add(
            format!("`{pattern}` has the number of a layer, and layers are dropped"),
            "SparseML numbers layers as before the drop: select whole sets such as `encoder_linears`",
        );
    }
    list
}

/// Adds the names and patterns of a selector to `list`. `false` if only a list of single names can express it.
fn collect(selector: &Selector, list: &mut Vec<String>) -> bool {
    match selector {
        Selector::Named(name, _) if name == "encoder_linears" => {
            list.extend(ENCODER_LINEARS.map(str::to_owned))
        }
        Selector::Named(_, inner) => return collect(inner, list),
        Selector::Glob(glob) if glob == "**" => list.push("__ALL__".into()),
        Selector::Glob(glob) if !glob.contains(['*', '?', '{']) => list.push(glob.clone()),
        Selector::Glob(glob) => match selector.as_regex() {
            Some(regex) => list.push(format!("re:{regex}$")),
            None => list.push(glob.clone()),
        },
        Selector::Regex(regex) => list.push(format!("re:{regex}$")),
        Selector::Union(parts) => return parts.iter().all(|part| collect(part, list)),
        Selector::Except(..) => return false,
    }
    true
}
