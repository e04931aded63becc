//! Sentence embeddings against sentence-transformers (`tests/oracle/embeddings.py`): a recorded folder, its embeddings,
//! losses and metrics; and whole runs with and without labels.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use obert::internals::diag::Sources;
use obert::internals::params::builtin::Head;
use obert::internals::params::sentence_modules::{PoolingMode, SentenceModules};
use obert::internals::task::HiddenStates;
use obert::internals::task::metric::retrieval::Nearest;
use obert::internals::task::metric::similarity;
use obert::internals::task::model::{Dropouts, SentenceEncoder, Tokens, checkpoint};
use obert::internals::task::pooling::{
    cosent, cosine_error, cosines, in_batch_negatives, pool, random_projection,
};
use obert::internals::text::Tokenizer;
use obert::internals::text::windows::join;
use serde_json::Value;

use super::golden::cases;
use super::tasks::{Workshop, measured, obertc, packed_is_as_good, stderr, stdout};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/embeddings/model")
}

fn recorded() -> Value {
    cases("embeddings").into_iter().next().unwrap().1
}

fn rows(value: &Value) -> Vec<Vec<f32>> {
    let row = |row: &Value| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    value.as_array().unwrap().iter().map(row).collect()
}

fn texts(value: &Value) -> Vec<String> {
    ["first", "second", "third"]
        .iter()
        .flat_map(|key| value[*key].as_array().unwrap())
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn tensor(rows: &[Vec<f32>], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), rows[0].len()]), device)
}

#[test]
fn embeddings_of_a_recorded_folder_equal_those_of_sentence_transformers() {
    let (recorded, device) = (recorded(), Device::flex());
    let modules = SentenceModules::read(&folder()).unwrap().unwrap();
    assert_eq!((modules.pooling, modules.normalize), (PoolingMode::Mean, true));
    let tokenizer = Tokenizer::from_folder(&folder(), &mut Sources::new()).unwrap();
    let ids: Vec<Vec<u32>> = texts(&recorded)
        .iter()
        .map(|text| join(tokenizer.encode(text).unwrap().ids, None, &tokenizer, 16).ids)
        .collect();
    let types: Vec<Vec<u32>> = ids.iter().map(|ids| vec![0; ids.len()]).collect();
    let parts: Vec<(&[u32], &[u32])> =
        ids.iter().zip(&types).map(|(i, t)| (i.as_slice(), t.as_slice())).collect();
    let tokens = Tokens::arrange(&parts, &device);
    let load = |path: &Path| -> SentenceEncoder {
        let loaded = checkpoint::load_with_head(path, Head::Embedding, 1, &device, &mut Sources::new());
        let loaded = loaded.unwrap_or_else(|d| panic!("{d:?}"));
        // The recorded folder has a pooler, which no embedding needs.
        assert!(loaded.new_parameters.is_empty());
        assert!(loaded.unused.iter().all(|name| name.starts_with("pooler.")), "{:?}", loaded.unused);
        loaded.model
    };
    let model = load(&folder());
    // A saved model has the bare names of a `BertModel`.
    let saved = tempfile::tempdir().unwrap();
    let config = obert::internals::params::folder::read_config(&folder(), &mut Sources::new()).unwrap();
    checkpoint::save(&model, &config, saved.path()).unwrap();
    let bytes = std::fs::read(saved.path().join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(file.tensor("embeddings.word_embeddings.weight").is_ok());
    let written: Value =
        serde_json::from_slice(&std::fs::read(saved.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(written["architectures"], serde_json::json!(["BertModel"]));
    for model in [model, load(saved.path())] {
        let hidden = model.forward_with(&tokens, Dropouts::NONE, &mut HiddenStates::none());
        for (mode, normalize, key) in [
            (PoolingMode::Mean, false, "mean"),
            (PoolingMode::Cls, false, "cls"),
            (PoolingMode::Max, false, "max"),
            (PoolingMode::Last, false, "lasttoken"),
            (PoolingMode::Mean, true, "normalized"),
        ] {
            let found = pool(hidden.clone(), &tokens, mode, normalize);
            let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
            for (got, expected) in found.iter().zip(rows(&recorded[key]).concat()) {
                assert!((got - expected).abs() < 1e-5, "{key}: {got} is not {expected}");
            }
        }
    }
}

#[test]
fn losses_and_metrics_equal_those_of_sentence_transformers() {
    let (recorded, device) = (recorded(), Device::flex());
    let all = rows(&recorded["normalized"]);
    let [a, b, c] = [&all[..8], &all[8..16], &all[16..]];
    let scores: Vec<f64> =
        recorded["scores"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let floats: Vec<f32> = scores.iter().map(|s| *s as f32).collect();
    let unit: Vec<f32> = floats.iter().map(|s| s / 5.0).collect();
    let own = |rows: &[Vec<f32>]| tensor(rows, &device);
    let of_pairs = || cosines(own(a), own(b));
    for (name, loss) in [
        ("in_batch", in_batch_negatives(own(a), own(b), 20.0)),
        ("in_batch_triplets", in_batch_negatives(own(a), own(&all[8..]), 20.0)),
        ("cosent", cosent(of_pairs(), &floats, 20.0)),
        ("cosine", cosine_error(of_pairs(), &unit)),
    ] {
        let (got, expected) =
            (f64::from(loss.into_scalar::<f32>()), recorded["losses"][name].as_f64().unwrap());
        assert!((got - expected).abs() < 2e-5 * expected.max(1.0), "{name}: {got} is not {expected}");
    }
    let mut nearest = Nearest::new(a.to_vec());
    all[8..].iter().enumerate().for_each(|(i, document)| nearest.add(i, document));
    let relevant: Vec<Vec<usize>> = serde_json::from_value(recorded["relevant"].clone()).unwrap();
    for (name, value) in nearest.metrics(&relevant) {
        let expected = recorded["retrieval"][&name].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-6, "{name}: {value} is not {expected}");
    }
    assert_eq!(cosent(of_pairs(), &[1.0; 8], 20.0).into_scalar::<f32>(), 0.0, "equal scores have no order");
    let mut metrics = similarity::scored(a, b, &scores);
    metrics.extend(similarity::triplets(a, b, c));
    for (name, expected) in recorded["metrics"].as_object().unwrap() {
        assert!((metrics[name] - expected.as_f64().unwrap()).abs() < 1e-6, "{name}: {metrics:?}");
    }
}

#[test]
fn pairs_are_ranked_among_all_different_texts() {
    let at = |angle: f32| vec![angle.cos(), angle.sin()];
    let queries = [at(0.0), at(1.0), at(2.0)];
    let texts: [&[u32]; 3] = [&[1], &[2], &[1]];
    // The first and the last pair have the same second text.
    let passages = [at(0.1), at(1.1), at(0.1)];
    let metrics = similarity::pairs(&queries, &passages, &texts);
    assert!((metrics["mrr_10"] - 100.0 * (1.0 + 1.0 + 0.5) / 3.0).abs() < 1e-6, "{metrics:?}");
    assert!((metrics["recall_1"] - 200.0 / 3.0).abs() < 1e-6 && metrics["recall_10"] == 100.0);
}

#[test]
fn gradients_of_random_projections_have_the_gauss_newton_matrix_as_their_second_moment() {
    // e(w) = A w: the mean of (Aᵀv)(Aᵀv)ᵀ over unit vectors v is AᵀA / d.
    let device = Device::flex().autodiff();
    let a = [[1.0f32, 2.0, -1.0], [0.5, 0.0, 3.0]];
    let count = 6000;
    let mut moment = [[0.0f64; 2]; 2];
    for seed in 0..count {
        let w = Tensor::<2>::from_data([[0.3f32, -0.7]], &device).require_grad();
        let embedding = w.clone().matmul(Tensor::from_data(a, &device));
        let gradients = random_projection(embedding, seed).backward();
        let gradient: Vec<f32> = w.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        for (i, row) in moment.iter_mut().enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value += f64::from(gradient[i] * gradient[j]) / count as f64;
            }
        }
    }
    for (i, row) in moment.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            let expected: f32 = (0..3).map(|k| a[i][k] * a[j][k]).sum::<f32>() / 3.0;
            assert!((value - f64::from(expected)).abs() < 0.12, "{i}, {j}: {value} is not {expected}");
        }
    }
}

/// Sentences about persons in places: similar ones share the place.
fn write_sentences(shop: &Workshop) {
    let names = ["anna", "boris", "clara", "david", "emma"];
    let places = ["paris", "london", "rome", "madrid"];
    let text = |i: usize| format!("{} lives in {}", names[i % 5], places[i * 3 % 4]);
    let scored = |range: std::ops::Range<usize>| -> String {
        let row = |i: usize| {
            let (a, b) = (i, i * 7 + i % 3);
            let score = u8::from(a * 3 % 4 == b * 3 % 4) * 4 + u8::from(a % 5 == b % 5);
            format!("{score}\t{}\t{}\n", text(a), text(b))
        };
        format!("score\tsentence1\tsentence2\n{}", range.map(row).collect::<String>())
    };
    shop.write("scored/train.tsv", &scored(0..40));
    shop.write("scored/dev.tsv", &scored(41..70));
    let pairs: String = (0..40).map(|i| format!("{},{}\n", text(i), text(i + 20))).collect();
    shop.write("pairs/train.csv", &format!("anchor,positive\n{pairs}"));
    shop.write("pairs/dev.tsv", &scored(41..70));
    shop.write("texts/train.txt", &(0..40).map(|i| text(i) + "\n").collect::<String>());
    shop.write("texts/dev.tsv", &scored(41..70));
}

#[test]
fn embeddings_are_trained_pruned_from_themselves_and_evaluated_again() {
    let shop = Workshop::new();
    write_sentences(&shop);
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let one = |settings: &str| {
        format!(
            "  model: \"elsewhere\"\n  data: embeddings({settings}max_length: 16)\n  batch: 8\n  lr {{ 0..1 epochs: 1e-3 }}"
        )
    };
    for (run, settings, data) in
        [("cosent", "", "scored"), ("pairs", "loss: in_batch, pooling: cls, normalize: false, ", "pairs")]
    {
        shop.succeeds(run, 1, &one(settings), &["--model", &path("start"), "--data", &path(data)]);
    }
    let modules = SentenceModules::read(&shop.path("pairs")).unwrap().unwrap();
    assert_eq!(
        modules,
        SentenceModules { pooling: PoolingMode::Cls, normalize: false, max_length: Some(16) }
    );
    let card = std::fs::read_to_string(shop.path("cosent/README.md")).unwrap();
    assert!(
        card.contains("pipeline_tag: sentence-similarity") && card.contains("SentenceTransformer("),
        "{card}"
    );
    assert!(card.contains("library_name: sentence-transformers"), "{card}");

    // Without labels: from the model itself, on plain texts.
    let distilled = "  model: \"elsewhere\"
  data: embeddings(max_length: 16)
  batch: 8
  stage sparse for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
    prune encoder_linears over 0..1 epochs every 0.5 epochs { by: obs(gradients: 16, block: 16, batch: 4), sparsity: 30% -> 50% cubic }
    distill from self { hardness: 1.0, match: [embeddings, similarities] }
    evaluate every 1 epoch
  }";
    shop.succeeds("small", 1, distilled, &["--model", &path("cosent"), "--data", &path("texts")]);
    assert!(zeros_of_bare(&shop.path("small")) > 0.4);
    let metrics = measured(&shop.path("small"));
    assert_eq!(metrics.keys().collect::<Vec<_>>(), ["pearson", "spearman"]);
    let output = obertc(&["eval", &path("small"), "--data", &path("scored"), "--format", "json", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let again: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!((again["spearman"].as_f64().unwrap() - metrics["spearman"]).abs() < 1e-9);
    packed_is_as_good(&shop, "small", "scored", 1e-4);
    packed_is_as_good(&shop, "pairs", "pairs", 1e-4);
    // The events were computed from gradients that are not zero.
    let log = std::fs::read_to_string(shop.path("small/run.jsonl")).unwrap();
    assert!(log.lines().any(|line| line.contains("\"event\":\"pruned\"")), "{log}");

    let trial = "edition 2026\nuse std.bert.{encoder_linears}\nrecipe r {\n  model: \"elsewhere\"\n  data: embeddings(max_length: 16)\n  prune encoder_linears { by: obs(gradients: 16, block: 16, batch: 4), sparsity: 50% }\n}\n";
    shop.write("trial.obert", trial);
    let trial = path("trial.obert");
    let output = obertc(&[
        "oneshot",
        &trial,
        "--model",
        &path("cosent"),
        "--data",
        &path("texts"),
        "--at",
        "50%",
        "-q",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("Spearman"), "{}", stdout(&output));

    // Retrieval, on a folder of its own.
    let line = |id: String, text: &str| format!("{}\n", serde_json::json!({"_id": id, "text": text}));
    let texts = ["anna lives in paris", "boris lives in rome", "emma lives in madrid"];
    let corpus: String = texts.iter().enumerate().map(|(i, text)| line(format!("d{i}"), text)).collect();
    let queries: String = texts.iter().enumerate().map(|(i, text)| line(format!("q{i}"), text)).collect();
    shop.write("beir/corpus.jsonl", &corpus);
    shop.write("beir/queries.jsonl", &queries);
    shop.write("beir/qrels/dev.tsv", "query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\nq2\td2\t1\n");
    let output = obertc(&["eval", &path("small"), "--data", &path("beir"), "--format", "json", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    // Each query is the text of its document.
    assert_eq!((found["ndcg_10"].as_f64(), found["mrr_10"].as_f64()), (Some(100.0), Some(100.0)), "{found}");
    shop.write("beir/qrels/dev.tsv", "query-id\tcorpus-id\tscore\nq0\td9\t1\n");
    let output = obertc(&["eval", &path("small"), "--data", &path("beir"), "-q"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("OB0957"), "{}", stderr(&output));

    // What has nothing to learn from is refused.
    let start = path("start");
    shop.fails(&one(""), &["--model", &start, "--data", &path("texts")], "OB0923", "distill");
    let wrong = |settings: &str, data: &str, expected: &str| {
        shop.fails(&one(settings), &["--model", &start, "--data", &path(data)], "OB0923", expected);
    };
    wrong("loss: in_batch, ", "scored", "pairs have scores");
    wrong("loss: cosent, ", "pairs", "need pairs with scores");
    wrong("loss: cosine, ", "scored", "-1..=1");
}

/// The share of zeros in the matrices of the encoder's layers.
fn zeros_of_bare(folder: &Path) -> f64 {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let matrices =
        file.iter().filter(|(name, view)| name.starts_with("encoder.layer") && view.shape().len() == 2);
    let values: Vec<f32> = matrices
        .flat_map(|(_, view)| {
            view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<_>>()
        })
        .collect();
    values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64
}
