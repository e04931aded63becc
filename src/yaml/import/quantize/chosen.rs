//! Which layers are rounded, and how.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::params::Selector;
use crate::yaml::import::select::{Select, is_embedding};
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::{Datum, Fields, Located};

use super::scheme::{Part, Scheme, named, scheme};

/// Layers that are rounded alike.
#[derive(Debug)]
pub(super) struct Rounding {
    pub(super) names: Vec<String>,
    pub(super) weights: String,
    pub(super) activations: String,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) roundings: Vec<Rounding>,
    /// Whether the two products of attention are rounded.
    pub(super) attention: bool,
}

/// Classes of a BERT's modules that an `ignore` may name.
const CLASSES: [&str; 14] = [
    "Linear",
    "Embedding",
    "LayerNorm",
    "Dropout",
    "GELU",
    "GELUActivation",
    "Tanh",
    "Softmax",
    "QATMatMul",
    "QuantizableMatMul",
    "BertSelfAttention",
    "BertLayer",
    "BertEncoder",
    "BertPooler",
];
const LINEAR: &str = "Linear";
const EMBEDDING: &str = "Embedding";

/// The weights that can be rounded at all, with the class of their layer.
fn candidates(select: &Select) -> Vec<(String, &'static str)> {
    let all = select.table().into_iter().flat_map(|t| t.iter());
    all.filter_map(|p| {
        let class = if p.is_prunable() {
            LINEAR
        } else if is_embedding(&p.name, p.shape.len()) {
            EMBEDDING
        } else {
            return None;
        };
        Some((p.name.clone(), class))
    })
    .collect()
}

/// The newer quantizer: everything, less what is ignored, by class or by the beginning of a name.
pub(super) fn newer(timed: &mut Timed, select: &Select, findings: &mut Findings) -> Option<Chosen> {
    let f = &mut timed.fields;
    let given = f.value("scheme").cloned();
    let base = match &given {
        Some(value) => scheme(value, f, findings)?,
        None => Scheme::DEFAULT,
    };
    let base_at = if given.is_some() { f.place("scheme") } else { f.modifier.at };
    let ignored = f.texts("ignore", findings).unwrap_or_default();
    let strict = f.peeked_flag("strict", true);
    for (entry, at) in &ignored {
        ignores(entry, *at, strict, f, select, findings);
    }
    let mut overrides = Vec::new();
    for (key, at, value) in entries_of("scheme_overrides", f, findings)? {
        exists(&key, at, "scheme_overrides", f, select, findings);
        overrides.push((key, scheme(&value, f, findings)?, at.to(value.place)));
    }
    if f.broken {
        return None;
    }
    let by_name = |name: &str, key: &str| name.starts_with(key);
    let mut list: Vec<(String, &'static str, Scheme, Span)> = Vec::new();
    let mut ids_rounded = false;
    for (name, class) in candidates(select) {
        if ignored.iter().any(|(entry, _)| by_name(&name, entry) || entry == class) {
            continue;
        }
        let longest =
            overrides.iter().filter(|(key, ..)| by_name(&name, key)).max_by_key(|(key, ..)| key.len());
        let own = longest.or_else(|| overrides.iter().find(|(key, ..)| key == class));
        let (scheme, at) = own.map_or((&base, base_at), |(_, scheme, at)| (scheme, *at));
        ids_rounded |= class == EMBEDDING && scheme.inputs.is_some();
        list.push((name, class, scheme.clone(), at));
    }
    if ids_rounded {
        let message = "SparseML quantizes the ids that go into embeddings, and fails in the next step";
        let at = f.modifier.at;
        let label = "only their tables are quantized here";
        let warning = Diagnostic::warning(Code::OtherwiseInSparseml, message, at, label)
            .help("write `scheme_overrides: {Embedding: {input_activations: null}}`, or ignore `Embedding`");
        let all = "scheme_overrides: {Embedding: {input_activations: null}}";
        findings.push(if f.has("scheme_overrides") { warning } else { f.modifier.adds(warning, all) });
    }
    if !ignored.iter().any(|(entry, _)| entry == "LayerNorm") {
        findings.push(
            Diagnostic::advice(
                Code::OtherwiseInSparseml,
                "SparseML rounds the inputs of normalisations and activations too",
                f.modifier.at,
                "not rounded here",
            )
            .help("list `LayerNorm`, `GELUActivation` and `Tanh` under `ignore`; they gain nothing"),
        );
    }
    let attention = !ignored
        .iter()
        .any(|(e, _)| ["QATMatMul", "QuantizableMatMul", "BertSelfAttention"].contains(&e.as_str()));
    joined(list, attention, f, findings)
}

/// The older quantizer: the linear layers of some modules, and all embeddings.
pub(super) fn older(timed: &mut Timed, select: &Select, findings: &mut Findings) -> Option<Chosen> {
    let f = &mut timed.fields;
    let submodules = f.texts("submodules", findings);
    for (entry, at) in submodules.iter().flatten() {
        if select.names(|n| within(n, entry)).is_empty() {
            let help = select.missing(entry, select.nearest_module(entry));
            f.refuse(
                findings,
                Code::MatchesNothing,
                *at,
                format!("{} has no module `{entry}`", select.model()),
                "matches nothing".into(),
                help,
            );
        }
    }
    let excluded = f.texts("exclude_module_types", findings).unwrap_or_default();
    let embeddings = f.flag("quantize_embeddings", true, findings);
    let outputs = f.flag("quantize_linear_activations", true, findings);
    f.flag("quantize_embedding_activations", true, findings);
    let tensorrt = f.flag("tensorrt", false, findings);
    let weight_bits = bits("weight_bits", f, findings)?;
    let activation_bits = bits("activation_bits", f, findings)?;
    if f.broken {
        return None;
    }
    if outputs {
        findings.push(
            Diagnostic::advice(
                Code::OtherwiseInSparseml,
                "the older quantizer rounds the outputs of layers too",
                f.modifier.at,
                "only inputs are rounded here",
            )
            .help("SparseML's own template sets `quantize_linear_activations: false`"),
        );
    }
    let weights = Part { bits: weight_bits, symmetric: true, channel: false, signed: true };
    let inputs = Part { bits: activation_bits, symmetric: tensorrt, channel: false, signed: tensorrt };
    let list: Vec<_> = candidates(select)
        .into_iter()
        .filter(|(_, class)| !excluded.iter().any(|(e, _)| e == class))
        .filter(|(name, class)| match *class {
            EMBEDDING => embeddings,
            _ => submodules.as_ref().is_none_or(|s| s.iter().any(|(e, _)| within(name, e))),
        })
        .map(|(name, class)| {
            (name, class, Scheme { weights: Some(weights), inputs: Some(inputs) }, f.modifier.at)
        })
        .collect();
    if list.iter().any(|(_, class, ..)| *class == EMBEDDING) {
        findings.push(
            Diagnostic::advice(
                Code::OtherwiseInSparseml,
                "the older quantizer rounds embedding tables with a zero point",
                f.modifier.at,
                "all weights are rounded around zero here",
            )
            .help("nothing needs to be done"),
        );
    }
    let outside = |name: &str| !submodules.iter().flatten().any(|(e, _)| within(name, e));
    if let Some((_, at)) = submodules.iter().flatten().next()
        && list.iter().any(|(name, class, ..)| *class == EMBEDDING && outside(name))
    {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "embeddings are quantized too, though they stand outside these modules",
                *at,
                "names other modules",
            )
            .help("so does SparseML; write `quantize_embeddings: false` if that is not meant"),
        );
    }
    joined(list, !excluded.iter().any(|(e, _)| e == "QATMatMul"), f, findings)
}

/// Whether the fields are llm-compressor's: groups, targets or its presets.
pub(super) fn is_grouped(f: &Fields) -> bool {
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

/// Names, classes and patterns; a single text is one of them.
fn targets_in(value: &Located, f: &mut Fields, findings: &mut Findings) -> Option<Vec<(String, Span)>> {
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

/// The entries of a field that is a mapping; none if it is not given. `None` where a diagnostic was made.
fn entries_of(
    field: &'static str,
    f: &mut Fields,
    findings: &mut Findings,
) -> Option<Vec<(String, Span, Located)>> {
    let Some(value) = f.value(field).cloned() else { return Some(Vec::new()) };
    match value.datum() {
        Datum::Map(entries) => Some(entries.clone()),
        other => {
            f.refuse(
                findings,
                Code::FieldType,
                value.span,
                format!("`{field}` is a mapping, not {}", other.described()),
                "here".into(),
                "as `Linear: {weights: {num_bits: 8}}`".into(),
            );
            None
        }
    }
}

/// Groups and presets: targets by class, name or pattern.
pub(super) fn grouped(timed: &mut Timed, select: &Select, findings: &mut Findings) -> Option<Chosen> {
    let f = &mut timed.fields;
    let ignored = f.texts("ignore", findings).unwrap_or_default();
    let mut groups = Vec::new();
    if f.value("config_groups").is_some() {
        for (name, at, value) in entries_of("config_groups", f, findings)? {
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
                Some((_, _, targets)) if !targets.is_null() => targets_in(targets, f, findings)?,
                _ => vec![(LINEAR.to_owned(), at)],
            };
            let mut own = scheme(&value, f, findings)?;
            // A part that is left out is not rounded in a group.
            let has = |part: &str| parts.iter().any(|(k, ..)| k == part);
            own.inputs = own.inputs.filter(|_| has("input_activations"));
            own.weights = own.weights.filter(|_| has("weights"));
            groups.push((listed, own, at));
        }
    } else if let Some(Datum::Map(presets)) =
        f.value("scheme").filter(|v| is_of_presets(v)).map(|v| v.datum().clone())
    {
        // A preset for each list of targets.
        for (preset, at, targets) in presets {
            let listed = targets_in(&targets, f, findings)?;
            groups.push((listed, named(&preset, at, f, findings)?, at.to(targets.place)));
        }
    } else {
        let own = match f.value("scheme").cloned() {
            Some(value) => scheme(&value, f, findings)?,
            None => Scheme::DEFAULT,
        };
        let listed = match f.value("targets").cloned() {
            Some(targets) => targets_in(&targets, f, findings)?,
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
            format!("{} has no layer `{entry}`", select.model()),
            "matches nothing".into(),
            select.missing(entry, select.nearest_module(entry)),
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
    joined(list, false, f, findings)
}

/// Puts together what is rounded alike.
fn joined(
    list: Vec<(String, &'static str, Scheme, Span)>,
    attention: bool,
    f: &mut Fields,
    findings: &mut Findings,
) -> Option<Chosen> {
    let mut roundings: Vec<Rounding> = Vec::new();
    // Linear layers first: a table joins those whose weights are rounded like its own.
    let (linear, tables): (Vec<_>, Vec<_>) = list.into_iter().partition(|(_, class, ..)| *class == LINEAR);
    for (name, class, scheme, at) in linear.into_iter().chain(tables) {
        let Some(weights) = scheme.weights.map(Part::text) else {
            if scheme.inputs.is_some() {
                f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    "inputs cannot be rounded without weights".into(),
                    "no weights".into(),
                    "leave `weights` out for 8 bits, or round neither".into(),
                );
                return None;
            }
            continue;
        };
        let activations = scheme.inputs.map_or("none".to_owned(), Part::text);
        let like =
            |r: &&mut Rounding| r.weights == weights && (r.activations == activations || class == EMBEDDING);
        match roundings.iter_mut().find(like) {
            Some(rounding) => rounding.names.push(name),
            None => {
                let activations = if class == EMBEDDING { "none".to_owned() } else { activations };
                roundings.push(Rounding { names: vec![name], weights, activations, at });
            }
        }
    }
    Some(Chosen { roundings, attention })
}

fn bits(field: &str, f: &mut Fields, findings: &mut Findings) -> Option<u8> {
    let number = f.number_in(
        field,
        crate::yaml::recipe::numbers::Conversion::Kept,
        |n| n == 4.0 || n == 8.0,
        "4 or 8",
        findings,
    );
    (!f.broken).then(|| number.map_or(8, |n| n.value as u8))
}

/// Whether a parameter belongs to a module or one inside it.
fn within(name: &str, module: &str) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'))
}

/// What is ignored should exist. The quantizer is `strict` about it in SparseML; a name that is far from all
/// of the model's, such as a language model's `lm_head`, has nothing to be mistaken for.
fn ignores(entry: &str, at: Span, strict: bool, f: &mut Fields, select: &Select, findings: &mut Findings) {
    let names = select.names(|_| true);
    let near = nearest(entry, CLASSES).or_else(|| nearest(entry, modules(&names)));
    if strict && near.is_some() {
        exists(entry, at, "ignore", f, select, findings);
    } else if !CLASSES.contains(&entry) && !names.iter().any(|n| n.starts_with(entry)) {
        findings.push(nothing_to_ignore(entry, at, select));
    }
}

fn nothing_to_ignore(entry: &str, at: Span, select: &Select) -> Diagnostic {
    let names = select.names(|_| true);
    let help = match nearest(entry, CLASSES).or_else(|| nearest(entry, modules(&names))) {
        Some(near) => format!("did you mean `{near}`? If not, remove it"),
        None => "remove it".to_owned(),
    };
    let message = format!("{} has no `{entry}` that could be ignored", select.model());
    Diagnostic::warning(Code::MatchesNothing, message, at, "ignores nothing").help(help)
}

/// The modules of parameters.
fn modules(names: &[String]) -> Vec<&str> {
    names.iter().filter_map(|n| n.rsplit_once('.').map(|(m, _)| m)).collect()
}

/// An entry must be the beginning of a name or a class.
fn exists(entry: &str, at: Span, field: &str, f: &mut Fields, select: &Select, findings: &mut Findings) {
    if CLASSES.contains(&entry) || !select.names(|n| n.starts_with(entry)).is_empty() {
        return;
    }
    let message = format!("{} has no class and no module `{entry}`", select.model());
    let error = Diagnostic::error(Code::MatchesNothing, message, at, format!("`{field}` names it"));
    let error = match nearest(entry, CLASSES) {
        Some(near) => error.help(format!("did you mean `{near}`?")).fix(at, near),
        None => error.help(select.missing(entry, select.nearest_module(entry))),
    };
    f.report(findings, error);
}
