//! The layers that can be quantized, and groups of them with the same scheme.

use crate::diag::{Code, Findings, Span};
use crate::yaml::import::model_names::is_embedding;
use crate::yaml::import::select::Select;
use crate::yaml::recipe::Fields;

use super::scheme::{Part, Scheme};

/// Layers with the same quantization scheme, which become one `quantize` statement.
#[derive(Debug)]
pub(super) struct QuantizedGroup {
    pub(super) names: Vec<String>,
    /// The schemes as an `.obert` recipe writes them.
    pub(super) weights: String,
    pub(super) activations: String,
    /// Where the scheme is written.
    pub(super) at: Span,
}

/// What a modifier quantizes.
#[derive(Debug)]
pub(super) struct Quantized {
    pub(super) groups: Vec<QuantizedGroup>,
    /// Whether the inputs of the matrix products QKᵀ and softmax(·)V of attention are quantized.
    pub(super) attention: bool,
}

pub(super) const LINEAR: &str = "Linear";
pub(super) const EMBEDDING: &str = "Embedding";

/// The weights that can be quantized, with the class of their layer.
pub(super) fn candidates(select: &Select) -> Vec<(String, &'static str)> {
    let all = select.model.table.into_iter().flat_map(|t| t.iter());
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

/// Groups layers by their schemes. `None` where a diagnostic was made.
pub(super) fn join(
    list: Vec<(String, &'static str, Scheme, Span)>,
    attention: bool,
    f: &mut Fields,
    findings: &mut Findings,
) -> Option<Quantized> {
    let mut groups: Vec<QuantizedGroup> = Vec::new();
    // Linear layers first: an embedding table joins a group with its weight scheme, as it has no inputs to quantize.
    let (linear, tables): (Vec<_>, Vec<_>) = list.into_iter().partition(|(_, class, ..)| *class == LINEAR);
    for (name, class, scheme, at) in linear.into_iter().chain(tables) {
        let Some(weights) = scheme.weights.map(Part::text) else {
            if scheme.inputs.is_some() {
                f.refuse(
                    findings,
                    Code::FieldRefused,
                    at,
                    "inputs cannot be quantized without weights".into(),
                    "the weights are not quantized".into(),
                    "remove `weights` for 8 bits, or quantize neither".into(),
                );
                return None;
            }
            continue;
        };
        let activations = scheme.inputs.map_or("none".to_owned(), Part::text);
        let like = |r: &&mut QuantizedGroup| {
            r.weights == weights && (r.activations == activations || class == EMBEDDING)
        };
        match groups.iter_mut().find(like) {
            Some(group) => group.names.push(name),
            None => {
                let activations = if class == EMBEDDING { "none".to_owned() } else { activations };
                groups.push(QuantizedGroup { names: vec![name], weights, activations, at });
            }
        }
    }
    Some(Quantized { groups, attention })
}

/// Whether a parameter belongs to a module or to a module inside it.
pub(super) fn within(name: &str, module: &str) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'))
}
