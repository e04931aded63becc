//! `bert`: BERT, MiniLM, BGE, E5 and others.

use super::description::{Description, Setting};
use crate::params::architecture::Architecture;
use crate::params::config_key::{ABSOLUTE, BODY, CLASSIFIER, TYPES};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "bert",
    prefix: "bert",
    class: "Bert",
    layers: "encoder.layer",
    layer: &[],
    modules: &[],
    heads: &[],
    encoder: &["embeddings.", "encoder."],
    tied: "cls.predictions.decoder.",
    settings: &[],
    constants: &[],
    absent: &[],
    sizes: &[],
    pads_positions: false,
    keys: &[BODY, CLASSIFIER, TYPES, ABSOLUTE],
    set_layers: None,
    architecture: Architecture::of_bert,
};

/// The sizes that `BertConfig` of `transformers` assumes.
pub(super) const SIZES: &[(&str, Setting)] = &[
    ("vocab_size", Setting::Size(30522)),
    ("hidden_size", Setting::Size(768)),
    ("num_hidden_layers", Setting::Size(12)),
    ("num_attention_heads", Setting::Size(12)),
    ("intermediate_size", Setting::Size(3072)),
    ("max_position_embeddings", Setting::Size(512)),
];
