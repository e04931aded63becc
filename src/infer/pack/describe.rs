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
    if let Some(what) = of.beyond_bert() {
        let message = format!("the runtime cannot run a `{}`: {what}", of.family.model_type());
        return Err(Diagnostic::unlocated(Code::PackedUnsupported, message)
            .help("write it as a dense folder, which `transformers` opens: `obertc pack MODEL --as dense`"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runtime_does_not_compute_is_refused_by_name() {
        let shape = crate::params::BertShape {
            vocab: 9,
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 8,
            positions: 9,
            types: 0,
        };
        for (family, what) in [
            ("mpnet", "its attention has a bias of distances"),
            ("modernbert", "its layers begin with a normalization"),
            ("deberta-v2", "its attention is disentangled"),
        ] {
            let config = BertConfig { model_type: family.to_owned(), ..BertConfig::new(shape) };
            let refused = encoder(&config).unwrap_err();
            assert_eq!(refused.message, format!("the runtime cannot run a `{family}`: {what}"));
            assert_eq!(refused.code, Code::PackedUnsupported);
        }
    }
}
