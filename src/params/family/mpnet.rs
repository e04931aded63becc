//! `mpnet`: a bucketed relative position bias that all layers share, positions from row 2 on, no token types.

use super::description::{Description, Setting};
use crate::params::architecture::{Architecture, DistanceBuckets, Heads, Positions};
use crate::params::config::BertConfig;
use crate::params::config_key::{BODY, Key, Kind, computed};

pub(super) const DESCRIPTION: Description = Description {
    model_type: "mpnet",
    prefix: "mpnet",
    class: "MPNet",
    layer: &[
        ("attention.self.query.", "attention.attn.q."),
        ("attention.self.key.", "attention.attn.k."),
        ("attention.self.value.", "attention.attn.v."),
        ("attention.output.dense.", "attention.attn.o."),
        ("attention.output.LayerNorm.", "attention.LayerNorm."),
    ],
    constants: &[("type_vocab_size", Setting::Size(0))],
    pads_positions: false,
    sizes: &[("vocab_size", Setting::Size(30527))],
    keys: &[BODY, KEYS],
    architecture,
    ..super::roberta::DESCRIPTION
};

/// The number of buckets and the first position, which the code of `transformers` fixes, whatever the file says.
const COUNT: usize = 32;
const FIRST: usize = 2;

const KEYS: &[Key] = &[computed(
    "relative_attention_num_buckets",
    Kind::Exactly(COUNT),
    "number of relative position buckets",
)];

fn architecture(config: &BertConfig) -> Architecture {
    let roberta = Architecture::of_roberta(config);
    let buckets = Some(DistanceBuckets { count: COUNT, farthest: 128 });
    let heads = Heads {
        classifier_dropout: config.hidden_dropout_prob,
        token_dropout: config.hidden_dropout_prob,
        ..roberta.heads.clone()
    };
    Architecture { heads, positions: Positions { first: FIRST, buckets, ..roberta.positions }, ..roberta }
}
