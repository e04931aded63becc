//! `roberta`: positions begin at `pad_token_id + 1`; one token type; heads of other names.

use super::description::{Description, Setting};
use crate::params::architecture::Architecture;
use crate::params::config_key::{ABSOLUTE, BODY, CLASSIFIER, TYPES};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "roberta",
    prefix: "roberta",
    class: "Roberta",
    heads: HEADS,
    tied: "lm_head.decoder.",
    absent: &[("pad_token_id", Setting::Size(1))],
    sizes: &[("vocab_size", Setting::Size(50265))],
    pads_positions: true,
    keys: &[BODY, CLASSIFIER, TYPES, ABSOLUTE],
    architecture: Architecture::of_roberta,
    ..super::bert::DESCRIPTION
};

/// The heads, which several families share.
pub(super) const HEADS: &[(&str, &str)] = &[
    ("bert.pooler.dense.", "classifier.dense."),
    ("classifier.", "classifier.out_proj."),
    ("cls.predictions.transform.dense.", "lm_head.dense."),
    ("cls.predictions.transform.LayerNorm.", "lm_head.layer_norm."),
    ("cls.predictions.bias", "lm_head.bias"),
];
