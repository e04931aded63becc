//! The page of a run, made from its files without the engine that wrote them.

use std::path::Path;
use std::process::{Command, Output};

use obert::internals::diag::Code;
use obert::internals::output::report;

fn obertc(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const RECIPE: &str = r#"## A small <run> & its "marks".
edition 2026
use std.bert.{encoder_linears}
param target: ratio = 75%
recipe small {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 64, dev: 16)
  batch: 16
  stage dense for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
    evaluate every 1 epoch
  }
  branch at_once from dense { prune encoder_linears { by: magnitude, sparsity: target } }
  stage gradual for 2 epochs {
    lr { 0..2 epochs: 5e-4 -> 0 linear }
    prune encoder_linears over 0..1 epochs every 0.5 epochs { by: magnitude, sparsity: 25% -> target linear }
    distill from dense { hardness: 0.5 }
  }
}
"#;

/// The log of a run of [`RECIPE`], as `docs/run-log.md` says.
fn log() -> String {
    let mut lines = vec![
        serde_json::json!({"event": "environment", "command": ["/somewhere/obertc", "run", "small run.obert", "--set", "target=75%"],
            "recipe_file": "small run.obert", "recipe_text": RECIPE, "system": "linux 6.1 x86_64",
            "processor": "Some CPU", "threads": 4, "machine_memory": 8_000_000_000u64,
            "versions": {"burn": "0.22.1", "obert": "0.1.0"}, "unix_time": 1_795_402_498}),
        serde_json::json!({"event": "run_started", "format": 1, "recipe": "small", "version": "0.1.0",
            "seed": 42, "device": "cpu", "examples": 64}),
    ];
    let layers = |share: f64| -> Vec<serde_json::Value> {
        ["attention.self.query", "attention.output.dense", "output.dense"]
            .iter()
            .map(|name| {
                let name = format!("bert.encoder.layer.0.{name}.weight");
                serde_json::json!({"name": name, "count": 1024, "zeros": (1024.0 * share) as usize})
            })
            .collect()
    };
    let stage = |name: &str, branch: bool, steps: u64| serde_json::json!({"event": "stage_started", "stage": name, "branch": branch, "steps": steps, "steps_per_epoch": 4});
    let measured = |name: &str, step: u64, f1: f64| serde_json::json!({"event": "evaluated", "stage": name, "step": step, "metrics": {"em": f1 - 1.0, "f1": f1}, "seconds": 0.5});
    let pruned = |name: &str, step: u64, at: &str, share: f64| {
        serde_json::json!({"event": "pruned", "stage": name, "step": step, "at": at, "parameters": 3,
            "target": share, "sparsity": share, "layers": layers(share), "seconds": 1.5, "memory": 123_000_000})
    };
    let finished = |name: &str, share: f64| {
        serde_json::json!({"event": "stage_finished", "stage": name, "sparsity": share, "layers": layers(share),
            "values": 5000, "nonzero": 5000 - (3072.0 * share) as usize, "seconds": 9.0, "memory": 124_000_000})
    };
    let steps = |name: &'static str, distill: bool| {
        (0..8).map(move |step| {
            let loss = 2.0 - 0.2 * step as f64;
            let mut line = serde_json::json!({"event": "step", "stage": name, "step": step, "epoch": step as f64 / 4.0,
                "loss": loss, "task_loss": loss, "lr": 1e-3, "gradient_norm": 1.0, "seconds": 0.25});
            if distill {
                line["distill_loss"] = (loss / 2.0).into();
            }
            line
        })
    };
    lines.push(stage("dense", false, 8));
    lines.extend(steps("dense", false));
    lines.extend([measured("dense", 4, 60.0), measured("dense", 8, 80.0), finished("dense", 0.0)]);
    lines.extend([stage("at_once", true, 0), pruned("at_once", 0, "0 epochs", 0.75)]);
    lines.extend([measured("at_once", 0, 40.0), finished("at_once", 0.75)]);
    lines.push(stage("gradual", false, 8));
    for (step, at, share) in [(0, "0 epochs", 0.25), (2, "0.5 epochs", 0.5), (4, "1 epoch", 0.75)] {
        lines.push(pruned("gradual", step, at, share));
    }
    lines.extend(steps("gradual", true));
    lines.extend([measured("gradual", 8, 78.5), finished("gradual", 0.75)]);
    lines.push(serde_json::json!({"event": "run_finished", "seconds": 20.5, "memory": 125_000_000}));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A folder with a run of this log in `name`.
fn run(folder: &Path, name: &str, log: &str) {
    run_of(folder, name, log, RECIPE);
}

fn run_of(folder: &Path, name: &str, log: &str, recipe_text: &str) {
    let run = folder.join(name);
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("run.jsonl"), log).unwrap();
    let recipe = folder.join("small.obert");
    std::fs::write(&recipe, recipe_text).unwrap();
    let planned = obertc(folder, &["plan", recipe.to_str().unwrap(), "--format", "ir"]);
    assert_eq!(planned.status.code(), Some(0), "{}", text(&planned.stderr));
    std::fs::write(run.join("schedule.json"), planned.stdout).unwrap();
}

/// The page of a run of this log, and what was complained about.
fn page(log: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", log);
    let output = obertc(folder.path(), &["report", "small"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "small/report.html\n");
    (std::fs::read_to_string(folder.path().join("small/report.html")).unwrap(), text(&output.stderr))
}

/// The elements of a page, each opened and closed in order. Panics where they are not.
fn elements(page: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut all = Vec::new();
    let body = page.strip_prefix("<!doctype html>\n").expect("a doctype");
    // Style is no markup.
    let body: String = body.split("<style>").flat_map(|p| p.rsplit("</style>").next()).collect();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("`{part}` does not end"));
        assert!(!text.contains('>'), "a bare `>` in `{text}`");
        for entity in text.split('&').chain(tag.split('&')).skip(1).filter(|_| text.contains('&')) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|e| entity.starts_with(e));
            assert!(known || !text.contains(&format!("&{entity}")), "a bare `&` before `{entity}`");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes something else");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if !tag.ends_with('/') {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert!(open.is_empty(), "{open:?} stay open");
    all
}

#[test]
fn the_page_is_one_file_that_fetches_nothing_and_holds_everything() {
    let (page, complaints) = page(&log());
    assert_eq!(complaints, "");
    let elements = elements(&page);
    for foreign in ["script", "iframe", "img", "object", "embed", "audio", "video", "form"] {
        assert!(!elements.iter().any(|e| e == foreign), "<{foreign}>");
    }
    // The name of SVG is the one address; nobody fetches it.
    let addresses = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for foreign in ["http:", "https:", "//", "url(", "@import", "src="] {
        assert!(!addresses.contains(foreign), "{foreign}");
    }
    for id in ["models", "size", "schedule", "curves", "layers", "events", "recipe", "reproduce"] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "no section {id}");
    }
    for title in ["Loss", "Sparsity", "Metrics on the dev set", "Learning rate", "Gradient norm"] {
        assert!(page.contains(&format!("aria-label=\"{title}\"")), "no chart {title}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("name=\"viewport\""));
    assert!(page.contains("## A small &lt;run&gt; &amp; its &quot;marks&quot;."), "the recipe word for word");
    assert!(page.contains("obertc run &#39;small run.obert&#39; --set target=75%"), "the command");
    assert!(page.contains("2026-11-23 02:54 UTC") && page.contains("burn 0.22.1"));
}

#[test]
fn the_page_of_a_small_run_reads_as_recorded() {
    let (page, _) = page(&log());
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    insta::assert_snapshot!("report_of_a_small_run", format!("{head}{body}"));
}

#[test]
fn the_card_of_a_small_run_reads_as_recorded() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", &log());
    let (record, warnings) = report::read(&folder.path().join("small")).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let card = report::card(&record);
    insta::assert_snapshot!("card_of_a_small_run", card);
    // Hugging Face reads what stands between the two lines as YAML.
    let front: serde_yaml::Value = serde_yaml::from_str(card.split("---\n").nth(1).unwrap()).unwrap();
    assert_eq!(front["pipeline_tag"], "question-answering");
    assert_eq!(front["tags"][1], "pruning");
}

#[test]
fn the_cards_front_matter_names_what_came_from_the_hub_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", &log());
    let (mut record, _) = report::read(&folder.path().join("small")).unwrap();
    let schedule = record.schedule.as_mut().unwrap();
    schedule.data = obert::internals::schedule::ir::Data::Squad {
        max_length: 384,
        doc_stride: 128,
        max_answer_length: 30,
    };
    schedule.model = obert::internals::schedule::ir::Model::Named("bert-base-uncased".into());
    let front = |record: &report::record::Record| -> serde_yaml::Value {
        serde_yaml::from_str(report::card(record).split("---\n").nth(1).unwrap()).unwrap()
    };
    let with = |record: &report::record::Record, words: &[&str]| {
        let mut record = record.clone();
        let environment = record.environment.as_mut().unwrap();
        environment.command.extend(words.iter().map(|w| (*w).to_owned()));
        record
    };
    // A folder of files in SQuAD's format is not SQuAD.
    let local = front(&with(&record, &["--data", "data/squad"]));
    assert_eq!(local["base_model"], "bert-base-uncased");
    assert!(local.get("datasets").is_none() && local.get("model-index").is_none(), "{local:?}");
    assert_eq!(local["metrics"], serde_yaml::from_str::<serde_yaml::Value>("[exact_match, f1]").unwrap());

    let cached = with(&record, &["--data", "/hub/datasets--rajpurkar--squad/snapshots/7b6d/plain_text"]);
    let whole = front(&cached);
    assert_eq!(whole["datasets"][0], "rajpurkar/squad");
    let result = &whole["model-index"][0]["results"][0];
    assert_eq!(result["dataset"]["type"], "rajpurkar/squad");
    assert_eq!(
        (&result["metrics"][0]["type"], &result["metrics"][1]["value"]),
        (&"exact_match".into(), &78.5.into())
    );
    // Of a part of the data it is no result.
    assert!(front(&with(&cached, &["--limit-examples", "100"])).get("model-index").is_none());
    // `--model` takes the place of the recipe's model; a folder of this machine is no model of the hub.
    assert_eq!(front(&with(&record, &["--model", "roberta-base"]))["base_model"], "roberta-base");
    for words in [&["--model", "../models/mine"][..], &["--model=/tmp/bert-base-uncased"]] {
        let other = with(&record, words);
        assert!(front(&other).get("base_model").is_none());
        assert!(report::card(&other).contains("Base model: a local model. Produced by obert"));
    }
}

#[test]
fn the_front_matter_follows_the_rules_of_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", &log().replace("\"em\":", "\"loss\":"));
    let (mut record, _) = report::read(&folder.path().join("small")).unwrap();
    use obert::internals::schedule::ir::Data;
    let cases = [
        (Data::Squad { max_length: 384, doc_stride: 128, max_answer_length: 30 }, Some("question-answering")),
        (Data::Mnli { max_length: 128 }, Some("text-classification")),
        (Data::MaskedText { max_length: 128 }, Some("fill-mask")),
        (Data::Own, None),
    ];
    for (data, pipeline) in cases {
        record.schedule.as_mut().unwrap().data = data;
        let card = report::card(&record);
        let front: serde_yaml::Value = serde_yaml::from_str(card.split("---\n").nth(1).unwrap()).unwrap();
        // https://github.com/huggingface/hub-docs/blob/main/modelcard.md
        let known =
            ["library_name", "pipeline_tag", "base_model", "datasets", "metrics", "tags", "model-index"];
        for (key, value) in front.as_mapping().unwrap() {
            assert!(known.contains(&key.as_str().unwrap()), "{key:?}");
            assert!(!value.is_null(), "{key:?} is empty");
        }
        assert_eq!(front.get("pipeline_tag").and_then(|p| p.as_str()), pipeline);
        // `loss` is no metric of the hub.
        assert_eq!(front["metrics"], serde_yaml::from_str::<serde_yaml::Value>("[f1]").unwrap());
    }
}

#[test]
fn the_dense_metrics_are_those_of_a_branch_from_start_where_no_stage_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = RECIPE.replace("at_once from dense", "dense_too from start").replace(
        "{ prune encoder_linears { by: magnitude, sparsity: target } }\n  stage gradual",
        "{}\n  stage gradual",
    );
    let lines: Vec<String> = log()
        .lines()
        .filter(|line| !line.contains("\"stage\":\"dense\"") || !line.contains("\"event\":\"evaluated\""))
        .filter(|line| !(line.contains("\"at_once\"") && line.contains("\"event\":\"pruned\"")))
        .map(|line| line.replace("at_once", "dense_too"))
        .collect();
    run_of(folder.path(), "small", &(lines.join("\n") + "\n"), &recipe);
    let (mut record, _) = report::read(&folder.path().join("small")).unwrap();
    assert_eq!(record.dense().and_then(|e| e.metric("f1")), Some(40.0));
    assert!(report::card(&record).contains("| F1 | 40.0 | 78.5 |"), "{}", report::card(&record));
    let page = report::render(&record);
    assert!(page.contains("dense 40.0") && !page.contains("was not evaluated"));
    // A branch that prunes is not dense.
    let branch = record.stages.iter_mut().find(|s| s.name == "dense_too").unwrap();
    branch.prunes.push(Default::default());
    assert!(record.dense().is_none());
    assert!(report::render(&record).contains("The dense model was not evaluated"));
}

#[test]
fn a_log_is_read_however_it_was_cut_and_whatever_others_add_to_it() {
    let whole = log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    // Killed at any moment: a line is there or not, and half a line is no mistake.
    let first = whole.find('\n').unwrap() + 1;
    let last = whole.trim_end().rfind('\n').unwrap();
    for at in (first..last).step_by(61) {
        std::fs::write(&path, &whole.as_bytes()[..at]).unwrap();
        let (record, warnings) = report::read(folder.path()).unwrap();
        assert!(warnings.is_empty(), "cut at {at}: {warnings:?}");
        let page = report::render(&record);
        elements(&page);
        assert!(page.contains("state unfinished"), "cut at {at}");
    }
    // Unknown events and fields of later versions are passed over, fields of earlier ones may be missing.
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    lines.insert(3, "{\"event\":\"checkpoint\",\"path\":\"x\"}".into());
    lines[4] = lines[4].replace("\"step\":0", "\"step\":0,\"temperature\":21.5");
    lines[5] = "{\"event\":\"step\",\"stage\":\"dense\",\"step\":1,\"loss\":null}".into();
    let (other, complaints) = page(&(lines.join("\n") + "\n"));
    assert_eq!(complaints, "");
    assert!(other.contains("state finished"));
}

#[test]
fn damage_is_told_and_the_rest_is_read() {
    let whole = log();
    let mut lines: Vec<&str> = whole.lines().collect();
    lines[5] = "{\"event\":\"step\",\"sta";
    let (damaged, complaints) = page(&(lines.join("\n") + "\n"));
    assert!(complaints.contains("OB0942") && complaints.contains("line 6 cannot be read"), "{complaints}");
    assert!(damaged.contains("state finished"));
    let newer = whole.replace("\"format\":1", "\"format\":9");
    assert!(page(&newer).1.contains("format 9"), "a newer log is read as far as it goes");

    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", &whole);
    std::fs::write(folder.path().join("small/schedule.json"), "{\"format\": 1}").unwrap();
    let output = obertc(folder.path(), &["report", "small", "--out", "-"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("schedule.json` is left out"), "{}", text(&output.stderr));
    let page = text(&output.stdout);
    elements(&page);
    assert!(page.contains("id=\"curves\"") && !page.contains("id=\"schedule\""));
}

#[test]
fn what_a_model_takes_in_each_format_stands_on_the_page_and_broken_sizes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "small", &log());
    let sizes = folder.path().join("small/sizes.json");
    let size = |bytes: u64| serde_json::json!({"bytes": bytes, "encoder_bytes": bytes / 2});
    let engine =
        serde_json::json!({"as": "engine", "name": "small.packed", "bytes": 8_000_000, "encoder_bytes": 1});
    let document = serde_json::json!({"format": "obert.sizes", "version": 1, "dense": size(90_000_000),
        "counted": size(30_000_000), "files": [engine]});
    std::fs::write(&sizes, document.to_string()).unwrap();
    let report = || obertc(folder.path(), &["report", "small", "--out", "-"]);
    let page = text(&report().stdout);
    elements(&page);
    for row in ["Size with a bitmask", "30.0 MB (3.0x)", "Size as engine", "8.0 MB (11.2x)", "90.0 MB"] {
        assert!(page.contains(row), "{row} is missing");
    }
    // What is not smaller than dense is not told.
    let mut larger = document.clone();
    larger["counted"] = size(90_000_000);
    std::fs::write(&sizes, larger.to_string()).unwrap();
    assert!(!text(&report().stdout).contains("with a bitmask"));
    for (broken, why) in
        [("{", "EOF"), (&document.to_string().replace("\"version\":1", "\"version\":7"), "version 7")]
    {
        std::fs::write(&sizes, broken).unwrap();
        let output = report();
        assert_eq!(output.status.code(), Some(0));
        let complaint = text(&output.stderr);
        assert!(complaint.contains("OB0942") && complaint.contains(why), "{complaint}");
        assert!(!text(&output.stdout).contains("Size as"), "{complaint}");
    }
}

#[test]
fn a_folder_without_a_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |name: &str, code: Code, part: &str| {
        let output = obertc(folder.path(), &["report", name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let complaint = text(&output.stderr);
        assert!(complaint.starts_with(&code.to_string()) && complaint.contains(part), "{complaint}");
    };
    fails("nowhere", Code::RunNotFound, "there is no such folder");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    fails("empty", Code::RunNotFound, "it has no run.jsonl");
    for (name, log) in
        [("blank", ""), ("foreign", "{\"level\":\"info\"}\n"), ("binary", "\u{0}\u{1}\u{fffd}\n")]
    {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("run.jsonl"), log).unwrap();
        fails(name, Code::RunLogNotReadable, "no line of it is an event");
    }
    assert_eq!(obertc(folder.path(), &["report"]).status.code(), Some(2), "a folder is needed");
}

#[test]
fn several_runs_stand_side_by_side_with_what_was_planned_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "one", &log());
    run(folder.path(), "two", &log().replace("\"seed\":42", "\"seed\":43"));
    let planned = folder.path().join("two/schedule.json");
    let other = std::fs::read_to_string(&planned).unwrap().replace("\"hardness\": 0.5", "\"hardness\": 0.25");
    std::fs::write(&planned, other).unwrap();
    let output = obertc(folder.path(), &["report", "one", "two", "--out", "both.html"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("both.html")).unwrap();
    elements(&page);
    assert!(page.contains(">one</th>") && page.contains(">two</th>"), "a row each");
    assert!(page.contains("<del>-") && page.contains("<ins>+") && page.contains("hardness 0.25"));
    assert!(page.contains("aria-label=\"F1 on the dev set\""));

    let output = obertc(folder.path(), &["report", "one", "two", "--format", "json"]);
    let records: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&records[0]["started"]["seed"], &records[1]["started"]["seed"]), (&42.into(), &43.into()));
    assert_eq!(records[0]["stages"][2]["prunes"].as_array().unwrap().len(), 3);
}
