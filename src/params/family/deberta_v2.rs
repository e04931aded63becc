//! `deberta-v2`: DeBERTa-v2, DeBERTa-v3 and mDeBERTa. Disentangled attention with relative position embeddings; no
//! token types.

use serde_json::Value;

use super::description::{Description, Setting};
use crate::params::architecture::{Activation, Architecture, Disentangled, Heads, Positions};
use crate::params::config::BertConfig;
use crate::params::config_key::{
    ACTIVATION, BODY, CLASSIFIER_DROPOUT, Key, Kind, computed, refused, without_effect,
};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "deberta-v2",
    prefix: "deberta",
    class: "DebertaV2",
    layer: &[
        ("attention.self.query.", "attention.self.query_proj."),
        ("attention.self.key.", "attention.self.key_proj."),
        ("attention.self.value.", "attention.self.value_proj."),
        ("attention.self.pos_key.", "attention.self.pos_key_proj."),
        ("attention.self.pos_query.", "attention.self.pos_query_proj."),
    ],
    heads: &[("bert.pooler.dense.", "pooler.dense.")],
    absent: &[("type_vocab_size", Setting::Size(0)), ("layer_norm_eps", Setting::Number(1e-7))],
    sizes: &[
        ("vocab_size", Setting::Size(128_100)),
        ("hidden_size", Setting::Size(1536)),
        ("num_hidden_layers", Setting::Size(24)),
        ("num_attention_heads", Setting::Size(24)),
        ("intermediate_size", Setting::Size(6144)),
    ],
    keys: &[BODY, KEYS],
    architecture,
    ..super::bert::DESCRIPTION
};

const CONVOLUTION: &str = "a convolution beside the first layer, which is refused";

const KEYS: &[Key] = &[
    computed("relative_attention", Kind::Always, "attention depends on distances"),
    computed(
        "position_buckets",
        Kind::Signed,
        "number of relative position buckets in each direction; if not positive, every distance has its own embedding",
    ),
    computed(
        "max_relative_positions",
        Kind::Signed,
        "the greatest distance; if not positive, `max_position_embeddings`",
    ),
    computed(
        "pos_att_type",
        Kind::DistanceTerms,
        "which relative position terms attention adds: `c2p`, `p2c`",
    ),
    computed(
        "norm_rel_ebd",
        Kind::OneOf(&["none", "layer_norm"]),
        "whether the relative position embeddings are normalized",
    ),
    computed(
        "share_att_key",
        Kind::Truth,
        "relative position embeddings are projected by the query and key matrices of the content",
    ),
    computed("position_biased_input", Kind::Truth, "positions are added to the embeddings"),
    computed("type_vocab_size", Kind::Exactly(0), "token types"),
    computed("embedding_size", Kind::Size, "width of the embeddings; it must be the hidden size"),
    computed("pooler_hidden_size", Kind::Size, "width of the pooler; it must be the hidden size"),
    computed("pooler_hidden_act", ACTIVATION, "the activation of the pooler"),
    computed("cls_dropout", Kind::MaybeDropout, CLASSIFIER_DROPOUT),
    computed("legacy", Kind::Always, "the head of masked language models"),
    refused("pooler_dropout", "dropout before the pooler is not computed for this family"),
    refused("conv_kernel_size", "a convolution beside the first layer is not computed"),
    refused("attention_head_size", "heads have another width than the hidden size gives them"),
    without_effect("conv_act", CONVOLUTION),
    without_effect("conv_groups", CONVOLUTION),
    without_effect("summary_type", "for multiple choice, which obert does not train"),
];

fn architecture(config: &BertConfig) -> Architecture {
    let bert = Architecture::of_bert(config);
    let truth = |key: &str, default| config.rest.get(key).and_then(Value::as_bool).unwrap_or(default);
    let positive = |key: &str| config.size(key).filter(|size| *size > 0);
    let farthest = positive("max_relative_positions").unwrap_or(config.max_position_embeddings);
    let buckets = positive("position_buckets");
    let terms = config.rest.get("pos_att_type");
    let has = |term: &str| match terms {
        Some(Value::String(list)) => list.to_lowercase().split('|').any(|part| part.trim() == term),
        Some(Value::Array(list)) => list.iter().any(|part| part == term),
        _ => false,
    };
    let disentangled = Disentangled {
        span: buckets.unwrap_or(farthest),
        logarithmic: buckets.map(|_| farthest),
        content_to_position: has("c2p"),
        position_to_content: has("p2c"),
        shared: truth("share_att_key", false),
        norm: config.rest.get("norm_rel_ebd").is_some_and(|norm| norm == "layer_norm"),
    };
    let act = config.rest.get("pooler_hidden_act").and_then(Value::as_str).and_then(Activation::named);
    let heads = Heads {
        pooler: act.unwrap_or_default(),
        token_dropout: config.hidden_dropout_prob,
        classifier_dropout: config.number("cls_dropout").unwrap_or(config.hidden_dropout_prob),
        ..bert.heads.clone()
    };
    let positions = Positions {
        table: truth("position_biased_input", true),
        disentangled: Some(disentangled),
        ..bert.positions
    };
    Architecture { positions, typed: false, heads, ..bert }
}
