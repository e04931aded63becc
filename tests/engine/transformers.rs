//! BERT against transformers: recorded hidden states, logits and training steps (`tests/oracle`).

use std::path::{Path, PathBuf};

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use obert::internals::diag::Sources;
use obert::internals::engine::optimizer::AdamW;
use obert::internals::schedule::ir::Train;
use obert::internals::task::data::features::Feature;
use obert::internals::task::model::checkpoint::{self, Loaded};
use obert::internals::task::model::{Dropouts, Tokens};
use obert::internals::task::question_answering::QuestionAnswering;
use obert::internals::task::{Task, parameters};
use obert::internals::text::Tokenizer;
use obert::internals::text::windows::Window;
use serde_json::Value;

use super::golden::cases;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/bert/tiny")
}

fn load(folder: &Path, device: &Device) -> Loaded {
    checkpoint::load(folder, 1, device, &mut Sources::new()).unwrap_or_else(|d| panic!("{d:?}"))
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The worst deviation from recorded rows, token by token of each sequence.
fn worst(got: &[f32], width: usize, recorded: &Value, every: usize) -> f32 {
    let rows: Vec<Vec<f32>> =
        recorded.as_array().unwrap().iter().flat_map(|s| s.as_array().unwrap()).map(floats).collect();
    assert_eq!(got.len(), rows.len() * width, "rows");
    got.chunks(width)
        .zip(&rows)
        .flat_map(|(g, r)| g.iter().step_by(every).zip(r).map(|(g, r)| (g - r).abs()))
        .fold(0.0, f32::max)
}

#[test]
fn hidden_states_and_logits_of_a_tiny_model_equal_those_of_transformers() {
    let (_, recorded) = cases("bert").into_iter().next().unwrap();
    let device = Device::flex();
    let loaded = load(&tiny(), &device);
    assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty());
    let sequences: Vec<(Vec<u32>, Vec<u32>)> =
        (0..2).map(|i| (ids(&recorded["ids"][i]), ids(&recorded["types"][i]))).collect();
    let borrowed: Vec<_> = sequences.iter().map(|(i, t)| (i.as_slice(), t.as_slice())).collect();
    let tokens = Tokens::arrange(&borrowed, &device);
    let hidden = values(loaded.model.hidden_states(&tokens, Dropouts::NONE));
    let error = worst(&hidden, 24, &recorded["hidden"], 1);
    assert!(error < 2e-5, "hidden states differ by {error}");
    let logits = values(loaded.model.forward(&tokens, Dropouts::NONE));
    let error = worst(&logits, 2, &recorded["logits"], 1);
    assert!(error < 2e-5, "logits differ by {error}");
}

#[test]
fn five_training_steps_equal_those_of_pytorch() {
    let (_, recorded) = cases("bert").into_iter().next().unwrap();
    let training = &recorded["training"];
    let number = |key: &str| training[key].as_f64().unwrap();
    let device = Device::flex().autodiff();
    let features = (0..2)
        .map(|i| {
            let answer = &training["answers"][i];
            let place = |k: usize| answer[k].as_u64().unwrap() as usize;
            let ids = ids(&recorded["ids"][i]);
            Feature {
                question: 0,
                answer: (place(0), place(1)),
                window: Window {
                    types: super::transformers::ids(&recorded["types"][i]),
                    context_start: 4,
                    offsets: vec![(0, 0); ids.len() - 5],
                    ids,
                },
            }
        })
        .collect();
    let task = QuestionAnswering {
        train: features,
        dev_questions: vec![],
        dev: vec![],
        max_answer_length: 30,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        head_dropout: 0.0,
    };
    let settings = Train {
        accumulate: 1,
        batch: 2,
        weight_decay: number("weight_decay"),
        beta1: 0.9,
        beta2: number("beta2"),
        epsilon: 1e-8,
        clip: number("clip"),
        dropout: None,
        label_smoothing: 0.0,
        batches: Default::default(),
        precision: Default::default(),
    };
    let mut model = load(&tiny(), &device).model;
    let mut optimizer = AdamW::new(&settings, &model);
    for (i, step) in training["steps"].as_array().unwrap().iter().enumerate() {
        let batch = task.batch(&[0, 1], &device);
        let outputs = task.outputs(&model, &batch, Some(i as u64));
        let loss = task.loss(&outputs, &batch);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let (moved, norm) = optimizer.step(model, gradients, number("lr"));
        model = moved;
        let (expected, expected_norm) =
            (step["loss"].as_f64().unwrap(), step["gradient_norm"].as_f64().unwrap());
        assert!((value - expected).abs() < 2e-5, "loss of step {i}: {value} is not {expected}");
        assert!((norm - expected_norm).abs() < 2e-4, "norm of step {i}: {norm} is not {expected_norm}");
    }
    let name = "bert.encoder.layer.1.attention.self.query.weight";
    let query = &parameters::read(&model, |n| n == name)[name];
    let expected = floats(&training["query_after"]);
    // Row 3 of the Hugging Face layout: all inputs of the fourth output.
    let error = query[3 * 24..4 * 24].iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < 2e-5, "a trained weight differs by {error}");
}

#[test]
fn what_is_saved_is_read_back_bit_for_bit_under_the_same_names() {
    let device = Device::flex();
    let loaded = load(&tiny(), &device);
    let folder = tempfile::tempdir().unwrap();
    checkpoint::save(&loaded.model, &loaded.config, folder.path()).unwrap();
    let again = load(folder.path(), &device);
    assert_eq!(again.config.shape(), loaded.config.shape());
    assert_eq!(parameters::read(&again.model, |_| true), parameters::read(&loaded.model, |_| true));
    assert!(again.unused.is_empty() && again.new_parameters.is_empty());
}

#[test]
#[ignore = "needs a MiniLM folder in OBERT_MINILM (tests/oracle/README.md)"]
fn hidden_states_of_minilm_equal_those_of_transformers() {
    let folder = PathBuf::from(std::env::var_os("OBERT_MINILM").expect("OBERT_MINILM names a folder"));
    let (_, recorded) = cases("minilm").into_iter().next().unwrap();
    let device = Device::flex();
    let loaded = load(&folder, &device);
    let tokenizer = Tokenizer::from_folder(&folder, &mut Sources::new()).unwrap();
    for case in recorded.as_array().unwrap() {
        let mut own = vec![tokenizer.cls()];
        own.extend(tokenizer.encode(case["text"].as_str().unwrap()).unwrap().ids);
        own.push(tokenizer.sep());
        assert_eq!(own, ids(&case["ids"]), "tokens of {}", case["text"]);
        let types = vec![0; own.len()];
        let tokens = Tokens::arrange(&[(&own, &types)], &device);
        let hidden = values(loaded.model.hidden_states(&tokens, Dropouts::NONE));
        let recorded = Value::Array(vec![case["hidden"].clone()]);
        let error = worst(&hidden, 384, &recorded, 48);
        assert!(error < 1e-4, "hidden states of {} differ by {error}", case["text"]);
    }
}
