//! What the binary keeps: features in the cache, and the best weights of a stage.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::tasks::{CLASSIFY, Workshop, obertc, stderr, stdout};

#[test]
fn features_are_made_once_and_damaged_ones_anew() {
    let shop = Workshop::new();
    shop.write_labels("labels");
    shop.write_texts("texts");
    shop.write_questions("questions");
    let (start, cache) = (shop.path("start"), shop.path("cache"));
    let eval = |task: &[&str], data: &str, more: &[&str]| {
        let data = shop.path(data);
        let arguments = [
            "eval",
            start.to_str().unwrap(),
            "--data",
            data.to_str().unwrap(),
            "--format",
            "json",
            "--new-head",
        ];
        let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
            .args([&arguments[..], task, more].concat())
            .env("OBERT_CACHE", &cache)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = stdout(&output);
        (serde_json::from_str::<Value>(&text).unwrap(), stderr(&output))
    };
    let files = || {
        let list = std::fs::read_dir(cache.join("features")).map(|l| l.map(|e| e.unwrap().path()).collect());
        let mut list: Vec<PathBuf> = list.unwrap_or_default();
        list.sort();
        list
    };
    let tasks: [(&[&str], &str); 3] = [
        (&["--task", "squad", "--max-seq-len", "96", "--doc-stride", "16"], "questions"),
        (&["--task", "masked-text", "--max-seq-len", "48"], "texts"),
        (&["--task", "classify", "--text", "question", "--label", "kind"], "labels"),
    ];
    for (i, (task, data)) in tasks.iter().enumerate() {
        let (plain, _) = eval(task, data, &["--no-cache"]);
        assert_eq!(files().len(), i, "nothing is kept");
        let (first, _) = eval(task, data, &[]);
        assert_eq!(files().len(), i + 1, "only what is measured on");
        let (second, said) = eval(task, data, &[]);
        // New heads are drawn from one seed: the figures repeat.
        assert_eq!((&plain, &plain), (&first, &second));
        assert_eq!(files().len(), i + 1);
        assert!(!said.contains("damaged"), "{said}");
    }
    // Other lengths are other features.
    let (task, data) = tasks[0];
    eval(&[&task[..2], &["--max-seq-len", "80", "--doc-stride", "16"]].concat(), data, &[]);
    assert_eq!(files().len(), 4);
    let expected: Vec<Value> = tasks.iter().map(|(task, data)| eval(task, data, &["--no-cache"]).0).collect();
    for file in files() {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    for ((task, data), expected) in tasks.iter().zip(expected) {
        let (again, said) = eval(task, data, &[]);
        assert_eq!(again, expected);
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(words.join(" ").contains("was damaged and is replaced"), "{said}");
        let (_, said) = eval(task, data, &[]);
        assert!(!said.contains("damaged"), "{said}");
    }
    // A cache that cannot be written to is no mistake.
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "a file").unwrap();
    let (_, said) = eval(task, data, &[]);
    assert!(said.contains("features are not stored"), "{said}");
}

#[test]
fn a_run_keeps_its_best_weights_and_says_which() {
    let shop = Workshop::new();
    shop.write_labels("labels");
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let statements = format!(
        "  model: \"elsewhere\"\n{CLASSIFY}\n  batch: 8
  lr {{ 0..4 epochs: 5e-3 -> 1e-2 linear }}
  train {{ label_smoothing: 10%, batches: bucketed }}
  evaluate every 1 epoch {{ keep: best(accuracy) }}
  prune encoder_linears over 0..2 epochs every 1 epoch {{ by: magnitude, sparsity: 20% -> 60% linear }}
  distill from self {{ hardness: 10%, hidden: states(\"bert.encoder.layer.*\") }}"
    );
    let flags = ["--model", &path("start"), "--data", &path("labels")];
    let said = shop.succeeds("best", 4, &statements, &flags);
    let text = std::fs::read_to_string(shop.path("best/run.jsonl")).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept = events.iter().find(|e| e["event"] == "kept").unwrap();
    let counted: Vec<&Value> =
        events.iter().filter(|e| e["event"] == "evaluated" && e["step"].as_u64().unwrap() >= 30).collect();
    assert_eq!(counted.len(), 3, "epochs 2 and 3, and the end");
    let figure = |e: &Value| e["metrics"]["accuracy"].as_f64().unwrap();
    let best = counted.iter().map(|e| figure(e)).fold(0.0, f64::max);
    let expected = counted.iter().rfind(|e| figure(e) == best).unwrap();
    assert_eq!((&kept["step"], kept["value"].as_f64().unwrap()), (&expected["step"], best));
    assert!(said.contains(&format!("before step {}", kept["step"])), "{said}");
    // What was saved is what was measured best.
    let output = obertc(&["eval", &path("best"), "--data", &path("labels"), "--format", "json", "-q"]);
    let again: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!((again["accuracy"].as_f64().unwrap() - best).abs() < 1e-9, "{again} {best}");
    let wrong = statements.replace("best(accuracy)", "best(f2)");
    let output = shop.run("never", 4, &wrong, &flags);
    assert!(stderr(&output).contains("no metric `f2`"), "{}", stderr(&output));
}
