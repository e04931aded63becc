//! `modernbert`: ModernBERT and mmBERT. Layers with normalization before them, rotary positions, local attention in all but
//! every n-th layer, and gated feed-forward networks.

use serde_json::Value;

use super::description::{Description, Setting};
use crate::params::architecture::{Activation, Architecture, Biases, Heads, LayerKind, Positions};
use crate::params::config::BertConfig;
use crate::params::config_key::{
    ACTIVATION, ACTIVATION_OF, ATTENTION_DROPOUT, ATTENTION_HEADS, CLASSIFIER_DROPOUT, HIDDEN, INTERMEDIATE,
    Key, Kind, LAYER_COUNT, LAYERS, computed, refused, without_effect,
};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "modernbert",
    prefix: "model",
    class: "ModernBert",
    layers: "layers",
    layer: &[("attention.self.query.", "attn.Wqkv."), ("intermediate.dense.", "mlp.Wi.")],
    modules: &[
        ("embeddings.word_embeddings.", "embeddings.tok_embeddings."),
        ("embeddings.LayerNorm.", "embeddings.norm."),
        ("encoder.layers.", "layers."),
        ("encoder.final_norm.", "final_norm."),
    ],
    heads: &[
        ("bert.pooler.dense.", "head.dense."),
        ("bert.pooler.LayerNorm.", "head.norm."),
        ("qa_outputs.", "classifier."),
        ("cls.predictions.transform.dense.", "head.dense."),
        ("cls.predictions.transform.LayerNorm.", "head.norm."),
        ("cls.predictions.bias", "decoder.bias"),
    ],
    encoder: &["embeddings.", "layers.", "final_norm."],
    tied: "decoder.weight",
    settings: &[
        ("hidden_act", "hidden_activation"),
        ("hidden_dropout_prob", "mlp_dropout"),
        ("attention_probs_dropout_prob", "attention_dropout"),
        ("layer_norm_eps", "norm_eps"),
    ],
    constants: &[("type_vocab_size", Setting::Size(0))],
    absent: &[
        ("hidden_act", Setting::Name("gelu")),
        ("hidden_dropout_prob", Setting::Number(0.0)),
        ("attention_probs_dropout_prob", Setting::Number(0.0)),
        ("layer_norm_eps", Setting::Number(1e-5)),
    ],
    sizes: &[
        ("vocab_size", Setting::Size(50368)),
        ("num_hidden_layers", Setting::Size(22)),
        ("intermediate_size", Setting::Size(1152)),
        ("max_position_embeddings", Setting::Size(8192)),
    ],
    keys: &[KEYS],
    set_layers: Some(set_layer_types),
    architecture,
    ..super::bert::DESCRIPTION
};

const SPARSE: &str = "how `transformers` computes the loss: results are the same";
const OLD: &str = "a record of an older version, which ModernBERT does not read";

const KEYS: &[Key] = &[
    computed("hidden_size", Kind::Size, HIDDEN),
    computed("num_hidden_layers", LAYER_COUNT, LAYERS),
    computed("num_attention_heads", Kind::Size, ATTENTION_HEADS),
    computed("intermediate_size", Kind::Size, INTERMEDIATE),
    computed("hidden_activation", ACTIVATION, ACTIVATION_OF),
    computed("mlp_dropout", Kind::Dropout, "dropout in the feed-forward network"),
    computed("attention_dropout", Kind::Dropout, ATTENTION_DROPOUT),
    computed("norm_eps", Kind::Number, "the epsilon of every layer normalization"),
    computed("norm_bias", Kind::Truth, "biases of layer normalizations"),
    computed("attention_bias", Kind::Truth, "biases of attention"),
    computed("mlp_bias", Kind::Truth, "biases of the feed-forward networks"),
    computed("decoder_bias", Kind::Always, "the bias of a masked language model"),
    computed("classifier_bias", Kind::Truth, "the bias of the first layer of heads"),
    computed("classifier_activation", ACTIVATION, "the activation of heads"),
    computed(
        "classifier_pooling",
        Kind::OneOf(&["cls", "mean"]),
        "what a classifier takes: the first token or the mean",
    ),
    computed("classifier_dropout", Kind::Dropout, CLASSIFIER_DROPOUT),
    computed("local_attention", Kind::Size, "the window of local layers: half of it on each side"),
    computed("global_attn_every_n_layers", Kind::Size, "every n-th layer attends to all tokens"),
    computed("layer_types", Kind::LayerTypes, "for each layer `full_attention` or `sliding_attention`"),
    computed("rope_parameters", Kind::Rotary, "the bases of rotary position embeddings"),
    computed(
        "global_rope_theta",
        Kind::Positive,
        "the base of rotary position embeddings in layers that attend to all tokens",
    ),
    computed("local_rope_theta", Kind::Positive, "the base of rotary positions in local layers"),
    refused("rope_scaling", "positions are scaled"),
    refused("embedding_dropout", "dropout of embeddings is not computed for this family"),
    without_effect("initializer_cutoff_factor", "new weights are drawn from a normal distribution"),
    without_effect("sparse_prediction", SPARSE),
    without_effect("sparse_pred_ignore_index", SPARSE),
    without_effect("deterministic_flash_attn", "the same attention, computed in another way"),
    without_effect("reference_compile", "the same computation, compiled"),
    without_effect("repad_logits_with_grad", "the same computation without padding"),
    without_effect("position_embedding_type", OLD),
    without_effect("layer_norm_eps", OLD),
];

/// The types of layers in `config.json`.
const GLOBAL: &str = "full_attention";
const LOCAL: &str = "sliding_attention";

fn architecture(config: &BertConfig) -> Architecture {
    let bert = Architecture::of_bert(config);
    let truth = |key: &str| config.rest.get(key).and_then(Value::as_bool).unwrap_or(false);
    let global = global_layers(config);
    let window = config.size("local_attention").unwrap_or(128) / 2;
    let thetas = [
        theta(config, LOCAL, "local_rope_theta", 10_000.0),
        theta(config, GLOBAL, "global_rope_theta", 160_000.0),
    ];
    let activation = config.rest.get("classifier_activation").and_then(Value::as_str);
    let activation = activation.and_then(Activation::named).unwrap_or_default();
    let dropout = config.number("classifier_dropout").unwrap_or(0.0);
    let heads = Heads {
        pooler: activation,
        pooler_norm: true,
        mean: config.rest.get("classifier_pooling").is_some_and(|pooling| pooling == "mean"),
        transforms_tokens: true,
        classifier_dropout: dropout,
        token_dropout: dropout,
        answer_dropout: dropout,
        dropout_before_answers: true,
        language: activation,
        ..bert.heads.clone()
    };
    Architecture {
        positions: Positions {
            table: false,
            thetas: global.iter().map(|global| thetas[usize::from(*global)]).collect(),
            ..bert.positions
        },
        layers: LayerKind::PreNormGated,
        windows: global.iter().map(|global| (!global).then_some(window)).collect(),
        biases: Biases {
            attention: truth("attention_bias"),
            feed_forward: truth("mlp_bias"),
            norm: truth("norm_bias"),
            pooler: truth("classifier_bias"),
        },
        typed: false,
        embedding_dropout: false,
        heads,
        ..bert
    }
}

/// For each layer whether it attends to all tokens: by `layer_types`, or every n-th from layer 0 on.
fn global_layers(config: &BertConfig) -> Vec<bool> {
    let types = config.rest.get("layer_types").and_then(Value::as_array);
    let every = config.size("global_attn_every_n_layers").unwrap_or(3).max(1);
    let of_layer = |layer: usize| match types.and_then(|types| types.get(layer)) {
        Some(kind) => kind == GLOBAL,
        None => layer.is_multiple_of(every),
    };
    (0..config.num_hidden_layers).map(of_layer).collect()
}

/// The base of rotary positions of a type of layers.
fn theta(config: &BertConfig, kind: &str, key: &str, default: f64) -> f64 {
    let of_kind = config.rest.get("rope_parameters").and_then(|of| of.get(kind)?.get("rope_theta")?.as_f64());
    of_kind.or_else(|| config.number(key)).unwrap_or(default)
}

/// Writes `layer_types`.
fn set_layer_types(config: &mut BertConfig, architecture: &Architecture) {
    let kind = |window: &Option<usize>| if window.is_some() { LOCAL } else { GLOBAL };
    let types: Vec<Value> = architecture.windows.iter().map(|window| kind(window).into()).collect();
    config.rest.insert("layer_types".to_owned(), types.into());
}
