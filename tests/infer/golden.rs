//! Float models against transformers (`tests/oracle/bert.py` and `heads.py` record them).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use obert::internals::diag::Sources;
use obert::internals::infer::simd::Isa;
use obert::internals::infer::{Limits, Model, Precision, Sequence, Session, open};
use serde_json::Value;

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub fn recorded(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden(name)).unwrap()).unwrap()
}

pub fn model(folder: &str, precision: Option<Precision>) -> Arc<Model> {
    let opened = open(&golden(folder), precision, &mut Sources::new());
    Arc::new(opened.unwrap_or_else(|d| panic!("{d:?}")))
}

pub fn sequences(recorded: &Value) -> Vec<(Vec<u32>, Vec<u32>)> {
    let ids = |v: &Value| -> Vec<u32> {
        v.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
    };
    let (all, types) = (recorded["ids"].as_array().unwrap(), recorded["types"].as_array().unwrap());
    // Recorded ids of a batch are filled up with zeros, or their types are.
    all.iter()
        .zip(types)
        .map(|(i, t)| {
            let (ids, mut types) = (ids(i), ids(t));
            types.truncate(ids.len());
            (ids, types)
        })
        .collect()
}

pub fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

pub fn session(model: &Arc<Model>, threads: usize, isa: Isa) -> Session {
    Session::new(Arc::clone(model), Limits { sequences: 4, length: 20, threads, isa }).unwrap()
}

/// Start and end logits of all tokens, sequence by sequence.
pub fn answers(session: &mut Session, sequences: &[(Vec<u32>, Vec<u32>)]) -> Vec<Vec<[f32; 2]>> {
    let borrowed: Vec<Sequence<'_>> = sequences.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let logits = session.run(&borrowed).unwrap();
    (0..sequences.len())
        .map(|i| {
            let (start, end) = logits.answer(i);
            start.iter().zip(end).map(|(s, e)| [*s, *e]).collect()
        })
        .collect()
}

#[test]
fn answers_of_a_float_model_equal_those_of_transformers_on_every_instruction_set() {
    let recorded = recorded("bert/tiny_outputs.json");
    let model = model("bert/tiny", None);
    let sequences = sequences(&recorded);
    for isa in Isa::available() {
        for threads in [1, 2] {
            let got = answers(&mut session(&model, threads, isa), &sequences);
            for (got, expected) in got.iter().zip(recorded["logits"].as_array().unwrap()) {
                let expected = expected.as_array().unwrap();
                assert_eq!(got.len(), expected.len());
                for (got, expected) in got.iter().zip(expected) {
                    let expected = floats(expected);
                    let apart = (got[0] - expected[0]).abs().max((got[1] - expected[1]).abs());
                    assert!(apart < 1e-4, "{got:?} is not {expected:?} on {}", isa.name());
                }
            }
        }
    }
}

#[test]
fn labels_of_a_float_model_equal_those_of_transformers() {
    let recorded = recorded("heads/outputs.json");
    let model = model("heads/classifier", None);
    assert_eq!(model.labels().unwrap(), ["entailment", "neutral", "contradiction"]);
    let sequences = sequences(&recorded);
    let borrowed: Vec<Sequence<'_>> = sequences.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let mut session = session(&model, 2, Isa::best());
    let logits = session.run(&borrowed).unwrap();
    for (i, expected) in recorded["classifier"]["logits"].as_array().unwrap().iter().enumerate() {
        let got: Vec<f32> = logits.labels(i).collect();
        for (got, expected) in got.iter().zip(floats(expected)) {
            assert!((got - expected).abs() < 1e-4, "sequence {i}: {got} is not {expected}");
        }
    }
}

#[test]
fn what_runs_beside_a_sequence_does_not_change_its_answers() {
    let recorded = recorded("bert/tiny_outputs.json");
    let model = model("bert/tiny", Some(Precision::Int8));
    let sequences = sequences(&recorded);
    let mut session = session(&model, 1, Isa::best());
    let together = answers(&mut session, &sequences);
    for (i, one) in sequences.iter().enumerate() {
        assert_eq!(answers(&mut session, std::slice::from_ref(one))[0], together[i]);
    }
}

#[test]
fn calls_that_do_not_fit_are_refused_and_the_session_goes_on() {
    let model = model("bert/tiny", None);
    let mut session = session(&model, 1, Isa::best());
    let refused = |session: &mut Session, ids: &[u32], types: &[u32]| {
        session.run(&[Sequence { ids, types }]).unwrap_err().to_string()
    };
    assert_eq!(refused(&mut session, &[], &[]), "a sequence has no tokens");
    assert_eq!(refused(&mut session, &[1; 21], &[0; 21]), "a sequence has 21 tokens; the most is 20");
    assert_eq!(refused(&mut session, &[1, 40], &[0, 0]), "a sequence has the token 40; the model has 40");
    assert_eq!(refused(&mut session, &[1, 2], &[0, 2]), "a sequence has the type 2; the model has 2");
    assert_eq!(refused(&mut session, &[1, 2], &[0]), "a sequence has 2 tokens and 1 token type");
    let short = Sequence { ids: &[1], types: &[0] };
    assert!(session.run(&[short; 9]).unwrap_err().to_string().contains("planned for 8"));
    assert_eq!(session.run(&[short]).unwrap().answer(0).0.len(), 1);
}
