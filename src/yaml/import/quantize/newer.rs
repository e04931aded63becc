//! `QuantizationModifier` of SparseML 1.5 and later: quantizes all layers but those in `ignore`.

use crate::diag::{Code, Diagnostic, Findings, Span};
use crate::yaml::import::select::Select;
use crate::yaml::import::time::Timed;

use super::layers::{EMBEDDING, Quantized, candidates, join};
use super::names::{check_ignored, require};
use super::scheme::{Scheme, scheme};

/// An entry of `scheme_overrides`.
const EXAMPLE: &str = "Linear: {weights: {num_bits: 8}}";

/// Reads the schemes of all layers. `ignore` and `scheme_overrides` name them by class or by the beginning of
/// their name. `None` where a diagnostic was made.
pub(super) fn newer(timed: &mut Timed, select: &Select, findings: &mut Findings) -> Option<Quantized> {
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
        check_ignored(entry, *at, strict, f, select, findings);
    }
    let mut overrides = Vec::new();
    for (key, at, value) in f.mapping("scheme_overrides", EXAMPLE, findings)? {
        require(&key, at, "scheme_overrides", f, select, findings);
        overrides.push((key, scheme(&value, f, findings)?, at.to(value.place)));
    }
    if f.broken {
        return None;
    }
    let by_name = |name: &str, key: &str| name.starts_with(key);
    let mut list: Vec<(String, &'static str, Scheme, Span)> = Vec::new();
    let mut quantizes_ids = false;
    for (name, class) in candidates(select) {
        if ignored.iter().any(|(entry, _)| by_name(&name, entry) || entry == class) {
            continue;
        }
        let longest =
            overrides.iter().filter(|(key, ..)| by_name(&name, key)).max_by_key(|(key, ..)| key.len());
        let own = longest.or_else(|| overrides.iter().find(|(key, ..)| key == class));
        let (scheme, at) = own.map_or((&base, base_at), |(_, scheme, at)| (scheme, *at));
        quantizes_ids |= class == EMBEDDING && scheme.inputs.is_some();
        list.push((name, class, scheme.clone(), at));
    }
    if quantizes_ids {
        let message = "SparseML quantizes the token ids, which are the inputs of embeddings, and fails in the next step";
        let at = f.modifier.at;
        let label = "only the embedding tables are quantized here";
        let warning = Diagnostic::warning(Code::OtherwiseInSparseml, message, at, label)
            .help("write `scheme_overrides: {Embedding: {input_activations: null}}`, or ignore `Embedding`");
        let all = "scheme_overrides: {Embedding: {input_activations: null}}";
        findings.push(if f.has("scheme_overrides") {
            warning
        } else {
            f.modifier.suggest_field(warning, all)
        });
    }
    if !ignored.iter().any(|(entry, _)| entry == "LayerNorm") {
        findings.push(
            Diagnostic::advice(
                Code::OtherwiseInSparseml,
                "SparseML also quantizes the inputs of LayerNorm and of activation functions",
                f.modifier.at,
                "not quantized here",
            )
            .help("list `LayerNorm`, `GELUActivation` and `Tanh` under `ignore`; quantizing their inputs saves no time"),
        );
    }
    let attention = !ignored
        .iter()
        .any(|(e, _)| ["QATMatMul", "QuantizableMatMul", "BertSelfAttention"].contains(&e.as_str()));
    join(list, attention, f, findings)
}
