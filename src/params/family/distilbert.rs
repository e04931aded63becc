//! `distilbert`: no token types, other names of modules and settings, ReLU in the classifier.

use super::description::{Description, Setting};
use crate::params::architecture::{Activation, Architecture, Heads};
use crate::params::config::BertConfig;
use crate::params::config_key::{
    ABSOLUTE, ACTIVATION, ACTIVATION_OF, ATTENTION_DROPOUT, ATTENTION_HEADS, CLASSIFIER_DROPOUT, HIDDEN,
    HIDDEN_DROPOUT, INTERMEDIATE, Key, Kind, LAYER_COUNT, LAYERS, computed, without_effect,
};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "distilbert",
    prefix: "distilbert",
    class: "DistilBert",
    layers: "transformer.layer",
    layer: &[
        ("attention.self.query.", "attention.q_lin."),
        ("attention.self.key.", "attention.k_lin."),
        ("attention.self.value.", "attention.v_lin."),
        ("attention.output.dense.", "attention.out_lin."),
        ("attention.output.LayerNorm.", "sa_layer_norm."),
        ("intermediate.dense.", "ffn.lin1."),
        ("output.dense.", "ffn.lin2."),
        ("output.LayerNorm.", "output_layer_norm."),
    ],
    heads: &[
        ("bert.pooler.dense.", "pre_classifier."),
        ("cls.predictions.transform.dense.", "vocab_transform."),
        ("cls.predictions.transform.LayerNorm.", "vocab_layer_norm."),
        ("cls.predictions.bias", "vocab_projector.bias"),
    ],
    encoder: &["embeddings.", "transformer."],
    tied: "vocab_projector.weight",
    settings: &[
        ("hidden_size", "dim"),
        ("num_hidden_layers", "n_layers"),
        ("num_attention_heads", "n_heads"),
        ("intermediate_size", "hidden_dim"),
        ("hidden_act", "activation"),
        ("hidden_dropout_prob", "dropout"),
        ("attention_probs_dropout_prob", "attention_dropout"),
    ],
    // Settings that are constants in DistilBERT's code.
    constants: &[("type_vocab_size", Setting::Size(0)), ("layer_norm_eps", Setting::Number(1e-12))],
    sizes: &[("num_hidden_layers", Setting::Size(6))],
    keys: &[KEYS, ABSOLUTE],
    architecture,
    ..super::bert::DESCRIPTION
};

const KEYS: &[Key] = &[
    computed("dim", Kind::Size, HIDDEN),
    computed("n_layers", LAYER_COUNT, LAYERS),
    computed("n_heads", Kind::Size, ATTENTION_HEADS),
    computed("hidden_dim", Kind::Size, INTERMEDIATE),
    computed("activation", ACTIVATION, ACTIVATION_OF),
    computed("dropout", Kind::Dropout, HIDDEN_DROPOUT),
    computed("attention_dropout", Kind::Dropout, ATTENTION_DROPOUT),
    computed("seq_classif_dropout", Kind::Dropout, CLASSIFIER_DROPOUT),
    computed("qa_dropout", Kind::Dropout, "dropout before the answer's logits"),
    without_effect(
        "sinusoidal_pos_embds",
        "the sinusoidal position embeddings are stored with the weights. `transformers` keeps them fixed; obert trains them unless `freeze` selects them",
    ),
    without_effect("tie_weights_", "`tie_word_embeddings` is read in its place"),
];

fn architecture(config: &BertConfig) -> Architecture {
    let bert = Architecture::of_bert(config);
    let heads = Heads {
        pooler: Activation::Relu,
        dropout_before_answers: true,
        classifier_dropout: config.number("seq_classif_dropout").unwrap_or(0.2),
        token_dropout: config.hidden_dropout_prob,
        answer_dropout: config.number("qa_dropout").unwrap_or(0.1),
        ..bert.heads.clone()
    };
    Architecture { typed: false, attention_output_dropout: false, heads, ..bert }
}
