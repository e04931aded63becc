//! The library's entry points, as a program calls them; and what a model was made with, saved beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use obert::diagnostics::{Diagnostic, Sources};
use obert::{EvalConfig, Event, Observer, Recipe, RunConfig, Schedule, Unwatched, Work, eval, run};
use serde_json::{Value, json};

use super::tasks::{Workshop, obertc, stderr};

/// Counts what it receives.
#[derive(Default)]
struct Counter {
    events: usize,
    progress: usize,
    planned: Vec<String>,
    notes: Vec<String>,
    warnings: Vec<Diagnostic>,
    stop: bool,
}

impl Observer for Counter {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        self.events += 1;
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {
        self.progress += 1;
    }

    fn planned(&mut self, schedule: &Schedule, limit_steps: Option<u64>) {
        self.planned.push(format!("{} {limit_steps:?}", schedule.name));
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    fn warnings(&mut self, warnings: &[Diagnostic], _: &Sources) {
        self.warnings.extend_from_slice(warnings);
    }

    fn wants_to_stop(&self) -> bool {
        self.stop
    }
}

const TINY: &str = "edition 2026
recipe tiny for 1 epochs {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 32, dev: 12)
  lr { 0..1 epochs: 1e-3 }
  expect { f1: 99 .. 100 }
}
";

fn tiny(out: &Path) -> RunConfig {
    let mut config = RunConfig::new(Recipe::text("tiny.obert", TINY));
    config.out = Some(out.to_owned());
    config.measure_speed = false;
    config.cache = false;
    config
}

/// The last metrics in the log of a run.
fn logged(folder: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(folder.join("run.jsonl")).unwrap();
    let mut events = text.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = events.find(|e| e["event"] == "evaluated").unwrap();
    serde_json::from_value(last["metrics"].clone()).unwrap()
}

fn saved(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("obert.json")).unwrap()).unwrap()
}

#[test]
fn a_program_runs_a_recipe_watches_it_and_evaluates_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut counter = Counter::default();
    let report = run(&tiny(&out), &mut counter).unwrap();
    assert_eq!((report.folder.as_path(), report.was_finished), (out.as_path(), false));
    assert_eq!(report.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["tiny"]);
    assert_eq!(report.missed.len(), 1, "an F1 of 99 after two steps");
    assert!(report.summary().contains("tiny") && report.speed.is_none());
    let lines = std::fs::read_to_string(out.join("run.jsonl")).unwrap().lines().count();
    assert_eq!(counter.events, lines, "the observer receives what the log does");
    assert!(counter.progress >= 2 && counter.planned == ["tiny None"]);

    // It is the run's own: the same texts are generated again by its seed.
    let again = eval(&EvalConfig::new(&out, None), &mut Unwatched).unwrap();
    assert_eq!(again.metrics, logged(&out), "to the last digit");
    assert_eq!((again.examples, again.unit), (12, "questions"));
    let kept = json!({"task": "builtin_reading", "max_length": 128, "doc_stride": 32, "max_answer_length": 30,
        "generated": [32, 12], "seed": 42});
    assert_eq!(saved(&out), kept);

    // A run in the same folder is an error that says what to do, and points nowhere.
    let error = run(&tiny(&out), &mut Unwatched).unwrap_err();
    let boxed: Box<dyn std::error::Error> = Box::new(error);
    assert!(boxed.to_string().contains("already holds a run"), "{boxed}");
    let mut config = tiny(&out);
    config.checkpoints.resume = obert::Resume::Same;
    assert!(run(&config, &mut Unwatched).unwrap().was_finished);
}

#[test]
fn an_observer_stops_a_run_and_a_mistake_in_a_recipe_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut counter = Counter { stop: true, ..Counter::default() };
    let error = run(&tiny(&folder.path().join("out")), &mut counter).unwrap_err();
    assert_eq!(error.diagnostics()[0].code.to_string(), "OB0921");
    let mut config = tiny(&folder.path().join("other"));
    config.recipe = Recipe::text("tiny.obert", TINY.replace("lr {", "lrr {"));
    let error = run(&config, &mut Unwatched).unwrap_err();
    assert!(error.to_string().starts_with("tiny.obert:"), "{error}");
    assert!(error.render(false).contains("tiny.obert:5:"), "{}", error.render(false));
    assert!(error.render(false).contains("did you mean `lr`?"), "{}", error.render(false));
    assert!(!folder.path().join("other").exists());
}

#[test]
fn everything_that_is_missing_is_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    let text = "edition 2026
recipe r for 1 epochs {
  model: \"elsewhere\"
  data: squad
  lr { 0..1 epochs: 1e-3 }
  distill from teacher { hardness: 0.5 }
}
";
    let mut config = RunConfig::new(Recipe::text("r.obert", text));
    config.out = Some(folder.path().join("out"));
    let error = run(&config, &mut Unwatched).unwrap_err();
    let messages: Vec<&str> = error.diagnostics().iter().map(|d| d.message.as_str()).collect();
    assert_eq!(messages, ["`data: squad` needs files", "the recipe says `distill from teacher`"]);

    // A recipe that leaves its model to `--model` lacks that too.
    config.recipe = Recipe::text("r.obert", text.replace("  model: \"elsewhere\"\n", ""));
    let error = run(&config, &mut Unwatched).unwrap_err();
    let messages: Vec<&str> = error.diagnostics().iter().map(|d| d.message.as_str()).collect();
    let others = ["`data: squad` needs files", "the recipe says `distill from teacher`"];
    assert_eq!(messages, ["`recipe` needs `model`", others[0], others[1]]);
    // With another mistake in the recipe its flags are not known.
    config.recipe = Recipe::text("r.obert", text.replace("  model: \"elsewhere\"\n", "  seeds: 1\n"));
    assert!(run(&config, &mut Unwatched).unwrap_err().diagnostics().iter().all(|d| d.primary.is_some()));
}

#[test]
fn the_folder_of_a_run_is_evaluated_as_the_run_was_without_a_flag() {
    let shop = Workshop::new();
    shop.write_labels("labels");
    shop.write_texts("texts");
    shop.write_questions("questions");
    let names = ["entailment", "neutral", "contradiction"];
    let rows = |n: usize| -> String {
        (0..n).map(|i| format!("w{i} the cat\tthe dog {}\t{}\n", i * 7, names[i % 3])).collect()
    };
    std::fs::create_dir(shop.path("mnli")).unwrap();
    for (file, n) in [("train.tsv", 24), ("dev_matched.tsv", 9), ("dev_mismatched.tsv", 6)] {
        let text = format!("sentence1\tsentence2\tgold_label\n{}", rows(n));
        std::fs::write(shop.path("mnli").join(file), text).unwrap();
    }
    let rows = |n: usize| -> String {
        (0..n).map(|i| format!("is {i} odd\tis {} even\t{}\n", i * 3, i % 2)).collect()
    };
    std::fs::create_dir(shop.path("qqp")).unwrap();
    for (file, n) in [("train.tsv", 24), ("dev.tsv", 10)] {
        let text = format!("question1\tquestion2\tis_duplicate\n{}", rows(n));
        std::fs::write(shop.path("qqp").join(file), text).unwrap();
    }
    // Lengths and overlaps that no default gives, and labels that the recipe orders by itself.
    let runs = [
        ("squad(max_length: 40, doc_stride: 11)", "questions"),
        ("squad_v2(max_length: 48, doc_stride: 7)", "questions"),
        ("mnli(max_length: 9)", "mnli"),
        ("qqp(max_length: 8)", "qqp"),
        ("classify(text: \"question\", label: \"kind\", max_length: 11)", "labels"),
        (
            "classify(text: \"question\", label: \"kind\", labels: [thing, person, place], max_length: 10)",
            "labels",
        ),
        ("masked_text(max_length: 24)", "texts"),
    ];
    for (number, (data, folder)) in runs.into_iter().enumerate() {
        let text = format!(
            "edition 2026\nrecipe r for 1 epochs {{\n  model: \"elsewhere\"\n  data: {data}\n  batch: 8\n  \
             seed: 7\n  lr {{ 0..1 epochs: 1e-3 }}\n}}\n"
        );
        let out = shop.path(&format!("out{number}"));
        let mut config = RunConfig::new(Recipe::text("r.obert", text));
        config.options.model = Some(shop.path("start"));
        config.data = Some(shop.path(folder));
        config.out = Some(out.clone());
        config.measure_speed = false;
        config.cache = false;
        run(&config, &mut Unwatched).unwrap_or_else(|e| panic!("{data}: {}", e.render(false)));
        let mut config = EvalConfig::new(&out, Some(shop.path(folder)));
        config.cache = false;
        let again = eval(&config, &mut Unwatched).unwrap_or_else(|e| panic!("{data}: {}", e.render(false)));
        assert_eq!(again.metrics, logged(&out), "{data}: to the last digit");

        // A folder of an older version has the schedule alone.
        std::fs::remove_file(out.join("obert.json")).unwrap();
        let older = eval(&config, &mut Unwatched).unwrap();
        assert_eq!(older.metrics, again.metrics, "{data}");
    }

    // What is given replaces what is saved.
    let mut config = EvalConfig::new(shop.path("out0"), Some(shop.path("questions")));
    config.settings.max_length = Some(4096);
    let error = eval(&config, &mut Unwatched).unwrap_err();
    assert!(error.to_string().contains("4096"), "{error}");
    config.settings.max_length = None;
    config.settings.label = Some("kind".into());
    config.data = None;
    let error = eval(&config, &mut Unwatched).unwrap_err();
    let messages: Vec<&str> = error.diagnostics().iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        ["`--label` has no effect: `squad` has no named columns", "the data to evaluate on is not given"]
    );
}

#[test]
fn a_recipe_may_leave_its_model_to_the_one_that_is_given() {
    let shop = Workshop::new();
    shop.write_labels("labels");
    let text = "edition 2026
recipe r for 1 epochs {
  data: classify(text: \"question\", label: \"kind\", max_length: 16)
  lr { 0..1 epochs: 1e-3 }
}
";
    let mut config = RunConfig::new(Recipe::text("r.obert", text));
    (config.data, config.out) = (Some(shop.path("labels")), Some(shop.path("out")));
    (config.measure_speed, config.cache) = (false, false);
    let error = run(&config, &mut Unwatched).unwrap_err();
    assert!(error.to_string().contains("`recipe` needs `model`"), "{error}");
    config.options.model = Some(shop.path("start"));
    run(&config, &mut Unwatched).unwrap_or_else(|e| panic!("{}", e.render(false)));
    let schedule = std::fs::read(shop.path("out/schedule.json")).unwrap();
    let schedule: Value = serde_json::from_slice(&schedule).unwrap();
    let model: PathBuf = serde_json::from_value(schedule["model"]["named"].clone()).unwrap();
    assert_eq!(model, shop.path("start"));
}

#[test]
fn what_a_model_was_made_with_goes_along_into_every_format_and_eval_reads_what_pack_writes() {
    let shop = Workshop::new();
    shop.write_questions("questions");
    shop.write_labels("labels");
    let runs = [
        ("squad(max_length: 48, doc_stride: 9)", "questions", "f1"),
        ("classify(text: \"question\", label: \"kind\", max_length: 12)", "labels", "accuracy"),
    ];
    for (number, (data, folder, metric)) in runs.into_iter().enumerate() {
        let text = format!(
            "edition 2026\nrecipe r for 1 epochs {{\n  model: \"elsewhere\"\n  data: {data}\n  batch: 8\n  \
             lr {{ 0..1 epochs: 1e-3 }}\n}}\n"
        );
        let out = shop.path(&format!("out{number}"));
        let mut config = RunConfig::new(Recipe::text("r.obert", text));
        config.options.model = Some(shop.path("start"));
        (config.data, config.out) = (Some(shop.path(folder)), Some(out.clone()));
        (config.measure_speed, config.cache) = (false, false);
        run(&config, &mut Unwatched).unwrap_or_else(|e| panic!("{data}: {}", e.render(false)));
        let (of_run, made_with) = (logged(&out), saved(&out));
        let examples = if folder == "questions" { 12.0 } else { 40.0 };
        let path = |name: &str| shop.path(name).to_str().unwrap().to_owned();
        let pack = |format: &str, to: &str, more: &[&str]| {
            let flags = ["pack", out.to_str().unwrap(), "--as", format, "--out", to];
            let output = obertc(&[&flags[..], more].concat());
            assert_eq!(output.status.code(), Some(0), "{format}: {}", stderr(&output));
        };
        for (format, more) in
            [("dense", &[][..]), ("engine", &[]), ("compressed-tensors", &["--quantize-weights"])]
        {
            let to = path(&format!("{format}{number}"));
            pack(format, &to, more);
            if Path::new(&to).is_dir() {
                assert_eq!(saved(Path::new(&to)), made_with, "{format}");
            } else {
                let model = obert::runtime::Model::open(Path::new(&to)).unwrap();
                assert_eq!(serde_json::to_value(model.settings()).unwrap(), made_with, "{format}");
            }
            let mut config = EvalConfig::new(&to, Some(shop.path(folder)));
            config.cache = false;
            let again =
                eval(&config, &mut Unwatched).unwrap_or_else(|e| panic!("{format}: {}", e.render(false)));
            assert_eq!(again.examples as f64, examples);
            // The runtime adds in another order, and INT8 has steps of its own: an example may go the other way.
            let may_differ = match format {
                "dense" => 0.0,
                "engine" => 100.0 / examples,
                _ => 4.0 * 100.0 / examples,
            };
            let apart = (again.metrics[metric] - of_run[metric]).abs();
            assert!(apart <= may_differ + 1e-9, "{format}: {:?}, the run {of_run:?}", again.metrics);
        }
        // What is given to `pack` takes the place of what was saved.
        let to = path(&format!("other{number}"));
        pack("engine", &to, &["--max-length", "32"]);
        let model = obert::runtime::Model::open(Path::new(&to)).unwrap();
        assert_eq!(model.settings().unwrap().max_length, Some(32));
        // A format that is not computed here is refused once, with the program that computes it.
        let to = path(&format!("model{number}.onnx"));
        pack("onnx", &to, &[]);
        let error = eval(&EvalConfig::new(&to, Some(shop.path(folder))), &mut Unwatched).unwrap_err();
        let [only] = error.diagnostics() else { panic!("{error}") };
        assert!(only.help.as_deref().unwrap_or("").contains("`onnxruntime`"), "{error}");
    }
    let engine = shop.path("engine0");
    let output = obertc(&["predict", engine.to_str().unwrap(), "--label", "kind"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("`--label` has no effect on `predict`"), "{}", stderr(&output));
}

#[test]
fn the_format_that_the_help_proposes_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let models = [
        ("families/distilbert_masked_lm", "OB0990"),
        ("encoders/electra_masked_lm", "OB0990"),
        ("encoders/deberta-v2_masked_lm", "OB0990"),
    ];
    for (path, code) in models {
        let model = format!("{}/tests/golden/{path}", env!("CARGO_MANIFEST_DIR"));
        let name = path.rsplit('/').next().unwrap();
        for format in ["onnx", "engine", "compressed-tensors"] {
            let to = folder.path().join(format!("{name}-{format}"));
            let flags = ["pack", &model, "--as", format, "--out", to.to_str().unwrap()];
            let output = obertc(&flags);
            assert_eq!(output.status.code(), Some(1), "{name} as {format}");
            assert!(!to.exists(), "{name} as {format}");
            if format == "onnx" {
                let said = stderr(&output);
                assert!(said.contains(code) && said.contains("--as dense`"), "{said}");
            }
        }
        let to = folder.path().join(name);
        let output = obertc(&["pack", &model, "--as", "dense", "--out", to.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
    }
}

#[test]
fn a_model_of_a_program_is_pruned_saved_and_loaded() {
    let device = burn::tensor::Device::flex();
    let (network, stages) = super::examples::pruned_network();
    assert_eq!(stages.len(), 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    obert::custom::save(&network, &path).unwrap();
    let other = super::examples::new_network(&device);
    let loaded = obert::custom::load(other, &path).unwrap();
    let values = |network| obert::internals::task::parameters::read(network, |_| true);
    assert_eq!(values(&loaded), values(&network));
    std::fs::write(&path, b"no file of tensors").unwrap();
    let error = obert::custom::load(loaded, &path).unwrap_err();
    assert!(error.to_string().contains("network.safetensors"), "{error}");
}
