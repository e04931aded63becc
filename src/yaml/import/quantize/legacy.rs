//! SparseML's legacy quantizer: the linear layers of some modules, and all embeddings.

use crate::diag::{Code, Diagnostic, Findings};
use crate::yaml::import::select::Select;
use crate::yaml::import::time::Timed;
use crate::yaml::recipe::Fields;
use crate::yaml::recipe::numbers::Conversion;

use super::layers::{EMBEDDING, Quantized, candidates, join, within};
use super::names::{CLASSES, nothing_to_ignore};
use super::scheme::{Part, Scheme};

/// Reads the schemes of all layers. `None` where a diagnostic was made.
pub(super) fn legacy(timed: &mut Timed, select: &Select, findings: &mut Findings) -> Option<Quantized> {
    let f = &mut timed.fields;
    let submodules = f.texts("submodules", findings);
    for (entry, at) in submodules.iter().flatten() {
        if select.model.names(|n| within(n, entry)).is_empty() {
            let help = select.model.missing(entry, select.model.nearest_module(entry));
            f.refuse(
                findings,
                Code::MatchesNothing,
                *at,
                format!("{} has no module `{entry}`", select.model.label()),
                "matches nothing".into(),
                help,
            );
        }
    }
    let excluded = f.texts("exclude_module_types", findings).unwrap_or_default();
    for (class, at) in excluded.iter().filter(|(class, _)| !CLASSES.contains(&class.as_str())) {
        findings.push(nothing_to_ignore(class, *at, select));
    }
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
                "the legacy quantizer also quantizes the outputs of layers",
                f.modifier.at,
                "only inputs are quantized here",
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
                "the legacy quantizer quantizes embedding tables asymmetrically",
                f.modifier.at,
                "weights are always symmetric here",
            )
            .help("no change is needed"),
        );
    }
    let outside = |name: &str| !submodules.iter().flatten().any(|(e, _)| within(name, e));
    if let Some((_, at)) = submodules.iter().flatten().next()
        && list.iter().any(|(name, class, ..)| *class == EMBEDDING && outside(name))
    {
        findings.push(
            Diagnostic::warning(
                Code::OtherwiseInSparseml,
                "embeddings are quantized too, although they are outside these modules",
                *at,
                "does not contain the embeddings",
            )
            .help("SparseML does the same; write `quantize_embeddings: false` to exclude them"),
        );
    }
    join(list, !excluded.iter().any(|(e, _)| e == "QATMatMul"), f, findings)
}

/// Reads a number of bits, 4 or 8; 8 if it is not given.
fn bits(field: &str, f: &mut Fields, findings: &mut Findings) -> Option<u8> {
    let number = f.number_in(field, Conversion::Kept, |n| n == 4.0 || n == 8.0, "4 or 8", findings);
    (!f.broken).then(|| number.map_or(8, |n| n.value as u8))
}
