//! Heads for tokens and embeddings against transformers (`tests/oracle/outputs.py`).

use std::sync::Arc;

use obert::internals::infer::simd::Isa;
use obert::internals::infer::{Model, Sequence, pack};
use serde_json::{Value, json};

use super::files::with_text;
use super::golden::{floats, golden, model, recorded, sequences, session};

/// All outputs of each sequence.
fn outputs(
    model: &Arc<Model>,
    threads: usize,
    isa: Isa,
    sequences: &[(Vec<u32>, Vec<u32>)],
) -> Vec<Vec<f32>> {
    let borrowed: Vec<Sequence<'_>> = sequences.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let mut session = session(model, threads, isa);
    let found = session.run(&borrowed).unwrap();
    (0..sequences.len())
        .map(|i| found.tokens(i).flatten().copied().chain(found.embedding(i)).collect())
        .collect()
}

fn near(got: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got.len(), expected.len(), "{what}");
        let most = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most < 1e-4, "{what}: {most}");
    }
}

#[test]
fn logits_of_tokens_equal_those_of_transformers_on_every_instruction_set() {
    let recorded = recorded("infer/heads/outputs.json");
    let rows = |one: &Value| one.as_array().unwrap().iter().flat_map(floats).collect::<Vec<f32>>();
    let expected: Vec<Vec<f32>> = recorded["tokens"].as_array().unwrap().iter().map(rows).collect();
    let model = model("infer/heads/tokens", None);
    assert_eq!(model.labels(), None, "these are labels of texts");
    for isa in Isa::available() {
        near(&outputs(&model, 2, isa, &sequences(&recorded)), &expected, isa.name());
    }
}

#[test]
fn embeddings_equal_those_of_transformers_with_every_pooling() {
    let recorded = recorded("infer/heads/outputs.json");
    let sequences = sequences(&recorded);
    let packed = pack::pack(&golden("infer/heads/embedding"), None, &mut Default::default()).unwrap().bytes();
    let at = u64::from_le_bytes(packed[24..32].try_into().unwrap()) as usize;
    let of = |pooling: &str, normalize: bool| {
        let mut directory: Value = serde_json::from_slice(&packed[at..]).unwrap();
        directory["head"] = json!({ "embedding": { "pooling": pooling, "normalize": normalize } });
        let bytes = with_text(&packed[..at], directory.to_string().into_bytes());
        Arc::new(Model::from_bytes(&bytes, "x").unwrap())
    };
    let all = |name: &str| recorded[name].as_array().unwrap().iter().map(floats).collect::<Vec<_>>();
    // More than sixteen sequences fill several groups of lanes.
    let many: Vec<_> = sequences.iter().cycle().take(4).cloned().collect();
    for (name, pooling, normalize) in [
        ("first", "first", false),
        ("last", "last", false),
        ("mean", "mean", false),
        ("max", "max", false),
        ("normalized", "mean", true),
    ] {
        let expected: Vec<_> = all(name).into_iter().cycle().take(4).collect();
        for isa in Isa::available() {
            near(&outputs(&of(pooling, normalize), 2, isa, &many), &expected, name);
        }
    }
}
