//! Describes the encoder and the head of a model as data, from its configuration.

use crate::diag::{Code, Diagnostic};
use crate::infer::file::encoder::{Disentangled, Encoder, Pooling, Structure, Transform};
use crate::infer::file::layout::{Head, HeadShape};
use crate::params::architecture::LayerKind;
use crate::params::folder::ModelFolder;
use crate::params::sentence_modules::{PoolingMode, SentenceModules};
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
        projection: of.projects,
        layers: shape.layers,
        heads: shape.heads,
        intermediate: shape.intermediate,
        longest: config.longest(),
        positions: if of.positions.table { shape.positions } else { 0 },
        first_position: of.positions.first,
        types: if of.typed { shape.types } else { shape.types.min(1) },
        norm_epsilon: of.epsilon as f32,
        activation: of.activation,
        structure: match of.layers {
            LayerKind::PostNorm => Structure::PostNorm,
            LayerKind::PreNormGated => Structure::PreNormGated,
        },
        rotary: of.positions.thetas,
        windows: of.windows,
        position_bias: of.positions.buckets.is_some(),
        disentangled: of.positions.disentangled.filter(|of| of.terms() > 1).map(|of| Disentangled {
            rows: 2 * of.span,
            content_to_position: of.content_to_position,
            position_to_content: of.position_to_content,
            shared: of.shared,
        }),
    };
    match encoder.impossible() {
        Some(why) => Err(refused(why)),
        None => Ok(encoder),
    }
}

/// The head of a folder; `None` if the runtime does not run it. An encoder's embedding is pooled as its
/// sentence-transformers modules say, or else the mean over all tokens.
///
/// # Errors
/// Modules that cannot be read or are not supported.
pub fn head_of(model: &ModelFolder) -> Result<Option<Head>, Diagnostic> {
    if model.head != builtin::Head::Embedding {
        return Ok(head(&model.config, model.head));
    }
    let Some(modules) = SentenceModules::read(&model.path)? else {
        return Ok(head(&model.config, model.head));
    };
    let pooling = match modules.pooling {
        PoolingMode::Cls => Pooling::First,
        PoolingMode::Last => Pooling::Last,
        PoolingMode::Mean => Pooling::Mean,
        PoolingMode::Max => Pooling::Max,
    };
    Ok(Some(Head::Embedding { pooling, normalize: modules.normalize }))
}

/// The head of a packed model; `None` if the runtime does not run it.
pub fn head(config: &BertConfig, kind: builtin::Head) -> Option<Head> {
    let names = |labels: usize| {
        let named = config.labels().filter(|names| names.len() == labels);
        named.unwrap_or_else(|| (0..labels).map(|i| format!("LABEL_{i}")).collect())
    };
    match kind {
        builtin::Head::QuestionAnswering => Some(Head::Answers),
        builtin::Head::Classification { labels } => Some(Head::Labels(names(labels))),
        builtin::Head::MultiLabel { labels } => Some(Head::Multilabel(names(labels))),
        builtin::Head::Regression => Some(Head::Score),
        builtin::Head::TokenClassification { labels } => Some(Head::Tokens(names(labels))),
        builtin::Head::Embedding => Some(Head::Embedding { pooling: Pooling::Mean, normalize: false }),
        builtin::Head::MaskedLanguageModel => None,
    }
}

/// Why the runtime does not run a model with a head that it does not support.
pub const NO_HEAD: &str = "it predicts masked tokens";

/// What the output layer of a head takes. The layer before it is the pooler of BERT, `classifier.dense` of RoBERTa, and
/// `pre_classifier` of DistilBERT.
pub fn shape(config: &BertConfig, head: Head) -> HeadShape {
    let heads = config.architecture().heads;
    let transforms = match head {
        Head::Labels(_) | Head::Multilabel(_) | Head::Score => true,
        Head::Answers | Head::Tokens(_) => heads.transforms_tokens,
        Head::Embedding { .. } => false,
    };
    HeadShape {
        transform: transforms.then_some(Transform { activation: heads.pooler, norm: heads.pooler_norm }),
        pooling: match head {
            Head::Embedding { pooling, .. } => pooling,
            _ if heads.mean => Pooling::Mean,
            _ => Pooling::First,
        },
        head,
    }
}

/// The table of the biases of distances, `[buckets, heads]`.
pub const BUCKETS: &str = "bert.encoder.relative_attention_bias.weight";

/// The bias of each head and distance, `[heads, 2 longest − 1]`, from the table of buckets.
pub fn position_bias(config: &BertConfig, table: &[f32]) -> Vec<f32> {
    let of = config.architecture();
    let Some(buckets) = of.positions.buckets else { return Vec::new() };
    let (heads, farthest) = (of.shape.heads, config.longest() as i64 - 1);
    let of_head = |head: usize| {
        // From `query − key` to the distance of the key from the query.
        (-farthest..=farthest).map(move |back| table[buckets.bucket(-back) as usize * heads + head])
    };
    (0..heads).flat_map(of_head).collect()
}

/// The row of each distance `query − key` in the embeddings of distances, `[2 longest − 1]`.
pub fn distance_rows(config: &BertConfig) -> Vec<u32> {
    let Some(of) = config.architecture().positions.disentangled else { return Vec::new() };
    let farthest = config.longest() as i64 - 1;
    (-farthest..=farthest).map(|back| of.row(-back)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_has_the_row_of_the_embeddings_that_the_architecture_gives_it() {
        let shape = crate::params::BertShape {
            vocab: 9,
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 8,
            positions: 9,
            types: 0,
        };
        let mut config = BertConfig { model_type: "deberta-v2".to_owned(), ..BertConfig::new(shape) };
        config.rest.insert("position_buckets".to_owned(), 4.into());
        assert_eq!(encoder(&config).unwrap().disentangled, None, "without `pos_att_type` there are no terms");
        config.rest.insert("pos_att_type".to_owned(), "c2p".into());
        let of = encoder(&config).unwrap().disentangled.unwrap();
        assert_eq!((of.rows, of.terms(), of.position_to_content, of.shared), (8, 2, false, false));
        // `make_log_bucket_position(torch.arange(-8, 9), 4, 9) + 4` of transformers 5.24.
        let rows = distance_rows(&config);
        assert_eq!(rows, [1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn a_bias_of_distances_is_that_of_the_bucket_of_each_distance() {
        let shape = crate::params::BertShape {
            vocab: 9,
            hidden: 8,
            layers: 1,
            heads: 2,
            intermediate: 8,
            positions: 12,
            types: 0,
        };
        let config = BertConfig { model_type: "mpnet".to_owned(), ..BertConfig::new(shape) };
        // The bias of bucket b and head h is 10 b + h. Buckets of keys after the query begin at 16.
        let table: Vec<f32> =
            (0..32).flat_map(|bucket| [10.0 * bucket as f32, 10.0 * bucket as f32 + 1.0]).collect();
        let bias = position_bias(&config, &table);
        let longest = config.longest();
        assert_eq!((longest, bias.len()), (10, 2 * 19));
        let of = |head: usize, query: usize, key: usize| bias[head * 19 + query + longest - 1 - key];
        assert_eq!(
            [of(0, 3, 3), of(1, 3, 3), of(0, 5, 3), of(0, 3, 5), of(1, 0, 7)],
            [0.0, 1.0, 20.0, 180.0, 231.0]
        );
    }
}
