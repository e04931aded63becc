//! Whole runs of the binary on the other tasks: labels, hidden tokens, layers that are dropped, and
//! from a pruned language model to two tasks that keep its zeros.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use obert::internals::task::data::builtin;
use obert::internals::task::data::squad::Question;
use serde_json::Value;

pub fn obertc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("OBERT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder with a tiny model that was never trained, and data of every kind.
pub struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        let shop = Workshop { folder: tempfile::tempdir().unwrap() };
        let start = "  model: bert(layers: 2, hidden: 32, heads: 2)
  data: builtin_reading(train: 16, dev: 4)
  lr { 0..1 epochs: 1e-4 }";
        shop.succeeds("start", 1, start, &["--limit-steps", "1"]);
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs a recipe of these statements into the folder `name`.
    pub fn run(&self, name: &str, epochs: u32, statements: &str, more: &[&str]) -> Output {
        let used =
            if statements.contains("encoder_linears") { "use std.bert.{encoder_linears}\n" } else { "" };
        let text = format!("edition 2026\n{used}recipe r for {epochs} epochs {{\n{statements}\n}}\n");
        // Stages have lengths of their own.
        let text = if text.contains("stage ") {
            text.replace(&format!(" for {epochs} epochs {{\n  model"), " {\n  model")
        } else {
            text
        };
        self.write(&format!("{name}.obert"), &text);
        let (recipe, out) = (self.path(&format!("{name}.obert")), self.path(name));
        let mut arguments = vec!["run", recipe.to_str().unwrap(), "--out", out.to_str().unwrap(), "-q"];
        arguments.extend(more);
        obertc(&arguments)
    }

    pub fn succeeds(&self, name: &str, epochs: u32, statements: &str, more: &[&str]) -> String {
        let output = self.run(name, epochs, statements, more);
        assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    pub fn fails(&self, statements: &str, more: &[&str], code: &str, expected: &str) {
        let output = self.run("never", 1, statements, more);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{statements}: {said}");
        assert!(said.contains(code) && said.contains(expected), "no {code} {expected}:\n{said}");
        assert!(said.contains("help"), "{said}");
        assert!(!self.path("never").exists(), "something was left behind");
    }

    /// Questions with the kind of answer they ask for.
    pub fn write_labels(&self, folder: &str) {
        let kind = |q: &Question| match q.question.split(' ').next().unwrap_or("") {
            "Who" | "From" => "person",
            "Where" | "In" | "Which" => "place",
            _ => "thing",
        };
        let table = |questions: &[Question]| {
            let rows: String =
                questions.iter().map(|q| format!("\"{}\",{}\n", q.question, kind(q))).collect();
            format!("question,kind\n{rows}")
        };
        let split = builtin::generate(120, 40, 9);
        self.write(&format!("{folder}/train.csv"), &table(&split.train));
        self.write(&format!("{folder}/dev.csv"), &table(&split.dev));
    }

    pub fn write_texts(&self, folder: &str) {
        let texts = |questions: &[Question]| {
            questions.iter().map(|q| format!("{}\n\n", q.context)).collect::<String>()
        };
        let split = builtin::generate(60, 10, 4);
        self.write(&format!("{folder}/train.txt"), &texts(&split.train));
        self.write(&format!("{folder}/validation.txt"), &texts(&split.dev));
    }

    pub fn write_questions(&self, folder: &str) {
        let squad = |questions: &[Question]| {
            let paragraphs: Vec<Value> = questions
                .iter()
                .map(|q| {
                    let answer = &q.answers[0];
                    let start = q.context[..answer.start].chars().count();
                    let answers = serde_json::json!([{"text": answer.text, "answer_start": start}]);
                    serde_json::json!({"context": &*q.context,
                        "qas": [{"id": q.id, "question": q.question, "answers": answers}]})
                })
                .collect();
            serde_json::json!({"data": [{"paragraphs": paragraphs}]}).to_string()
        };
        let split = builtin::generate(48, 12, 6);
        self.write(&format!("{folder}/train.json"), &squad(&split.train));
        self.write(&format!("{folder}/dev.json"), &squad(&split.dev));
    }
}

/// The last figures of a run.
pub fn measured(folder: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(folder.join("run.jsonl")).unwrap();
    let mut events = text.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = events.find(|e| e["event"] == "evaluated").unwrap();
    serde_json::from_value(last["metrics"].clone()).unwrap()
}

/// Packs the model of a run as an engine file, evaluated on the way, and evaluates the file: its metrics equal those of
/// the run up to `tolerance` (in their own units).
pub fn packed_is_as_good(shop: &Workshop, run: &str, data: &str, tolerance: f64) {
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let (file, data) = (path(&format!("{run}.obert-engine")), path(data));
    let flags = ["pack", &path(run), "--as", "engine", "--out", &file, "--data", &data, "--max-drop", "20%"];
    let output = obertc(&flags);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("  evaluated: "), "{}", stdout(&output));
    let output = obertc(&["eval", &file, "--data", &data, "--format", "json", "-q"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    for (name, value) in measured(&shop.path(run)) {
        let packed = found[&name].as_f64().unwrap_or_else(|| panic!("{run}: no {name} in {found}"));
        assert!((packed - value).abs() <= tolerance, "{run}: {name} is {packed}, and was {value}");
    }
}

/// Which weights of the encoder's linear layers are zero.
pub fn zeros(folder: &Path) -> BTreeMap<String, Vec<bool>> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let pruned = file.iter().filter(|(name, view)| name.contains("encoder.layer") && view.shape().len() == 2);
    pruned
        .map(|(name, view)| {
            let zero = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()) == 0.0);
            (name.to_owned(), zero.collect())
        })
        .collect()
}

pub const CLASSIFY: &str = "  data: classify(text: \"question\", label: \"kind\", max_length: 32)";

fn classify(statements: &str) -> String {
    format!("  model: \"elsewhere\"\n{CLASSIFY}\n  batch: 8\n  lr {{ 0..1 epochs: 1e-3 }}\n{statements}")
}

#[test]
fn a_pruned_language_model_is_carried_to_two_tasks_and_its_zeros_stay() {
    let shop = Workshop::new();
    shop.write_texts("texts");
    shop.write_labels("labels");
    shop.write_questions("questions");
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let upstream = "  model: \"elsewhere\"
  data: masked_text(max_length: 48)
  batch: 8
  stage dense for 1 epoch { lr { 0..1 epochs: 2e-3 } }
  stage sparse for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
    prune encoder_linears over 0.5..1.5 epochs every 0.5 epochs {
      by: obs(gradients: 16, block: 16, batch: 4)
      sparsity: 50% -> 80% cubic
    }
    distill from dense { hardness: 0.5, temperature: 2.0, match: [logits] }
  }";
    let said = shop.succeeds("upstream", 1, upstream, &["--model", &path("start"), "--data", &path("texts")]);
    assert!(said.contains("Perplexity") && said.contains("Loss"), "{said}");
    let figures = measured(&shop.path("upstream"));
    assert!((figures["loss"].exp() - figures["perplexity"]).abs() < 1e-6 * figures["perplexity"]);
    let before = zeros(&shop.path("upstream"));
    let count: usize = before.values().flatten().filter(|z| **z).count();
    let all: usize = before.values().map(Vec::len).sum();
    assert_eq!((before.len(), count), (12, (all as f64 * 0.8).round() as usize));

    let transfer = "  batch: 8
  lr { 0..2 epochs: 1e-3 -> 1e-5 linear, factor params(\"{classifier,qa_outputs}.*\"): 2 }
  hold encoder_linears";
    let tasks = [
        ("kinds", CLASSIFY, "labels", "accuracy"),
        ("answers", "  data: squad(max_length: 96, doc_stride: 16)", "questions", "f1"),
    ];
    for (name, data, folder, metric) in tasks {
        let statements = format!("  model: \"elsewhere\"\n{data}\n{transfer}");
        shop.succeeds(name, 2, &statements, &["--model", &path("upstream"), "--data", &path(folder)]);
        assert_eq!(zeros(&shop.path(name)), before, "{name}: other zeros");
        assert!(measured(&shop.path(name)).contains_key(metric));
    }
    // The finished classifier is measured alike, knows its labels, and can teach.
    let output = obertc(&["eval", &path("kinds"), "--data", &path("labels"), "--format", "json", "-q"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let again: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let figures = measured(&shop.path("kinds"));
    assert_eq!(again["examples"], 40);
    for metric in ["accuracy", "f1"] {
        assert!((again[metric].as_f64().unwrap() - figures[metric]).abs() < 1e-9, "{metric}");
    }
    let config: Value =
        serde_json::from_slice(&std::fs::read(shop.path("kinds/config.json")).unwrap()).unwrap();
    assert_eq!(config["id2label"], serde_json::json!({"0": "person", "1": "place", "2": "thing"}));
    assert_eq!(config["architectures"][0], "BertForSequenceClassification");
    let taught = classify("  distill from teacher { hardness: 1.0, temperature: 2.0 }");
    let flags = ["--model", &path("upstream"), "--data", &path("labels"), "--teacher", &path("kinds")];
    shop.succeeds("taught", 1, &taught, &flags);

    // A teacher of another task, and a language model measured on texts.
    for wrong in ["upstream", "answers"] {
        let flags = ["--model", &path("upstream"), "--data", &path("labels"), "--teacher", &path(wrong)];
        shop.fails(&taught, &flags, "OB0919", "was never trained");
    }
    let output = obertc(&["eval", &path("upstream"), "--data", &path("texts"), "-q"]);
    assert!(stdout(&output).contains("Perplexity"), "{}", stderr(&output));
}

#[test]
fn layers_are_dropped_and_renumbered_and_the_rest_learns_from_all_of_them() {
    let shop = Workshop::new();
    shop.write_labels("labels");
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let statements = classify("  keep layers [1]\n  distill from self { hardness: 0.5 }");
    shop.succeeds("small", 1, &statements, &["--model", &path("start"), "--data", &path("labels")]);
    let config: Value =
        serde_json::from_slice(&std::fs::read(shop.path("small/config.json")).unwrap()).unwrap();
    assert_eq!(config["num_hidden_layers"], 1);
    assert_eq!(zeros(&shop.path("small")).len(), 6, "one layer is left");
    assert!(zeros(&shop.path("small")).keys().all(|name| name.contains("layer.0.")));
    let statements = classify("  drop layers [0, 1]");
    let flags = ["--model", &path("start"), "--data", &path("labels")];
    shop.fails(&statements, &flags, "OB06", "layer");
}

#[test]
fn mnli_measures_both_held_out_sets_and_teachers_may_order_their_labels_otherwise() {
    let shop = Workshop::new();
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let names = ["entailment", "neutral", "contradiction"];
    let row = |i: usize| format!("w{i} the cat\tthe \"dog {}\t{}\n", i * 7, names[i % 3]);
    let table = |n: usize| {
        let rows: String = (0..n).map(row).collect();
        format!("sentence1\tsentence2\tgold_label\n{rows}")
    };
    shop.write("mnli/train.tsv", &table(48));
    shop.write("mnli/dev_matched.tsv", &table(9));
    shop.write("mnli/dev_mismatched.tsv", &table(6));
    let mnli = "  model: \"elsewhere\"\n  data: mnli(max_length: 32)\n  batch: 8\n  lr { 0..1 epochs: 1e-3 }";
    let flags = ["--model", &path("start"), "--data", &path("mnli")];
    let said = shop.succeeds("first", 1, mnli, &flags);
    assert!(said.contains("Accuracy mm"), "{said}");
    let figures = measured(&shop.path("first"));
    assert_eq!(figures.keys().collect::<Vec<_>>(), ["accuracy", "accuracy_mm"]);

    // The same model with its outputs in another order, as a teacher: nothing is to be learned.
    let reordered = shop.path("reordered");
    std::fs::create_dir(&reordered).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(shop.path("first").join(file), reordered.join(file)).unwrap();
    }
    let config = std::fs::read_to_string(shop.path("first/config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["id2label"] = serde_json::json!({"0": "CONTRADICTION", "1": "NEUTRAL", "2": "ENTAILMENT"});
    std::fs::write(reordered.join("config.json"), config.to_string()).unwrap();
    let bytes = std::fs::read(shop.path("first/model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let swapped: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| {
            let (data, rows) = (view.data(), view.data().len() / 3);
            let data = match name.starts_with("classifier.") {
                true => [&data[2 * rows..], &data[rows..2 * rows], &data[..rows]].concat(),
                false => data.to_vec(),
            };
            (name.to_owned(), view.shape().to_vec(), data)
        })
        .collect();
    let views = swapped.iter().map(|(name, shape, data)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data);
        (name.as_str(), view.unwrap())
    });
    let whole = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
    std::fs::write(reordered.join("model.safetensors"), whole).unwrap();
    let taught = format!(
        "{mnli}\n  train {{ dropout: 0% }}\n  distill from teacher {{ hardness: 1.0, temperature: 1.0 }}"
    );
    let flags = ["--model", &path("first"), "--data", &path("mnli"), "--teacher", &path("reordered")];
    shop.succeeds("taught", 1, &taught, &[&flags[..], &["--limit-steps", "1"]].concat());
    let text = std::fs::read_to_string(shop.path("taught/run.jsonl")).unwrap();
    let step: Value = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|e| e["event"] == "step")
        .unwrap();
    assert!(step["distill_loss"].as_f64().unwrap().abs() < 1e-6, "{step}");
}

#[test]
fn bad_tables_and_texts_are_refused_before_anything_is_begun() {
    let shop = Workshop::new();
    shop.write_labels("labels");
    shop.write_texts("texts");
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    let start = path("start");
    let with = |folder: &str| ["--model".to_owned(), start.clone(), "--data".to_owned(), path(folder)];
    let fails = |statements: &str, folder: &str, code: &str, expected: &str| {
        let flags = with(folder);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        shop.fails(statements, &flags, code, expected);
    };
    let plain = classify("");
    shop.fails(&plain, &["--model", &start], "OB0913", "needs files");
    fails(&plain, "nowhere", "OB0907", "does not exist");
    fails(&plain, "texts", "OB0907", "holds no train*");
    fails(&plain.replace("\"kind\"", "\"kinds\""), "labels", "OB0924", "`kinds`");
    fails(&plain.replace("max_length: 32", "max_length: 4096"), "labels", "OB0920", "longer than the model");
    let scale = "question,kind\na,1.5\nb,2\n";
    let cases = [
        ("kinds", "question,kind\na,x\nb,\n", "OB0931", "has no label"),
        ("scale", scale, "OB0927", "1.5"),
        ("alike", "question,kind\na,x\nb,x\n", "OB0909", "every row"),
        ("short", "question,kind\na,x\nb\n", "OB0931", "line 3"),
        ("quotes", "question,kind\na,x\n\"b,y\n", "OB0908", "does not end"),
        ("blank", "\n", "OB0909", "is empty"),
    ];
    for (folder, train, code, expected) in cases {
        shop.write(&format!("{folder}/train.csv"), train);
        shop.write(&format!("{folder}/dev.csv"), "question,kind\na,x\n");
        fails(&plain, folder, code, expected);
    }
    shop.write("other/train.csv", "question,kind\na,x\nb,y\n");
    shop.write("other/dev.csv", "question,kind\na,z\n");
    fails(&plain, "other", "OB0925", "`z` of the dev set does not occur in training");
    std::fs::write(shop.path("other/dev.csv"), b"question,kind\ncaf\xE9,x\n").unwrap();
    fails(&plain, "other", "OB0908", "not UTF-8");
    let mnli = plain.replace(CLASSIFY, "  data: mnli");
    shop.write("mnli/train.tsv", "sentence1\tsentence2\tgold_label\na\tb\tmaybe\n");
    shop.write("mnli/dev_matched.tsv", "sentence1\tsentence2\tgold_label\na\tb\tneutral\n");
    fails(&mnli, "mnli", "OB0925", "maybe");

    // A classifier of other labels, by their number or by their names.
    let flags = with("labels");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    shop.succeeds("three", 1, &plain, &[&flags[..], &["--limit-steps", "1"]].concat());
    let (three, other) = (path("three"), path("other"));
    shop.write("other/dev.csv", "question,kind\na,x\n");
    shop.fails(&plain, &["--model", &three, "--data", &other], "OB0926", "has 3 outputs; the data has 2");
    shop.write("other/train.csv", "question,kind\na,x\nb,y\nc,z\n");
    shop.fails(&plain, &["--model", &three, "--data", &other], "OB0926", "person, place, thing");

    let texts = plain.replace(CLASSIFY, "  data: masked_text(max_length: 32)");
    fails(&texts, "labels", "OB0907", "holds no train*");
    shop.write("lines/train.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b");
    shop.write("lines/dev.jsonl", "{\"text\": \"a\"}\n");
    fails(&texts, "lines", "OB0908", "line 2");
    let own = plain.replace(CLASSIFY, "  data: own");
    fails(&own, "labels", "OB0907", "`data: own`");
}

#[test]
fn questions_without_an_answer_are_learned_and_measured_as_squad_v2_has_it() {
    let shop = Workshop::new();
    shop.write_questions("questions");
    let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
    // Every third question has no answer.
    for file in ["train.json", "dev.json"] {
        let file = shop.path("questions").join(file);
        let mut data: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for paragraph in data["data"][0]["paragraphs"].as_array_mut().unwrap().iter_mut().step_by(3) {
            paragraph["qas"][0]["answers"] = serde_json::json!([]);
            paragraph["qas"][0]["is_impossible"] = true.into();
        }
        std::fs::write(&file, data.to_string()).unwrap();
    }
    let recipe = |data: &str| {
        format!(
            "  model: \"elsewhere\"\n  data: {data}(max_length: 96, doc_stride: 16)\n  lr {{ 0..1 epochs: 1e-3 }}"
        )
    };
    let flags = ["--model", &path("start"), "--data", &path("questions")];
    shop.fails(&recipe("squad"), &flags, "OB0931", "data: squad_v2");
    shop.succeeds("two", 1, &recipe("squad_v2"), &flags);
    let figures = measured(&shop.path("two"));
    let names = "best_em best_f1 em em_answered em_unanswered f1 f1_answered f1_unanswered";
    assert_eq!(figures.keys().map(String::as_str).collect::<Vec<_>>().join(" "), names);
    assert!(figures["best_f1"] >= figures["f1"] && figures["best_f1"] >= 100.0 / 3.0, "{figures:?}");
    let more = ["--max-seq-len", "96", "--doc-stride", "16", "--format", "json", "-q"];
    let output = obertc(&[&["eval", &path("two"), "--data", &path("questions")], &more[..]].concat());
    let again: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!((again["best_f1"].as_f64().unwrap() - figures["best_f1"]).abs() < 1e-9);
}
