//! `albert`: layers share their parameters, and embeddings are narrower than hidden states.

use super::description::{Description, Setting};
use crate::params::architecture::{Architecture, Heads};
use crate::params::config::BertConfig;
use crate::params::config_key::{
    ABSOLUTE, BODY, CLASSIFIER_DROPOUT, Key, Kind, TYPES, computed, without_effect,
};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "albert",
    prefix: "albert",
    class: "Albert",
    layers: "encoder.albert_layer_groups",
    layer: &[
        ("attention.self.query.", "albert_layers.0.attention.query."),
        ("attention.self.key.", "albert_layers.0.attention.key."),
        ("attention.self.value.", "albert_layers.0.attention.value."),
        ("attention.output.dense.", "albert_layers.0.attention.dense."),
        ("attention.output.LayerNorm.", "albert_layers.0.attention.LayerNorm."),
        ("intermediate.dense.", "albert_layers.0.ffn."),
        ("output.dense.", "albert_layers.0.ffn_output."),
        ("output.LayerNorm.", "albert_layers.0.full_layer_layer_norm."),
    ],
    modules: &[("embeddings_project.", "encoder.embedding_hidden_mapping_in.")],
    heads: &[
        ("bert.pooler.dense.", "albert.pooler."),
        ("cls.predictions.transform.", "predictions."),
        ("cls.predictions.bias", "predictions.bias"),
    ],
    tied: "predictions.decoder.",
    absent: &[
        ("hidden_act", Setting::Name("gelu_new")),
        ("hidden_dropout_prob", Setting::Number(0.0)),
        ("attention_probs_dropout_prob", Setting::Number(0.0)),
    ],
    sizes: &[
        ("vocab_size", Setting::Size(30_000)),
        ("hidden_size", Setting::Size(4096)),
        ("num_attention_heads", Setting::Size(64)),
        ("intermediate_size", Setting::Size(16_384)),
        (EMBEDDING, Setting::Size(128)),
    ],
    keys: &[BODY, TYPES, ABSOLUTE, KEYS],
    set_layers: Some(set_groups),
    architecture,
    ..super::bert::DESCRIPTION
};

const EMBEDDING: &str = "embedding_size";
const GROUPS: &str = "num_hidden_groups";

const KEYS: &[Key] = &[
    computed(EMBEDDING, Kind::Size, "width of the embeddings, which are projected"),
    computed(GROUPS, Kind::Size, "the number of layer groups; all layers of a group share their parameters"),
    computed("inner_group_num", Kind::Exactly(1), "the parts of a group"),
    computed("classifier_dropout_prob", Kind::Dropout, CLASSIFIER_DROPOUT),
    without_effect("net_structure_type", "no version of `transformers` reads it"),
    without_effect("gap_size", "no version of `transformers` reads it"),
    without_effect("num_memory_blocks", "no version of `transformers` reads it"),
    without_effect("down_scale_factor", "no version of `transformers` reads it"),
];

fn architecture(config: &BertConfig) -> Architecture {
    let bert = Architecture::of_bert(config);
    let dropout = config.number("classifier_dropout_prob").unwrap_or(0.1);
    let heads = Heads { classifier_dropout: dropout, token_dropout: dropout, ..bert.heads.clone() };
    Architecture {
        embedding: config.size(EMBEDDING).unwrap_or(128),
        projects: true,
        groups: Some(config.size(GROUPS).unwrap_or(1)),
        feed_forward_dropout: false,
        heads,
        ..bert
    }
}

/// Writes the number of groups, if some were dropped.
fn set_groups(config: &mut BertConfig, architecture: &Architecture) {
    if config.size(GROUPS).unwrap_or(1) != architecture.distinct_layers() {
        config.rest.insert(GROUPS.to_owned(), architecture.distinct_layers().into());
    }
}
