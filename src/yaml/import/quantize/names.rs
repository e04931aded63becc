//! Checks that the classes and modules that a quantization modifier names exist.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::yaml::import::select::Select;
use crate::yaml::recipe::Fields;

/// The classes of a BERT's modules in transformers and SparseML.
pub(super) const CLASSES: [&str; 14] = [
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

/// Checks an entry of `ignore`. With `strict`, as in SparseML, an unknown entry is an error if it resembles a name
/// of the model; otherwise, as for a language model's `lm_head`, it is a warning.
pub(super) fn check_ignored(
    entry: &str,
    at: Span,
    strict: bool,
    f: &mut Fields,
    select: &Select,
    findings: &mut Findings,
) {
    let names = select.model.names(|_| true);
    let near = nearest(entry, CLASSES).or_else(|| nearest(entry, modules(&names)));
    if strict && near.is_some() {
        require(entry, at, "ignore", f, select, findings);
    } else if !CLASSES.contains(&entry) && !names.iter().any(|n| n.starts_with(entry)) {
        findings.push(nothing_to_ignore(entry, at, select));
    }
}

/// Warns of an entry of `ignore` that the model does not have.
pub(super) fn nothing_to_ignore(entry: &str, at: Span, select: &Select) -> Diagnostic {
    let names = select.model.names(|_| true);
    let help = match nearest(entry, CLASSES).or_else(|| nearest(entry, modules(&names))) {
        Some(near) => format!("did you mean `{near}`? If not, remove it"),
        None => "remove it".to_owned(),
    };
    let message = format!("{} has no `{entry}` to ignore", select.model.label());
    Diagnostic::warning(Code::MatchesNothing, message, at, "ignores nothing").help(help)
}

/// The names of the modules of parameters.
fn modules(names: &[String]) -> Vec<&str> {
    names.iter().filter_map(|n| n.rsplit_once('.').map(|(m, _)| m)).collect()
}

/// Reports an entry that is neither a class nor the beginning of a parameter's name.
pub(super) fn require(
    entry: &str,
    at: Span,
    field: &str,
    f: &mut Fields,
    select: &Select,
    findings: &mut Findings,
) {
    if CLASSES.contains(&entry) || !select.model.names(|n| n.starts_with(entry)).is_empty() {
        return;
    }
    let message = format!("{} has no class and no module `{entry}`", select.model.label());
    let error = Diagnostic::error(Code::MatchesNothing, message, at, format!("`{field}` names it"));
    let missing = || select.model.missing(entry, select.model.nearest_module(entry));
    f.report(findings, error.did_you_mean(at, nearest(entry, CLASSES), missing));
}
