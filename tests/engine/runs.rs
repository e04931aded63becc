//! Whole runs of the binary on tiny models and generated data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn obertc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("OBERT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder with the recipe of a tiny run: dense, two branches, gradual pruning with a hold.
struct Workshop {
    folder: tempfile::TempDir,
}

const RECIPE: &str = r#"edition 2026
use std.bert.{encoder_linears, attention_linears, feed_forward_linears}
recipe tiny {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 96, dev: 24)
  batch: 16
  stage dense for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
    evaluate every 1 epoch
  }
  branch magnitude from dense { prune encoder_linears { by: magnitude, sparsity: 60% } }
  branch surgeon from dense { prune encoder_linears { by: obs(gradients: 40, block: 32), sparsity: 60%, rank: layer } }
  stage blocks for 2 epochs {
    lr { 0..2 epochs: 5e-4 -> 5e-5 linear }
    prune feed_forward_linears over 0.5..1.5 epochs every 0.5 epochs {
      by: obs(gradients: 8, block: 16, batch: 4, recompute: 2)
      sparsity: 25% -> 75% cubic
      pattern: blocks(1, 4)
    }
    distill from dense { hardness: 0.5, temperature: 2.0 }
  }
  stage rest for 1 epochs {
    lr { 0..1 epochs: 1e-4 }
    hold feed_forward_linears
    distill from self
  }
}
"#;

impl Workshop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tiny.obert"), RECIPE).unwrap();
        Workshop { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, out: &str, more: &[&str]) -> Output {
        let (recipe, out) = (self.path("tiny.obert"), self.path(out));
        let mut arguments = vec!["run", recipe.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(more);
        obertc(&arguments)
    }
}

/// The events of a run, without what depends on the clock, on memory and on the command.
fn events(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("run.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let fields = event.as_object_mut().unwrap();
            fields.remove("seconds");
            fields.remove("memory");
            event
        })
        .filter(|event| event["event"] != "environment")
        .collect()
}

fn of<'a>(events: &'a [Value], kind: &str, stage: &str) -> Vec<&'a Value> {
    events.iter().filter(|e| e["event"] == kind && e["stage"] == stage).collect()
}

/// The tensors of a safetensors file, by name: shape and values.
fn tensors(folder: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            let values = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name.to_owned(), (view.shape().to_vec(), values))
        })
        .collect()
}

#[test]
fn a_recipe_runs_to_its_end_and_everything_happens_where_the_plan_says() {
    let shop = Workshop::new();
    let output = shop.run("out", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let events = events(&shop.path("out"));
    let started: Vec<(&str, u64)> = events
        .iter()
        .filter(|e| e["event"] == "stage_started")
        .map(|e| (e["stage"].as_str().unwrap(), e["steps"].as_u64().unwrap()))
        .collect();
    assert_eq!(started, [("dense", 12), ("magnitude", 0), ("surgeon", 0), ("blocks", 12), ("rest", 6)]);

    // Pruning events: nominal times, steps and sparsities as planned.
    let pruned: Vec<(u64, &str, f64)> = of(&events, "pruned", "blocks")
        .iter()
        .map(|e| (e["step"].as_u64().unwrap(), e["at"].as_str().unwrap(), e["sparsity"].as_f64().unwrap()))
        .collect();
    assert_eq!(
        pruned.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(),
        [(3, "0.5 epochs"), (6, "1 epoch"), (9, "1.5 epochs")]
    );
    for ((_, _, sparsity), expected) in pruned.iter().zip([0.25, 0.6875, 0.75]) {
        assert!((sparsity - expected).abs() < 1e-3, "{sparsity} is not {expected}");
    }
    for branch in ["magnitude", "surgeon"] {
        let sparsity = of(&events, "pruned", branch)[0]["sparsity"].as_f64().unwrap();
        assert!((sparsity - 0.6).abs() < 1e-3, "{branch}: {sparsity}");
    }

    // The learning rate of every step is the recipe's.
    for (i, step) in of(&events, "step", "dense").iter().enumerate() {
        let expected = 1e-3 + (1e-4 - 1e-3) * i as f64 / 12.0;
        assert!((step["lr"].as_f64().unwrap() - expected).abs() < 1e-9);
    }
    assert_eq!(of(&events, "evaluated", "dense").len(), 2, "before step 6, and at the end");
    assert!(of(&events, "step", "blocks").iter().all(|s| s["distill_loss"].is_number()));

    // What was saved: the mask of `blocks` held through `rest`, in whole groups of four inputs.
    let tensors = tensors(&shop.path("out"));
    let (shape, values) = &tensors["bert.encoder.layer.0.intermediate.dense.weight"];
    assert_eq!(shape, &[128, 32], "the Hugging Face layout");
    let mut zeros = 0;
    for name in ["intermediate", "output"] {
        let (_, values) = &tensors[&format!("bert.encoder.layer.0.{name}.dense.weight")];
        for group in values.chunks(4) {
            let empty = group.iter().filter(|w| **w == 0.0).count();
            assert!(empty == 0 || empty == 4, "a group of four is pruned whole or not at all");
            zeros += empty;
        }
    }
    assert_eq!(zeros, 6144, "three quarters of 8192 weights");
    assert!(values.iter().any(|w| *w != 0.0));
    let dense = &tensors["bert.encoder.layer.0.attention.self.query.weight"].1;
    assert!(dense.iter().all(|w| *w != 0.0), "branches leave the run alone");

    let text = stdout(&output);
    for part in [
        "dense",
        "magnitude (branch)",
        "surgeon (branch)",
        "EM",
        "F1",
        "feed-forward in",
        "Size",
        "Time",
        "Model",
    ] {
        assert!(text.contains(part), "the summary lacks {part}:\n{text}");
    }
    let speed =
        text.lines().find(|line| line.starts_with("Speed   rest, int8")).unwrap_or_else(|| panic!("{text}"));
    assert!(speed.contains("sequences/s") && speed.contains("; F1 "), "{speed}");
    assert!(text.contains("x obert's dense float32 ("), "{text}");
    let files = ["config.json", "tokenizer.json", "tokenizer_config.json", "schedule.json", "run.jsonl"];
    for file in files.into_iter().chain(["README.md", "report.html"]) {
        assert!(shop.path("out").join(file).exists(), "{file}");
    }
    let left: Vec<_> = std::fs::read_dir(shop.path("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 9, "no checkpoints, and nothing half-written is left behind: {left:?}");
}

/// The text of a report or a summary after a part, up to the end of its line.
fn after<'a>(text: &'a str, part: &str) -> &'a str {
    let at = text.find(part).unwrap_or_else(|| panic!("no `{part}` in {text}")) + part.len();
    text[at..].lines().next().unwrap()
}

#[test]
fn a_size_is_the_same_in_the_summary_the_report_the_card_and_pack() {
    let quantized = RECIPE.replace(
        "hold feed_forward_linears\n    distill from self",
        "hold feed_forward_linears\n    quantize encoder_linears { weights: int4, calibrate: 2 }",
    );
    assert_ne!(quantized, RECIPE);
    for recipe in [RECIPE, &quantized] {
        let shop = Workshop::new();
        std::fs::write(shop.path("tiny.obert"), recipe).unwrap();
        let output = shop.run("out", &["--limit-steps", "4", "--quiet", "--no-speed"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let summary = stdout(&output);
        let out = shop.path("out");
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        let (report, card) = (read("report.html"), read("README.md"));

        // What pack counts of the model in memory, and writes into the run's folder.
        let (folder, engine) = (out.to_str().unwrap(), shop.path("tiny.obert-engine"));
        let output = obertc(&["pack", folder, "--as", "engine", "--out", engine.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let packed = stdout(&output);
        let sizes: Value = serde_json::from_str(&read("sizes.json")).unwrap();
        let shown = |kind: &str, part: &str| {
            let bytes = sizes[kind][part].as_u64().unwrap();
            assert!((1_000..1_000_000).contains(&bytes), "{sizes}");
            format!("{:.0} kB", bytes as f64 / 1e3)
        };
        let (dense, all) = (shown("dense", "bytes"), shown("counted", "bytes"));
        let (dense_encoder, encoder) = (shown("dense", "encoder_bytes"), shown("counted", "encoder_bytes"));
        assert!(all != dense && encoder != dense_encoder, "{sizes}");

        let row = summary.lines().find(|line| line.trim_start().starts_with("rest ")).unwrap();
        assert!(row.contains(&format!(" {encoder} ")), "{encoder}: {summary}");
        let size = after(&summary, "nonzero; ");
        assert_eq!(size, format!("{dense} as saved (dense float32), {all} with a bitmask"));
        let html = |name: &str| {
            let row = after(&report, &format!(">{name}</th>"));
            let cells: Vec<&str> = row.split("</td>").collect();
            format!("{}|{}", cells[0].rsplit('>').next().unwrap(), cells[1].rsplit('>').next().unwrap())
        };
        for (name, dense, small) in
            [("Size with a bitmask", &dense, &all), ("Encoder with a bitmask", &dense_encoder, &encoder)]
        {
            assert!(html(name).starts_with(&format!("{dense}|{small} (")), "{}: {dense} {small}", html(name));
            let row = after(&card, &format!("| {name} | "));
            assert!(row.starts_with(&format!("{dense} | {small} (")), "{row}");
        }
        let row = after(&packed, "with a bitmask");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!([&cells[..2].join(" "), &cells[3..5].join(" ")], [&all, &encoder], "{packed}");
        let finished: Value = read("run.jsonl")
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .rfind(|e| e["event"] == "stage_finished")
            .unwrap();
        assert_eq!(finished["encoder_bytes"], sizes["counted"]["encoder_bytes"]);
    }
}

#[test]
fn one_seed_gives_one_run_and_another_seed_another() {
    let shop = Workshop::new();
    for (out, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
        let output = shop.run(out, &["--seed", seed, "--limit-steps", "6", "--quiet", "--no-speed"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(!stdout(&output).contains("Speed"));
    }
    let run = |name: &str| events(&shop.path(name));
    assert_eq!(run("a"), run("b"));
    assert_ne!(run("a"), run("c"));
    assert_eq!(tensors(&shop.path("a")), tensors(&shop.path("b")), "bit for bit");
    let steps = run("a").iter().filter(|e| e["event"] == "step" && e["stage"] == "blocks").count();
    assert_eq!(steps, 6, "--limit-steps shortens epochs");
    assert_eq!(of(&run("a"), "pruned", "blocks").len(), 3, "and every event still happens");
}

#[test]
fn a_saved_model_is_evaluated_as_it_was_at_the_end_of_its_run_on_squad_files() {
    let shop = Workshop::new();
    let data = shop.path("data");
    std::fs::create_dir(&data).unwrap();
    let squad = |questions: Vec<obert::internals::task::data::squad::Question>| {
        let paragraphs: Vec<Value> = questions
            .iter()
            .map(|q| {
                let answers: Vec<Value> = q
                    .answers
                    .iter()
                    .map(|a| serde_json::json!({"text": a.text, "answer_start": q.context[..a.start].chars().count()}))
                    .collect();
                serde_json::json!({"context": &*q.context, "qas": [{"id": q.id, "question": q.question, "answers": answers}]})
            })
            .collect();
        serde_json::json!({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}).to_string()
    };
    let split = obert::internals::task::data::builtin::generate(96, 24, 5);
    std::fs::write(data.join("train-v1.1.json"), squad(split.train)).unwrap();
    std::fs::write(data.join("dev-v1.1.json"), squad(split.dev)).unwrap();
    assert_eq!(shop.run("start", &["--limit-steps", "3"]).status.code(), Some(0));

    let recipe = shop.path("real.obert");
    let text = "edition 2026
use std.bert.{encoder_linears}
param target: ratio = 50%
recipe real for 1 epoch {
  model: \"some-model-that-is-elsewhere\"
  data: squad(max_length: 96, doc_stride: 16)
  batch: 16
  lr { 0..1 epochs: 1e-3 -> 0 linear }
  prune encoder_linears over 0..0.5 epochs every 0.25 epochs { by: magnitude, sparsity: 20% -> target linear }
  distill from teacher
}
";
    std::fs::write(&recipe, text).unwrap();
    let (start, out) = (shop.path("start"), shop.path("real"));
    let run = |out: &Path, more: &[&str]| {
        let mut arguments = vec!["run", recipe.to_str().unwrap(), "--data", data.to_str().unwrap()];
        arguments.extend(["--model", start.to_str().unwrap(), "--out", out.to_str().unwrap(), "-q"]);
        arguments.extend(more);
        obertc(&arguments)
    };
    let without = run(&shop.path("never"), &[]);
    assert_eq!(without.status.code(), Some(1), "a teacher is needed");
    assert!(stderr(&without).contains("--teacher"), "{}", stderr(&without));
    assert!(!shop.path("never").exists(), "nothing was begun");
    let output =
        run(&out, &["--teacher", start.to_str().unwrap(), "--set", "target=75%", "--limit-examples", "64"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));

    let evaluate = |folder: &Path| {
        let arguments = ["eval", folder.to_str().unwrap(), "--data", data.to_str().unwrap()];
        let more = ["--max-seq-len", "96", "--doc-stride", "16", "--format", "json", "-q"];
        let output = obertc(&[&arguments[..], &more[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_str::<Value>(&stdout(&output)).unwrap()
    };
    let measured = evaluate(&out);
    let events = events(&out);
    let at_end = &of(&events, "evaluated", "real").last().unwrap()["metrics"];
    assert_eq!(measured["questions"], 24);
    for metric in ["em", "f1"] {
        let (a, b) = (measured[metric].as_f64().unwrap(), at_end[metric].as_f64().unwrap());
        assert!((a - b).abs() < 1e-9, "{metric}: {a} after saving, {b} before");
    }
    let pruned = of(&events, "pruned", "real").last().unwrap()["sparsity"].as_f64().unwrap();
    assert!((pruned - 0.75).abs() < 1e-3, "--set reached the engine: {pruned}");
}

#[test]
fn bad_input_stops_before_training_and_leaves_nothing_behind() {
    let shop = Workshop::new();
    let start = shop.path("start");
    assert_eq!(shop.run("start", &["--limit-steps", "1"]).status.code(), Some(0));
    let data = shop.path("data");
    std::fs::create_dir(&data).unwrap();
    let recipe = shop.path("real.obert");
    let text = "edition 2026
recipe real for 1 epoch {
  model: \"some-model-that-is-elsewhere\"
  data: squad(max_length: 96, doc_stride: 16)
  lr { 0..1 epochs: 1e-3 -> 0 linear }
}
";
    std::fs::write(&recipe, text).unwrap();
    let out = shop.path("out");
    let fails = |more: &[&str], expected: &str| {
        let mut arguments = vec!["run", recipe.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(more);
        let output = obertc(&arguments);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{more:?} does not say {expected}:\n{}", stderr(&output));
        assert!(stderr(&output).contains("OB09"), "{}", stderr(&output));
        assert!(!out.exists(), "{more:?} left something behind");
    };
    let (model, folder) = (start.to_str().unwrap(), data.to_str().unwrap());
    fails(&["--model", model], "--data DIR");
    fails(&["--model", model, "--data", "/nowhere"], "does not exist");
    fails(&["--model", model, "--data", folder], "no train* (json, jsonl, parquet)");
    std::fs::write(data.join("train.json"), "{\"data\": [").unwrap();
    fails(&["--model", model, "--data", folder], "not SQuAD");
    let unanswered = r#"{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "q", "question": "?", "answers": []}]}]}]}"#;
    std::fs::write(data.join("train.json"), unanswered).unwrap();
    fails(&["--model", model, "--data", folder], "has no answer");
    let answered = unanswered.replace("[]}]}]}]}", r#"[{"text": "x", "answer_start": 0}]}]}]}]}"#);
    std::fs::write(data.join("train.json"), &answered).unwrap();
    std::fs::write(data.join("dev.json"), &answered).unwrap();
    fails(&["--data", folder, "--offline"], "is not on this machine");
    fails(&["--model", model, "--data", folder, "--device", "tpu"], "no device `tpu`");
    fails(&["--model", model, "--data", folder, "--teacher", model], "`--teacher` has no effect");
    fails(&["--model", model, "--data", folder, "--max-seq-len", "4096"], "longer than the model's 512");
    // A file cut short in the middle of a tensor, and one whose numbers are not finite.
    let weights = std::fs::read(start.join("model.safetensors")).unwrap();
    std::fs::write(start.join("model.safetensors"), &weights[..weights.len() - 100]).unwrap();
    fails(&["--model", model, "--data", folder], "truncated");
    let mut poisoned = weights.clone();
    let end = poisoned.len();
    poisoned[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(start.join("model.safetensors"), &poisoned).unwrap();
    fails(&["--model", model, "--data", folder], "holds NaN");
    std::fs::write(start.join("model.safetensors"), &weights).unwrap();
    std::fs::remove_file(start.join("tokenizer.json")).unwrap();
    fails(&["--model", model, "--data", folder], "neither tokenizer.json nor vocab.txt");
    std::fs::write(start.join("tokenizer.json"), "{}").unwrap();
    fails(&["--model", model, "--data", folder], "tokenizer.json");

    // An output folder that is a file, or that holds a run already.
    let file = shop.path("file");
    std::fs::write(&file, "x").unwrap();
    let output = shop.run("file", &["--limit-steps", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is a file, not a folder"), "{}", stderr(&output));
    let output = shop.run("start", &["--limit-steps", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("already holds a run"), "{}", stderr(&output));
}

#[test]
fn a_metric_that_misses_its_range_fails_the_run_after_saving() {
    let shop = Workshop::new();
    let text = RECIPE.replace("  stage dense", "  expect { f1: 99.0 .. 100 }\n  stage dense");
    std::fs::write(shop.path("tiny.obert"), text).unwrap();
    let output = shop.run("out", &["--limit-steps", "2", "-q"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("OB0917"), "{}", stderr(&output));
    assert!(shop.path("out/model.safetensors").exists());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let shop = Workshop::new();
    let text = RECIPE.replace("0..2 epochs: 1e-3 -> 1e-4 linear", "0..2 epochs: 1");
    std::fs::write(
        shop.path("tiny.obert"),
        text.replace("batch: 16", "batch: 16\n  train { clip: 0, beta2: 0%, epsilon: 0 }"),
    )
    .unwrap();
    let output = shop.run("out", &["-q"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains("OB0916"), "{}", stderr(&output));
    assert!(!shop.path("out/model.safetensors").exists());

    // Its log says why, and there is a page as far as it came, but no card of a model.
    let events = events(&shop.path("out"));
    let last = events.last().unwrap();
    assert_eq!((last["event"].as_str(), last["code"].as_str()), (Some("run_failed"), Some("OB0916")));
    let page = std::fs::read_to_string(shop.path("out/report.html")).unwrap();
    assert!(page.contains("state failed") && page.contains("OB0916"), "{page}");
    assert!(page.contains("<section id=\"schedule\">"), "what was planned is known before the run");
    assert!(!shop.path("out/README.md").exists(), "there is no model to describe");
}

#[test]
fn a_run_leaves_its_page_its_card_and_its_curves() {
    let shop = Workshop::new();
    let output = shop.run("out", &["--limit-steps", "6", "--tensorboard"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let folder = shop.path("out");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    for id in ["models", "size", "schedule", "curves", "layers", "events", "recipe", "reproduce"] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "no section {id}");
    }
    assert!(page.contains("evaluate every 1 epoch"), "the recipe stands there word for word");
    assert!(page.contains("--limit-steps 6 --tensorboard"), "and the command");
    let card = std::fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(card.starts_with("---\nlibrary_name: transformers\n"), "{card}");
    assert!(
        card.contains("pipeline_tag: question-answering") && card.contains("AutoModelForQuestionAnswering")
    );
    assert!(card.contains("## Sparsity"), "{card}");
    assert_eq!(std::fs::read_dir(folder.join("tensorboard")).unwrap().count(), 1);

    // The page comes from the files alone.
    std::fs::remove_file(folder.join("report.html")).unwrap();
    let output = obertc(&["report", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(folder.join("report.html")).unwrap(), page);

    let output = obertc(&["report", folder.to_str().unwrap(), "--format", "json"]);
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["state"], "finished");
    assert_eq!(record["stages"].as_array().unwrap().len(), 5);
    assert!(cfg!(not(target_os = "linux")) || record["memory"].as_u64().unwrap() > 1 << 20);
}
