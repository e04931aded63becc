//! `electra`: embeddings may be narrower than hidden states, and a classifier has GELU.

use super::description::{Description, Setting};
use crate::params::architecture::{Activation, Architecture, Heads};
use crate::params::config::BertConfig;
use crate::params::config_key::{ABSOLUTE, BODY, CLASSIFIER, Key, Kind, TYPES, computed, without_effect};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "electra",
    prefix: "electra",
    class: "Electra",
    heads: &[
        ("bert.pooler.dense.", "classifier.dense."),
        ("classifier.", "classifier.out_proj."),
        ("cls.predictions.transform.", "generator_predictions."),
        ("cls.predictions.bias", "generator_lm_head.bias"),
    ],
    encoder: &["embeddings.", "embeddings_project.", "encoder."],
    tied: "generator_lm_head.weight",
    sizes: &[
        ("hidden_size", Setting::Size(256)),
        ("num_attention_heads", Setting::Size(4)),
        ("intermediate_size", Setting::Size(1024)),
        (EMBEDDING, Setting::Size(128)),
    ],
    keys: &[BODY, CLASSIFIER, TYPES, ABSOLUTE, KEYS],
    architecture,
    ..super::bert::DESCRIPTION
};

const EMBEDDING: &str = "embedding_size";

const KEYS: &[Key] = &[
    computed(
        EMBEDDING,
        Kind::Size,
        "width of the embeddings; if it is not the hidden size, they are projected",
    ),
    without_effect("summary_type", SUMMARY),
    without_effect("summary_use_proj", SUMMARY),
    without_effect("summary_activation", SUMMARY),
    without_effect("summary_last_dropout", SUMMARY),
];

const SUMMARY: &str = "for multiple choice, which obert does not train";

fn architecture(config: &BertConfig) -> Architecture {
    let bert = Architecture::of_bert(config);
    let heads = Heads {
        pooler: Activation::Gelu,
        dropout_before_pooler: true,
        language: Activation::Gelu,
        ..bert.heads.clone()
    };
    let embedding = config.size(EMBEDDING).unwrap_or(config.hidden_size);
    Architecture { embedding, projects: embedding != config.hidden_size, heads, ..bert }
}
