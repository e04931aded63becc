//! Token classification: entities against seqeval (`tests/oracle/entity_metric.py`), logits and loss against transformers
//! (`tests/oracle/token_classifier.py`), and whole runs from CoNLL files and JSON lines.

use std::path::Path;

use burn::tensor::Device;
use obert::internals::diag::Sources;
use obert::internals::params::builtin::Head;
use obert::internals::task::Task;
use obert::internals::task::data::tagged_windows::{LabelledWord, TaggedWindow};
use obert::internals::task::metric::entities::Tags;
use obert::internals::task::model::{BertForTokenClassification, checkpoint};
use obert::internals::task::token_classification::TokenClassification;
use serde_json::Value;

use super::golden::cases;
use super::tasks::{Workshop, measured, obertc, packed_is_as_good, stderr, stdout, zeros};

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn lists(value: &Value) -> Vec<Vec<usize>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

#[test]
fn entities_are_counted_as_by_seqeval_in_strict_mode() {
    let (_, recorded) = cases("entity_metric").into_iter().next().unwrap();
    let recorded = recorded.as_array().unwrap();
    assert!(recorded.len() >= 12);
    for case in recorded {
        let labels: Vec<String> = serde_json::from_value(case["labels"].clone()).unwrap();
        let metrics = Tags::of(&labels).unwrap().metrics(&lists(&case["predicted"]), &lists(&case["gold"]));
        for (name, value) in case["metrics"].as_object().unwrap() {
            let (got, expected) = (metrics[name], value.as_f64().unwrap());
            assert!((got - expected).abs() < 1e-9, "{name} is {got}, not {expected}, of {labels:?}");
        }
        assert_eq!(metrics.len(), 3 * 4, "all entities and three types");
    }
}

#[test]
fn logits_and_loss_of_every_family_equal_those_of_transformers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/token_classifier");
    let (_, recorded) = cases("token_classifier").into_iter().next().unwrap();
    let head = Head::TokenClassification { labels: 3 };
    let load = |folder: &Path| {
        let loaded = checkpoint::load_with_head(folder, head, 1, &Device::flex(), &mut Sources::new());
        loaded.unwrap_or_else(|d| panic!("{d:?}"))
    };
    let window = |sentence: usize| {
        let answers = recorded["answers"][sentence].as_array().unwrap().iter().enumerate();
        let words = answers.filter(|(_, label)| label.as_i64().unwrap() >= 0).enumerate();
        TaggedWindow {
            sentence,
            ids: numbers(&recorded["ids"][sentence]).into_iter().map(|id| id as u32).collect(),
            words: words
                .map(|(word, (token, label))| LabelledWord {
                    word,
                    token,
                    label: label.as_u64().unwrap() as usize,
                })
                .collect(),
        }
    };
    for family in ["bert", "roberta", "distilbert"] {
        let loaded: checkpoint::Loaded<BertForTokenClassification> = load(&root.join(family));
        assert!(loaded.new_parameters.is_empty() && loaded.unused.is_empty(), "{family}");
        let task = TokenClassification {
            train: vec![window(0), window(1)],
            dev: vec![window(0), window(1)],
            dev_labels: vec![vec![Some(0), Some(1)], vec![Some(2), Some(0), Some(1)]],
            labels: loaded.config.labels().unwrap(),
            data_labels: Vec::new(),
            hidden_dropout: 0.1,
            attention_dropout: 0.1,
            head_dropout: 0.1,
        };
        let batch = task.batch(&[0, 1], &Device::flex());
        let folder = tempfile::tempdir().unwrap();
        checkpoint::save(&loaded.model, &loaded.config, folder.path()).unwrap();
        let saved: checkpoint::Loaded<BertForTokenClassification> = load(folder.path());
        assert_eq!(saved.config.architectures, loaded.config.architectures, "{family}");
        for model in [&loaded.model, &saved.model] {
            let mut outputs = task.outputs(model, &batch, None);
            let loss = task.loss(&outputs, &batch).into_scalar::<f32>();
            let expected = recorded[family]["loss"].as_f64().unwrap() as f32;
            assert!((loss - expected).abs() < 2e-6, "{family}: the loss {loss} is not {expected}");
            let rows = recorded[family]["logits"].as_array().unwrap();
            let expected = rows.iter().flat_map(|row| row.as_array().unwrap());
            let logits = outputs.remove(0).into_values();
            assert_eq!(logits.len(), 15);
            for (got, expected) in logits.iter().zip(expected) {
                assert!((f64::from(*got) - expected.as_f64().unwrap()).abs() < 1e-5, "{family}");
            }
        }
        // Another runtime has logits for every token.
        let evaluated = task.evaluate(&loaded.model, &Device::flex(), &mut |_, _| {});
        let mut rows = task.outputs(&loaded.model, &batch, None).remove(0).into_values().into_iter();
        let of_tokens = task.dev.iter().map(|window| {
            let mut all = vec![0.0; 3 * window.ids.len()];
            for word in &window.words {
                all[3 * word.token..][..3].copy_from_slice(&rows.by_ref().take(3).collect::<Vec<_>>());
            }
            all
        });
        assert_eq!(task.metrics_of(of_tokens.collect::<Vec<_>>().into_iter()), evaluated, "{family}");
    }
}

/// Sentences about persons and places, and the same with the tags of the words as class indices.
fn write_entities(shop: &Workshop) {
    let names = ["anna", "boris", "clara", "david"];
    let places = ["paris", "london", "rome", "old town"];
    let sentence = |i: usize| {
        let mut words = vec![(names[i % 4], "B-PER"), ("lives", "O"), ("in", "O")];
        let place: Vec<&str> = places[i / 4 % 4].split(' ').collect();
        words.extend(
            place.iter().enumerate().map(|(at, word)| (*word, if at == 0 { "B-LOC" } else { "I-LOC" })),
        );
        words
    };
    let conll = |range: std::ops::Range<usize>| -> String {
        range
            .map(|i| sentence(i).iter().map(|(w, t)| format!("{w} X {t}\n")).collect::<String>() + "\n")
            .collect()
    };
    shop.write("ner/train.txt", &format!("-DOCSTART- -X- O\n\n{}", conll(0..48)));
    shop.write("ner/dev.txt", &conll(3..19));
    let order = ["O", "B-PER", "B-LOC", "I-LOC"];
    let rows = |range: std::ops::Range<usize>| -> String {
        let row = |i: usize| {
            let (words, tags): (Vec<&str>, Vec<&str>) = sentence(i).into_iter().unzip();
            let tags: Vec<usize> = tags.iter().map(|t| order.iter().position(|o| o == t).unwrap()).collect();
            format!("{}\n", serde_json::json!({"tokens": words, "ner_tags": tags}))
        };
        range.map(row).collect()
    };
    shop.write("rows/train.jsonl", &rows(0..48));
    shop.write("rows/dev.jsonl", &rows(3..19));
}

#[test]
fn entities_are_learned_pruned_distilled_quantized_and_evaluated_again() {
    let shop = Workshop::new();
    write_entities(&shop);
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let flags = |model: &str| ["--model".to_owned(), path(model), "--data".to_owned(), path("ner")];
    let statements = "  model: \"elsewhere\"
  data: classify_tokens(max_length: 12, doc_stride: 2)
  batch: 8
  stage dense for 4 epochs { lr { 0..4 epochs: 5e-3 -> 1e-4 linear } }
  stage sparse for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
    prune encoder_linears over 0.5..1 epochs every 0.5 epochs { by: obs(gradients: 16, block: 16, batch: 4), sparsity: 50% -> 60% cubic }
    distill from dense { hardness: 0.5, temperature: 2.0 }
    quantize encoder_linears over 1..2 epochs { weights: int8(symmetric, per: channel), activations: uint8(asymmetric, per: tensor) }
  }
  expect { f1: 50..100 }";
    let start = flags("start");
    let start: Vec<&str> = start.iter().map(String::as_str).collect();
    let said = shop.succeeds("tagger", 1, statements, &start);
    assert!(said.contains("Precision") && said.contains("Recall"), "{said}");
    let metrics = measured(&shop.path("tagger"));
    for name in ["f1", "precision", "recall", "accuracy", "f1_PER", "recall_LOC"] {
        assert!(metrics.contains_key(name), "{metrics:?}");
    }
    assert!(zeros(&shop.path("tagger")).values().flatten().any(|zero| *zero));
    let config: Value =
        serde_json::from_slice(&std::fs::read(shop.path("tagger/config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"][0], "BertForTokenClassification");
    assert_eq!(config["id2label"], serde_json::json!({"0": "O", "1": "B-LOC", "2": "I-LOC", "3": "B-PER"}));
    let card = std::fs::read_to_string(shop.path("tagger/README.md")).unwrap();
    assert!(card.contains("pipeline_tag: token-classification"), "{card}");
    assert!(card.contains("AutoModelForTokenClassification"), "{card}");

    let eval = |data: &str, more: &[&str]| {
        let output = obertc(
            &[&["eval", &path("tagger"), "--data", &path(data), "--format", "json", "-q"], more].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_str::<Value>(&stdout(&output)).unwrap()
    };
    let again = eval("ner", &[]);
    assert_eq!(again["sentences"].as_u64(), Some(16));
    for (name, value) in &metrics {
        assert!((again[name].as_f64().unwrap() - value).abs() < 1e-9, "{name}");
    }
    packed_is_as_good(&shop, "tagger", "ner", 15.0);
    // Class indices are named by the recipe; `labels` of a model in another order would give other numbers.
    let rows = eval("rows", &["--labels", "O,B-PER,B-LOC,I-LOC"]);
    assert_eq!(rows["f1"], again["f1"]);

    let trial = "edition 2026\nuse std.bert.{encoder_linears}\nrecipe r {\n  model: \"elsewhere\"\n  data: classify_tokens(max_length: 12, doc_stride: 2)\n  prune encoder_linears { by: obs(gradients: 16, block: 16, batch: 4), sparsity: 50% }\n}\n";
    shop.write("trial.obert", trial);
    for command in
        [&["oneshot", "--at", "50%"][..], &["sweep", "--grid", "damp=1e-6,1e-7", "--at", "50%"][..]]
    {
        let recipe = path("trial.obert");
        let arguments =
            [&[command[0], &recipe, "--model", &path("tagger"), "--data", &path("ner"), "-q"], &command[1..]];
        let output = obertc(&arguments.concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).contains("F1") || stdout(&output).contains("f1"), "{}", stdout(&output));
    }
}

#[test]
fn tags_that_do_not_fit_are_refused_before_anything_is_begun() {
    let shop = Workshop::new();
    write_entities(&shop);
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let start = path("start");
    let recipe = |data: &str| format!("  model: \"elsewhere\"\n  data: {data}\n  lr {{ 0..1 epochs: 1e-3 }}");
    let plain = recipe("classify_tokens(max_length: 12, doc_stride: 2)");
    let fails = |statements: &str, folder: &str, code: &str, expected: &str| {
        shop.fails(statements, &["--model", &start, "--data", &path(folder)], code, expected);
    };
    shop.fails(&plain, &["--model", &start], "OB0913", "needs files");
    fails(&plain, "rows", "OB0955", "class indices");
    let named = recipe("classify_tokens(labels: [O, \"B-PER\"], max_length: 12, doc_stride: 2)");
    fails(&named, "ner", "OB0925", "B-LOC");
    fails(&recipe("classify_tokens(max_length: 12, doc_stride: 12)"), "ner", "OB0306", "overlap");
    fails(&recipe("classify_tokens(max_length: 4096)"), "ner", "OB0920", "longer than the model");
    shop.write("other/train.txt", "a O\nb B-X\n");
    shop.write("other/dev.txt", "a O\nb B-Y\n");
    fails(&plain, "other", "OB0925", "`B-Y` of the dev set does not occur in training");
    shop.write("short/train.jsonl", "{\"tokens\": [\"a\"], \"ner_tags\": []}\n");
    shop.write("short/dev.jsonl", "{\"tokens\": [\"a\"], \"ner_tags\": [\"O\"]}\n");
    fails(&plain, "short", "OB0931", "has 1 word and 0 tags");
    // A model of other tags.
    let flags: [&str; 6] = ["--model", &start, "--data", &path("ner"), "--limit-steps", "1"];
    shop.succeeds("tagger", 1, &plain, &flags);
    shop.write("other/dev.txt", "a O\nb B-X\n");
    shop.fails(&plain, &["--model", &path("tagger"), "--data", &path("other")], "OB0926", "has 4 outputs");
    let texts = plain
        .replace("classify_tokens(max_length: 12, doc_stride: 2)", "classify(text: \"t\", label: \"l\")");
    shop.write("texts/train.csv", "t,l\na,x\nb,y\n");
    shop.write("texts/dev.csv", "t,l\na,x\n");
    shop.fails(
        &texts,
        &["--model", &path("tagger"), "--data", &path("texts")],
        "OB0951",
        "a classifier of tokens",
    );
}
