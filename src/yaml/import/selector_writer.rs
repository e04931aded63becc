//! Writes a set of parameters as a short selector: named sets of `std.bert`, then globs.

use std::collections::BTreeMap;

use crate::language::{NoFiles, Options, compile};
use crate::params::{ParameterTable, Selector};

use super::draft::Draft;
use super::model_names::{ModelNames, split_layer};

/// The sets of `std.bert` that an import may use, largest first.
const NAMED: [&str; 4] = ["encoder_linears", "attention_linears", "feed_forward_linears", "embeddings"];

/// Writes selectors for the layers that are left after `drop layers`.
#[derive(Debug)]
pub(super) struct SelectorWriter {
    /// The old numbers of the layers that are left, if some are dropped.
    pub(super) kept: Option<Vec<usize>>,
    /// The named sets of `std.bert`.
    named: Vec<(&'static str, Selector)>,
}

impl SelectorWriter {
    /// `dropped` are the layers that the recipe drops.
    pub(super) fn new(model: &ModelNames, dropped: &[usize]) -> Self {
        let kept = model
            .table
            .filter(|_| !dropped.is_empty())
            .map(|t| (0..t.layers()).filter(|l| !dropped.contains(l)).collect());
        SelectorWriter { kept, named: named_sets() }
    }

    /// The named set whose members are exactly `names`.
    pub(super) fn named_set(
        &self,
        model: &ModelNames,
        names: &[String],
        draft: &mut Draft,
    ) -> Option<String> {
        if names.is_empty() {
            return None;
        }
        let (set, _) = self.named.iter().find(|(_, s)| members(model, s) == names)?;
        draft.uses.insert(set);
        Some((*set).to_owned())
    }

    /// Whether `names` contain all members of a named set.
    pub(super) fn contains_a_set(&self, model: &ModelNames, names: &[String]) -> bool {
        self.named
            .iter()
            .map(|(_, s)| members(model, s))
            .any(|m| !m.is_empty() && m.iter().all(|n| names.contains(n)))
    }

    /// Writes `names` as named sets as far as these are complete, and the rest as globs.
    pub(super) fn describe(&self, model: &ModelNames, names: &[String], draft: &mut Draft) -> String {
        let mut left: Vec<String> = names.to_vec();
        let mut parts = Vec::new();
        for (set, selector) in &self.named {
            let members = members(model, selector);
            if !members.is_empty() && members.iter().all(|m| left.contains(m)) {
                left.retain(|n| !members.contains(n));
                draft.uses.insert(set);
                parts.push((*set).to_owned());
            }
        }
        let globs = self.globs(model, &left);
        if !globs.is_empty() {
            let quoted: Vec<String> = globs.iter().map(|g| format!("\"{g}\"")).collect();
            parts.push(format!("params({})", quoted.join(", ")));
        }
        if parts.len() == 1 { parts.remove(0) } else { format!("[{}]", parts.join(", ")) }
    }

    /// Globs for `names`: one glob for the same parameter in several encoder layers. Layers are numbered as after
    /// `drop layers`.
    fn globs(&self, model: &ModelNames, names: &[String]) -> Vec<String> {
        let count = model.table.map_or(0, ParameterTable::layers);
        let layers = self.kept.clone().unwrap_or_else(|| (0..count).collect());
        let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        let mut globs = Vec::new();
        for name in names {
            let Some((before, layer, after)) = split_layer(name) else {
                globs.push(name.clone());
                continue;
            };
            if let Some(place) = layers.iter().position(|l| *l == layer) {
                groups.entry((before.to_owned(), after.to_owned())).or_default().push(place);
            }
        }
        for ((before, after), places) in groups {
            let layer = match places.as_slice() {
                all if all.len() == layers.len() => "*".to_owned(),
                [one] => one.to_string(),
                some => format!("{{{}}}", some.iter().map(usize::to_string).collect::<Vec<_>>().join(",")),
            };
            globs.push(format!("{before}{layer}{after}"));
        }
        globs
    }
}

/// The members of a selector.
fn members(model: &ModelNames, selector: &Selector) -> Vec<String> {
    selector.matcher().map_or(Vec::new(), |m| model.names(|n| m.matches(n)))
}

/// Compiles the named sets from the standard library, so that they are defined in one place.
fn named_sets() -> Vec<(&'static str, Selector)> {
    let recipe = format!(
        "edition 2026\nuse std.bert.{{{}}}\nrecipe sets for 1 epoch {{\nmodel: \"none\"\ndata: squad\nlr {{ 0..1 epochs: 1e-5 }}\n{}}}\n",
        NAMED.join(", "),
        NAMED.map(|n| format!("hold {n}\n")).concat(),
    );
    let compiled = compile("sets", &recipe, &NoFiles, Options::default());
    let holds = compiled.schedule.into_iter().flat_map(|s| s.stages).flat_map(|s| s.hold);
    let named: Vec<_> = NAMED.into_iter().zip(holds.map(|h| h.targets.selector)).collect();
    debug_assert_eq!(named.len(), NAMED.len(), "the standard library lacks one of {NAMED:?}");
    named
}
