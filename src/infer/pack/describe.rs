//! Describes the encoder and the head of a model as data, from its configuration and its parameters.

use crate::diag::{Code, Diagnostic};
use crate::infer::file::encoder::{Encoder, Transform};
use crate::infer::file::layout::Head;
use crate::params::{BertConfig, builtin};

/// The encoder of a configuration.
///
/// # Errors
/// A configuration that the runtime cannot compute.
pub fn encoder(config: &BertConfig) -> Result<Encoder, Diagnostic> {
    let refused = |why: String| {
        Diagnostic::unlocated(Code::PackedUnsupported, format!("the runtime cannot run the model: {why}"))
            .help("correct its config.json, or give another model")
    };
    if let Some(why) = config.unsupported() {
        return Err(refused(why));
    }
    let of = config.architecture();
    let shape = of.shape;
    let encoder = Encoder {
        vocabulary: shape.vocab,
        hidden: shape.hidden,
        embedding: of.embedding,
        layers: shape.layers,
        heads: shape.heads,
        intermediate: shape.intermediate,
        positions: shape.positions,
        first_position: of.positions.first,
        types: if of.typed { shape.types } else { shape.types.min(1) },
        norm_epsilon: of.epsilon as f32,
        activation: of.activation,
    };
    match encoder.impossible() {
        Some(why) => Err(refused(why)),
        None => Ok(encoder),
    }
}

/// The head of a packed model; `None` if the runtime does not run it.
pub fn head(config: &BertConfig, kind: builtin::Head) -> Option<Head> {
    match kind {
        builtin::Head::QuestionAnswering => Some(Head::Answers),
        builtin::Head::Classification { labels } => {
            let named = config.labels().filter(|names| names.len() == labels);
            let placeholders = || (0..labels).map(|i| format!("LABEL_{i}")).collect();
            Some(Head::Labels(named.unwrap_or_else(placeholders)))
        }
        _ => None,
    }
}

/// What a model with this head does, as the end of a sentence.
pub fn task(kind: builtin::Head) -> &'static str {
    match kind {
        builtin::Head::QuestionAnswering => "answers questions",
        builtin::Head::Classification { .. } => "classifies texts",
        builtin::Head::Regression => "computes scores",
        builtin::Head::MultiLabel { .. } => "gives any number of labels",
        builtin::Head::TokenClassification { .. } => "classifies tokens",
        builtin::Head::Embedding => "computes embeddings",
        builtin::Head::MaskedLanguageModel => "predicts masked tokens",
    }
}

/// The layer before the output layer of a head: the pooler of BERT, `classifier.dense` of RoBERTa, and
/// `pre_classifier` of DistilBERT.
pub fn transform(config: &BertConfig, head: &Head) -> Option<Transform> {
    match head {
        Head::Answers => None,
        Head::Labels(_) => Some(Transform { activation: config.architecture().heads.pooler }),
    }
}
