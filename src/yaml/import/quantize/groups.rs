//! llm-compressor's `QuantizationModifier`: schemes for targets, in `config_groups` or as presets.

use crate::diag::{Code, Findings, Span};
use crate::params::Selector;
use crate::yaml::import::select::Select;
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::{Datum, Fields, Located};

use super::layers::{LINEAR, Quantized, candidates, join, within};
use super::names::{CLASSES, nothing_to_ignore};
use super::scheme::{Scheme, named, scheme};

/// A value of `config_groups`.
const EXAMPLE: &str = "Linear: {weights: {num_bits: 8}}";

/// Whether the fields are those of llm-compressor: groups, targets or its presets.
pub(super) fn is_llm_compressor(f: &Fields) -> bool {
    let preset = |value: &Located| match value.peek() {
        Datum::Text(name) => !["default", "deepsparse", "tensorrt"].contains(&name.to_lowercase().as_str()),
        _ => is_of_presets(value),
    };
    f.has("config_groups") || f.has("targets") || f.peek("scheme").is_some_and(preset)
}

/// Whether a scheme maps presets to their targets, as `{W8A8: [Linear]}`.
fn is_of_presets(value: &Located) -> bool {
    matches!(value.peek(), Datum::Map(entries)
        if !entries.is_empty() && entries.iter().all(|(_, _, v)| matches!(v.peek(), Datum::List(_) | Datum::Text(_))))
}

/// Reads a list of names, classes and patterns, or a single one of them. `None` where a diagnostic was made.
fn read_targets(value: &Located, f: &mut Fields, findings: &mut Findings) -> Option<Vec<(String, Span)>> {
    let text = |v: &Located| if let Datum::Text(t) = v.datum() { Some((t.clone(), v.span)) } else { None };
    let listed = match value.datum() {
        Datum::List(items) => items.iter().map(text).collect(),
        _ => text(value).map(|one| vec![one]),
    };
    if listed.is_none() {
        f.refuse(
            findings,
            Code::FieldType,
            value.span,
            "targets are a list of classes, names or patterns".into(),
            "here".into(),
            "as `[Linear]`".into(),
        );
    }
    listed
}

/// Reads the schemes of all layers. `None` where a diagnostic was made.
pub(super) fn grouped(timed: &mut Timed, select: &Select, findings: &mut Findings) -> Option<Quantized> {
    let f = &mut timed.fields;
    let ignored = f.texts("ignore", findings).unwrap_or_default();
    let mut groups = Vec::new();
    if f.value("config_groups").is_some() {
        for (name, at, value) in f.mapping("config_groups", EXAMPLE, findings)? {
            let Datum::Map(parts) = value.datum() else {
                f.refuse(
                    findings,
                    Code::FieldType,
                    at,
                    format!("the group `{name}` is a mapping, not {}", value.datum().described()),
                    "here".into(),
                    "as `{targets: [Linear], weights: {num_bits: 8}}`".into(),
                );
                return None;
            };
            let listed = match parts.iter().find(|(k, ..)| k == "targets") {
                Some((_, _, targets)) if !targets.is_null() => read_targets(targets, f, findings)?,
                _ => vec![(LINEAR.to_owned(), at)],
            };
            let mut own = scheme(&value, f, findings)?;
            // In a group, a part that is not given is not quantized.
            let has = |part: &str| parts.iter().any(|(k, ..)| k == part);
            own.inputs = own.inputs.filter(|_| has("input_activations"));
            own.weights = own.weights.filter(|_| has("weights"));
            groups.push((listed, own, at));
        }
    } else if let Some(Datum::Map(presets)) =
        f.value("scheme").filter(|v| is_of_presets(v)).map(|v| v.datum().clone())
    {
        // One preset for each list of targets.
        for (preset, at, targets) in presets {
            let listed = read_targets(&targets, f, findings)?;
            groups.push((listed, named(&preset, at, f, findings)?, at.to(targets.place)));
        }
    } else {
        let own = match f.value("scheme").cloned() {
            Some(value) => scheme(&value, f, findings)?,
            None => Scheme::DEFAULT,
        };
        let listed = match f.value("targets").cloned() {
            Some(targets) => read_targets(&targets, f, findings)?,
            None => vec![(LINEAR.to_owned(), f.modifier.at)],
        };
        groups.push((listed, own, f.place("scheme")));
    }
    if f.broken {
        return None;
    }
    let matches = |name: &str, class: &str, entry: &str| match entry.strip_prefix("re:") {
        Some(pattern) => Selector::Regex(format!("{pattern}.*")).matcher().is_ok_and(|m| m.matches(name)),
        None => entry == class || within(name, entry),
    };
    let all = candidates(select);
    let known =
        |entry: &String| CLASSES.contains(&entry.as_str()) || all.iter().any(|(n, c)| matches(n, c, entry));
    for (entry, at) in groups.iter().flat_map(|(listed, ..)| listed).filter(|(entry, _)| !known(entry)) {
        f.refuse(
            findings,
            Code::MatchesNothing,
            *at,
            format!("{} has no layer `{entry}`", select.model.label()),
            "matches nothing".into(),
            select.model.missing(entry, select.model.nearest_module(entry)),
        );
    }
    for (entry, at) in ignored.iter().filter(|(entry, _)| !known(entry)) {
        findings.push(nothing_to_ignore(entry, *at, select));
    }
    let mut list = Vec::new();
    for (name, class) in all {
        if ignored.iter().any(|(e, _)| matches(&name, class, e)) {
            continue;
        }
        if let Some((_, own, at)) =
            groups.iter().find(|(listed, ..)| listed.iter().any(|(e, _)| matches(&name, class, e)))
        {
            list.push((name, class, own.clone(), *at));
        }
    }
    join(list, false, f, findings)
}
