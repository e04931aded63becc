//! Hostile `config.json`s beside the weights of a model of each family: a folder is refused with located help, or it is packed
//! and runs.

use std::path::Path;
use std::sync::Arc;

use obert::internals::infer::{Limits, Model, Precision, Sequence, Session, pack};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::golden::golden;

const MODELS: [&str; 12] = [
    "bert/tiny",
    "families/roberta_classifier",
    "families/distilbert_answering",
    "encoders/xlm-roberta_classifier",
    "encoders/camembert_answering",
    "encoders/electra_classifier",
    "encoders/albert_classifier",
    "encoders/mpnet_answering",
    "encoders/modernbert_classifier",
    "encoders/modernbert-biased_answering",
    "encoders/deberta-v2_classifier",
    "encoders/deberta-v2-unshared_answering",
];

/// Keys that not every file has.
const MORE: [&str; 18] = [
    "position_buckets",
    "max_relative_positions",
    "pos_att_type",
    "norm_rel_ebd",
    "share_att_key",
    "position_biased_input",
    "conv_kernel_size",
    "position_embedding_type",
    "local_attention",
    "global_attn_every_n_layers",
    "global_rope_theta",
    "local_rope_theta",
    "layer_types",
    "rope_parameters",
    "num_hidden_groups",
    "embedding_size",
    "pooler_hidden_size",
    "type_vocab_size",
];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        (-2i64..30).prop_map(Into::into),
        prop_oneof![Just(1_000_000u64), Just(1 << 24), Just(1 << 31), Just(1 << 53), Just(u64::MAX)]
            .prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop_oneof![
            Just("gelu"),
            Just("relu"),
            Just("bert"),
            Just("layer_norm"),
            Just("p2c"),
            Just("c2p|p2c")
        ]
        .prop_map(Into::into),
        prop_oneof![
            Just(json!([])),
            Just(json!({})),
            Just(json!(["c2p"])),
            Just(json!(["full_attention"])),
            Just(json!(["full_attention", "sliding_attention"])),
            Just(json!({ "full_attention": { "rope_theta": 0.0 } })),
            Just(
                json!({ "full_attention": { "rope_theta": 9.0 }, "sliding_attention": { "rope_theta": 1e-300 } })
            ),
        ],
    ]
}

/// Reads and packs the folder with another configuration. Whatever is packed opens and runs.
fn refused_or_runs(folder: &Path, name: &str, config: &Map<String, Value>) {
    std::fs::write(folder.join("config.json"), serde_json::to_string_pretty(config).unwrap()).unwrap();
    let image = match pack::pack(folder, Some(Precision::Float32), &mut Default::default()) {
        Ok(image) => image,
        Err(wrong) => {
            let has_help = wrong.iter().all(|d| d.help.as_deref().is_some_and(|help| !help.is_empty()));
            assert!(!wrong.is_empty() && has_help, "{name}: {wrong:?}");
            return;
        }
    };
    let model = Model::from_bytes(&image.bytes(), name).unwrap_or_else(|d| panic!("{name}: {d:?}"));
    let mut session =
        Session::new(Arc::new(model), Limits { length: 20, threads: 1, ..Limits::default() }).unwrap();
    let length = session.limits().length.min(4);
    let _ = session.run(&[Sequence { ids: &[2, 9, 8, 3][..length], types: &[0; 4][..length] }]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_value_of_any_key_is_refused_with_help_or_runs(
        which in 0..MODELS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..4),
    ) {
        let from = golden(MODELS[which]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        let text = std::fs::read_to_string(from.join("config.json")).unwrap();
        let mut config: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let keys: Vec<String> = config.keys().cloned().chain(MORE.map(str::to_owned)).collect();
        for (key, value) in &changes {
            config.insert(keys[key.index(keys.len())].clone(), value.clone());
        }
        refused_or_runs(folder.path(), MODELS[which], &config);
    }
}
