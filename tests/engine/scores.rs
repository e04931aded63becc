//! Regression and multi-label classification: metrics against scipy and scikit-learn, losses against PyTorch
//! (`tests/oracle/scores.py`), and whole runs.

use burn::tensor::{Device, Tensor, TensorData};
use obert::internals::task::data::target_sequences::TargetSequence;
use obert::internals::task::metric::{correlation, multi_label, ranking};
use obert::internals::task::scoring::{Problem, Scoring};
use obert::internals::task::{Output, Task};
use serde_json::Value;

use super::golden::cases;
use super::tasks::{Workshop, measured, obertc, packed_is_as_good, stderr, stdout};

fn recorded() -> Value {
    cases("scores").into_iter().next().unwrap().1
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(got: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
}

#[test]
fn correlations_equal_those_of_scipy() {
    for case in recorded()["correlations"].as_array().unwrap() {
        let (x, y) = (floats(&case["predicted"]), floats(&case["true"]));
        close(correlation::pearson(&x, &y), &case["pearson"]);
        close(correlation::spearman(&x, &y), &case["spearman"]);
    }
    assert_eq!(correlation::pearson(&[1.0, 1.0], &[0.0, 3.0]), 0.0, "a constant has no correlation");
}

#[test]
fn metrics_of_labels_equal_those_of_scikit_learn() {
    let rows = |value: &Value| -> Vec<Vec<bool>> {
        value.as_array().unwrap().iter().map(|row| floats(row).iter().map(|v| *v > 0.5).collect()).collect()
    };
    for case in recorded()["labels"].as_array().unwrap() {
        let each = floats(&case["each"]);
        let names: Vec<String> = (0..each.len()).map(|i| i.to_string()).collect();
        let metrics = multi_label::metrics(&rows(&case["predicted"]), &rows(&case["true"]), &names);
        for name in ["micro_f1", "macro_f1", "accuracy"] {
            close(metrics[name], &case[name]);
        }
        each.iter().enumerate().for_each(|(i, f1)| assert!((metrics[&format!("f1_{i}")] - f1).abs() < 1e-9));
    }
}

#[test]
fn rankings_of_candidates_equal_those_of_scikit_learn() {
    for case in recorded()["rankings"].as_array().unwrap() {
        let scores: Vec<f32> = floats(&case["scores"]).iter().map(|s| *s as f32).collect();
        let relevant: Vec<bool> = floats(&case["relevant"]).iter().map(|r| *r > 0.5).collect();
        let queries: Vec<usize> = floats(&case["queries"]).iter().map(|q| *q as usize).collect();
        let metrics = ranking::metrics(&scores, &relevant, &queries);
        close(metrics["ndcg_10"], &case["ndcg_10"]);
        close(metrics["mrr_10"], &case["mrr_10"]);
    }
    let tied = ranking::metrics(&[1.0, 1.0], &[true, false], &[0, 0]);
    assert_eq!(tied["mrr_10"], 50.0, "of equal scores the relevant one is behind");
}

#[test]
fn losses_equal_those_of_pytorch() {
    let recorded = &recorded()["losses"];
    let rows =
        |key: &str| -> Vec<Vec<f64>> { recorded[key].as_array().unwrap().iter().map(floats).collect() };
    let (logits, targets) = (rows("logits"), rows("targets"));
    let labels: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    let problems = [
        (Problem::MultiLabel { labels: labels.clone(), data_labels: labels }, 0..3, "bce"),
        (Problem::Regression, 1..2, "mse"),
    ];
    for (problem, columns, loss) in problems {
        let part = |row: &Vec<f64>| row[columns.clone()].iter().map(|v| *v as f32).collect::<Vec<f32>>();
        let sequence =
            |row| TargetSequence { ids: vec![2, 3], types: vec![0, 0], targets: part(row), truncated: false };
        let task = Scoring {
            problem,
            train: targets.iter().map(sequence).collect(),
            dev: Vec::new(),
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
            pooled_dropout: 0.0,
        };
        let device = Device::flex();
        let batch = task.batch(&[0, 1, 2, 3], &device);
        let values: Vec<f32> = logits.iter().flat_map(part).collect();
        let logits = Tensor::from_data(TensorData::new(values, [4, columns.len()]), &device);
        let got = f64::from(task.loss(&[Output { name: "logits", logits }], &batch).into_scalar::<f32>());
        assert!((got - recorded[loss].as_f64().unwrap()).abs() < 1e-5, "{loss}: {got}");
    }
}

/// Questions with a score that depends on their first word, and with labels.
fn write_scores(shop: &Workshop) {
    let words = ["who", "where", "what", "when"];
    let row = |i: usize| (format!("{} is it number {}", words[i % 4], i % 7), i % 4);
    let csv = |range: std::ops::Range<usize>| -> String {
        let rows = range.map(|i| {
            let (text, kind) = row(i);
            format!("{text},the same,{}.5,{},{}\n", kind, u8::from(kind % 2 == 0), u8::from(kind > 1))
        });
        format!("sentence1,sentence2,score,even,late\n{}", rows.collect::<String>())
    };
    shop.write("scores/train.csv", &csv(0..48));
    shop.write("scores/dev.csv", &csv(5..25));
    let lines = |range: std::ops::Range<usize>| -> String {
        let line = |i: usize| {
            let (text, kind) = row(i);
            let names = [("even", kind % 2 == 0), ("late", kind > 1)];
            let labels: Vec<&str> = names.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
            format!("{}\n", serde_json::json!({"sentence1": text, "labels": labels}))
        };
        range.map(line).collect()
    };
    shop.write("lists/train.jsonl", &lines(0..48));
    shop.write("lists/dev.jsonl", &lines(5..25));
}

fn config(shop: &Workshop, run: &str) -> Value {
    serde_json::from_slice(&std::fs::read(shop.path(run).join("config.json")).unwrap()).unwrap()
}

#[test]
fn scores_and_labels_are_learned_distilled_and_evaluated_again() {
    let shop = Workshop::new();
    write_scores(&shop);
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let statements = |data: &str| {
        format!(
            "  model: \"elsewhere\"\n  data: {data}\n  batch: 8
  stage dense for 2 epochs {{ lr {{ 0..2 epochs: 2e-3 -> 1e-4 linear }} }}
  stage sparse for 1 epoch {{
    lr {{ 0..1 epochs: 1e-3 -> 1e-4 linear }}
    prune encoder_linears over 0..0.5 epochs every 0.5 epochs {{
      by: obs(gradients: 8, block: 16, batch: 4)
      sparsity: 30% -> 50% cubic
    }}
    distill from dense {{ hardness: 0.5, temperature: 2.0 }}
    evaluate every 0.5 epochs
  }}"
        )
    };
    let eval = |run: &str, data: &str| {
        let output = obertc(&["eval", &path(run), "--data", &path(data), "--format", "json", "-q"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_str::<Value>(&stdout(&output)).unwrap()
    };
    let tasks = [
        (
            "scored",
            "regression(text: \"sentence1\", pair: \"sentence2\", max_length: 24)",
            "scores",
            "mse",
            "regression",
        ),
        (
            "listed",
            "multi_label(text: \"sentence1\", max_length: 24)",
            "lists",
            "micro_f1",
            "multi_label_classification",
        ),
        (
            "columns",
            "multi_label(text: \"sentence1\", columns: [late, even], max_length: 24)",
            "scores",
            "macro_f1",
            "multi_label_classification",
        ),
    ];
    for (run, data, folder, metric, problem) in tasks {
        shop.succeeds(run, 1, &statements(data), &["--model", &path("start"), "--data", &path(folder)]);
        let metrics = measured(&shop.path(run));
        let again = eval(run, folder);
        for (name, value) in &metrics {
            assert!((again[name].as_f64().unwrap() - value).abs() < 1e-9, "{run}: {name}");
        }
        // The outputs of these models hardly differ from text to text, so correlations depend on their last digits.
        packed_is_as_good(&shop, run, folder, 0.02);
        assert_eq!(config(&shop, run)["problem_type"], problem, "{run}");
        assert!(metrics.contains_key(metric), "{metrics:?}");
        let card = std::fs::read_to_string(shop.path(run).join("README.md")).unwrap();
        assert!(card.contains("pipeline_tag: text-classification"), "{card}");
    }
    assert_eq!(config(&shop, "listed")["id2label"], serde_json::json!({"0": "even", "1": "late"}));
    assert_eq!(config(&shop, "columns")["id2label"], serde_json::json!({"0": "late", "1": "even"}));
    assert_eq!(config(&shop, "scored")["id2label"], serde_json::json!({"0": "LABEL_0"}));

    // Reranking: every query has one relevant passage of three.
    let passages = ["paris is large", "rome is old", "madrid is warm"];
    let ranked = |range: std::ops::Range<usize>| -> String {
        let row = |i: usize| {
            let words: Vec<&str> = passages[i / 3 % 3].split(' ').collect();
            format!(
                "who knows {} number {},{},{}\n",
                words[0],
                i / 9,
                passages[i % 3],
                u8::from(i / 3 % 3 == i % 3)
            )
        };
        format!("query,passage,label\n{}", range.map(row).collect::<String>())
    };
    shop.write("ranked/train.csv", &ranked(0..54));
    shop.write("ranked/dev.csv", &ranked(9..36));
    let rerank = "  model: \"elsewhere\"\n  data: rerank(max_length: 24)\n  batch: 8\n  lr { 0..1 epochs: 1e-3 }\n  distill from self { hardness: 0.2 }";
    shop.succeeds("ranker", 1, rerank, &["--model", &path("start"), "--data", &path("ranked")]);
    let metrics = measured(&shop.path("ranker"));
    assert_eq!(metrics.keys().collect::<Vec<_>>(), ["mrr_10", "ndcg_10"]);
    assert!(metrics["mrr_10"] >= 100.0 / 3.0, "{metrics:?}");
    assert_eq!(eval("ranker", "ranked")["ndcg_10"].as_f64().unwrap(), metrics["ndcg_10"]);
    packed_is_as_good(&shop, "ranker", "ranked", 1e-9);
    assert_eq!(config(&shop, "ranker")["problem_type"], Value::Null);
    let card = std::fs::read_to_string(shop.path("ranker/README.md")).unwrap();
    assert!(card.contains("pipeline_tag: text-ranking"), "{card}");
    shop.write("stars/train.csv", "query,passage,label\na,b,4\n");
    shop.write("stars/dev.csv", "query,passage,label\na,b,1\na,c,0\n");
    shop.fails(rerank, &["--model", &path("start"), "--data", &path("stars")], "OB0923", "no probability");
    shop.write("stars/train.csv", "query,passage,label\na,b,1\n");
    shop.write("stars/dev.csv", "query,passage,label\na,b,1\nb,c,0\n");
    shop.fails(rerank, &["--model", &path("start"), "--data", &path("stars")], "OB0909", "both a relevant");

    // What does not fit is refused.
    let one = |data: &str| format!("  model: \"elsewhere\"\n  data: {data}\n  lr {{ 0..1 epochs: 1e-3 }}");
    let regression = one("regression(text: \"sentence1\", max_length: 24)");
    shop.fails(
        &regression,
        &["--model", &path("listed"), "--data", &path("scores")],
        "OB0951",
        "gives any number of labels",
    );
    shop.write("wrong/train.csv", "sentence1,score\na,1\nb,nan\n");
    shop.write("wrong/dev.csv", "sentence1,score\na,1\n");
    shop.fails(
        &regression,
        &["--model", &path("start"), "--data", &path("wrong")],
        "OB0931",
        "no finite score",
    );
    shop.write("other/train.jsonl", "{\"sentence1\": \"a\", \"labels\": [\"even\"]}\n");
    shop.write("other/dev.jsonl", "{\"sentence1\": \"a\", \"labels\": [\"odd\"]}\n");
    let labels = one("multi_label(text: \"sentence1\", max_length: 24)");
    shop.fails(&labels, &["--model", &path("start"), "--data", &path("other")], "OB0925", "`odd`");
    shop.fails(&labels, &["--model", &path("listed"), "--data", &path("other")], "OB0926", "has 2 outputs");
    let both = one("multi_label(text: \"sentence1\", columns: [even], labels: [even], max_length: 24)");
    shop.fails(
        &both,
        &["--model", &path("start"), "--data", &path("scores")],
        "OB",
        "`labels` has no effect",
    );
}
