//! The pipeline against transformers and sentence-transformers (`tests/oracle/pipelines.py` records them).

use std::sync::Arc;

use obert::internals::diag::Code;
use obert::runtime::{Pipeline, Prediction};
use obert::{Error, PredictConfig};
use serde_json::Value;

use super::golden::{floats, golden, recorded};

fn open(folder: &str) -> Pipeline {
    let mut config = PredictConfig::new(golden(folder));
    config.threads = Some(2);
    Pipeline::open(&config).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn near(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    let most = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 2e-5, "{most}: {got:?} {expected:?}");
}

fn code(error: &Error) -> (Code, String) {
    let first = &error.diagnostics()[0];
    (first.code, format!("{} {}", first.message, first.help.as_deref().unwrap()))
}

#[test]
fn each_method_gives_what_transformers_and_sentence_transformers_give() {
    let recorded = recorded("pipelines/outputs.json");
    let all = texts(&recorded["texts"]);

    let pairs = recorded["pairs"].as_array().unwrap().iter().map(texts);
    let pairs = pairs.map(|pair| (pair[0].clone(), Some(pair[1].clone())));
    let inputs: Vec<_> = all.iter().map(|text| (text.clone(), None)).chain(pairs).collect();
    let predictions = open("heads/classifier").predict(inputs, false).unwrap();
    for (prediction, expected) in predictions.iter().zip(recorded["labels"].as_array().unwrap()) {
        let Prediction::Labels { labels, single: true } = prediction else { panic!("{prediction:?}") };
        assert_eq!(labels.len(), 3);
        assert!(labels.is_sorted_by(|a, b| a.1 >= b.1));
        labels.iter().for_each(|(name, p)| near(&[*p], &[expected[name].as_f64().unwrap() as f32]));
    }
    assert_eq!(predictions.len(), 6);

    let found = open("infer/heads/tokens").entities(&all, false).unwrap();
    for ((found, expected), text) in found.iter().zip(recorded["entities"].as_array().unwrap()).zip(&all) {
        assert_eq!(found.len(), expected.as_array().unwrap().len(), "{found:?}");
        for (entity, expected) in found.iter().zip(expected.as_array().unwrap()) {
            assert_eq!(entity.label, expected["label"]);
            assert_eq!((entity.start, entity.end), (at(&expected["start"]), at(&expected["end"])));
            assert_eq!(entity.text, text[entity.start..entity.end]);
            near(&[entity.score], &[expected["score"].as_f64().unwrap() as f32]);
        }
    }

    let reranker = open("pipelines/reranker");
    let documents = texts(&recorded["documents"]);
    let scores = |raw| reranker.rerank("w1 w2", &documents, raw, false).unwrap();
    near(&scores(false), &floats(&recorded["rerank"]));
    near(&scores(true), &floats(&recorded["rerank_raw"]));
    let one = reranker.predict(vec![("w1 w2".into(), Some(documents[1].clone()))], false).unwrap();
    assert_eq!(one, [Prediction::Score(scores(true)[1])]);

    let encoder = open("embeddings/model");
    assert_eq!((encoder.dimension(), encoder.max_length(), encoder.method()), (8, 16, "embed"));
    let embeddings = encoder.embed(&texts(&recorded["sentences"]), true).unwrap();
    let expected: Vec<f32> = recorded["embeddings"].as_array().unwrap().iter().flat_map(floats).collect();
    near(&embeddings, &expected);
    assert!(encoder.embed::<String>(&[], false).unwrap().is_empty());

    let (question, context) = (&recorded["question"], &recorded["context"]);
    let asked = (question.as_str().unwrap().to_owned(), context.as_str().unwrap().to_owned());
    let answered = open("bert/tiny").answer(vec![asked.clone(), asked], 3).unwrap();
    assert_eq!(answered[0], answered[1]);
    let expected = recorded["answers"].as_array().unwrap();
    assert_eq!(answered[0].answers.len(), expected.len());
    for (answer, expected) in answered[0].answers.iter().zip(expected) {
        assert_eq!(answer.text, expected["answer"]);
        near(&[answer.score], &[expected["score"].as_f64().unwrap() as f32]);
    }
    near(&[answered[0].no_answer], &[recorded["no_answer"].as_f64().unwrap() as f32]);
}

fn at(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

#[test]
fn a_method_that_the_head_does_not_compute_names_the_one_that_does() {
    let encoder = open("embeddings/model");
    let errors = [
        encoder.predict(vec![("w1".into(), None)], true).unwrap_err(),
        encoder.rerank("w1", &["w2"], false, true).unwrap_err(),
        encoder.entities(&["w1"], true).unwrap_err(),
        encoder.answer(vec![("w1".into(), "w2".into())], 1).unwrap_err(),
    ];
    for error in &errors {
        let (code, text) = code(error);
        assert_eq!(code, Code::OtherHead);
        assert!(text.contains("gives embeddings") && text.ends_with("call `embed`"), "{text}");
    }
    let (_, text) = code(&open("pipelines/reranker").embed(&["w1"], true).unwrap_err());
    assert!(text.ends_with("call `predict` or `rerank`"), "{text}");
}

#[test]
fn an_input_that_is_refused_is_named_by_its_index() {
    let long = "w1 ".repeat(40);
    let encoder = open("embeddings/model");
    let error = encoder.embed(&["w1", &long], false).unwrap_err();
    assert_eq!((error.input(), code(&error).0), (Some(1), Code::InputRefused));
    let text = error.to_string();
    assert!(text.starts_with("input 1: OB0968: ") && text.contains("more than 16 tokens"), "{text}");
    let cut = encoder.embed(&[&*long, &"w1 ".repeat(14)], true).unwrap();
    assert_eq!(cut[..8], cut[8..], "truncated to 14 words and two special tokens");
    let reader = open("bert/tiny");
    let error = reader.answer(vec![("".into(), "w1".into())], 1).unwrap_err();
    assert_eq!((error.input(), code(&error).0), (Some(0), Code::InputRefused));
    assert!(error.to_string().contains("the question is empty"), "{error}");
    let error = open("infer/heads/tokens").entities(&["w1", &long], false).unwrap_err();
    assert_eq!(error.input(), Some(1));
}

#[test]
fn threads_share_a_pipeline_and_get_the_same_results() {
    let encoder = Arc::new(open("embeddings/model"));
    let expected = encoder.embed(&["w1", "w2 w6"], false).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let encoder = Arc::clone(&encoder);
            std::thread::spawn(move || {
                (0..50).map(|_| encoder.embed(&["w1", "w2 w6"], false).unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap().iter().all(|found| *found == expected));
    }
}

#[test]
fn the_maximum_length_and_prompts_of_a_sentence_transformers_folder_are_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.obert-engine");
    let packed =
        obert::internals::infer::pack::pack(&golden("embeddings/model"), None, &mut Default::default());
    std::fs::write(&path, packed.unwrap().bytes()).unwrap();
    let packed = Pipeline::open(&PredictConfig::new(&path)).unwrap();
    assert_eq!(packed.max_length(), 16);
    assert_eq!(packed.prompts().keys().collect::<Vec<_>>(), ["document", "query"]);
    assert_eq!(
        packed.embed(&["w1 w4"], false).unwrap(),
        open("embeddings/model").embed(&["w1 w4"], false).unwrap()
    );
}
