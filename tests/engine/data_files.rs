//! Data files as users have them: what is read, what is refused and by which name, and what is said of the
//! rest. Each case is a whole evaluation or run of the command.

use std::path::PathBuf;
use std::process::Output;
use std::sync::LazyLock;

use obert::internals::task::data::builtin;
use serde_json::{Value, json};

use super::tasks::{Workshop, obertc, stderr, stdout};

/// A model without a head, a classifier of NEGATIVE and POSITIVE, and one that answers questions.
static SHOP: LazyLock<Workshop> = LazyLock::new(|| {
    let shop = Workshop::new();
    write(
        &shop,
        "named",
        &[("train.csv", &table(&["NEGATIVE", "POSITIVE"])), ("dev.csv", &table(&["NEGATIVE", "POSITIVE"]))],
    );
    let start = path(&shop, "start");
    let classifier = recipe("classify(text: \"text\", max_length: 32)");
    shop.succeeds(
        "classifier",
        1,
        &classifier,
        &["--model", &start, "--data", &path(&shop, "named"), "--limit-steps", "1"],
    );
    shop.write_questions("questions");
    let reader = recipe("squad(max_length: 96, doc_stride: 16)");
    shop.succeeds(
        "reader",
        1,
        &reader,
        &["--model", &start, "--data", &path(&shop, "questions"), "--limit-steps", "1"],
    );
    shop
});

fn path(shop: &Workshop, name: &str) -> String {
    shop.path(name).to_str().unwrap().to_owned()
}

fn write(shop: &Workshop, folder: &str, files: &[(&str, &str)]) {
    let folder = shop.path(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// A CSV of ten texts with these labels in turn.
fn table(labels: &[&str]) -> String {
    let rows = (0..10).map(|i| format!("this film is number {i},{}\n", labels[i % labels.len()]));
    format!("text,label\n{}", rows.collect::<String>())
}

fn recipe(data: &str) -> String {
    format!("  model: \"elsewhere\"\n  data: {data}\n  batch: 8\n  lr {{ 0..1 epochs: 1e-3 }}")
}

/// A folder of its own for a case.
fn case(name: &str, files: &[(&str, &str)]) -> PathBuf {
    write(&SHOP, name, files);
    SHOP.path(name)
}

/// Evaluates a model on a folder or file.
fn eval(model: &str, data: &str, more: &[&str]) -> Output {
    let (model, data) = (path(&SHOP, model), path(&SHOP, data));
    obertc(&[&["eval", &model, "--data", &data, "--format", "json"], more].concat())
}

const LABELS: &[&str] = &["--task", "classify", "--text", "text", "--max-seq-len", "32"];
const QUESTIONS: &[&str] = &["--max-seq-len", "96", "--doc-stride", "16"];

fn metrics(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

/// What an evaluation says on its standard error when it is refused.
fn refused(output: &Output, code: &str, expected: &[&str]) {
    let said = stderr(output);
    let plain = said.split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(code) && said.contains("help"), "no {code}:\n{said}");
    for text in expected {
        assert!(plain.contains(text), "no {text}:\n{said}");
    }
}

fn with_labels(more: &[&'static str]) -> Vec<&'static str> {
    [LABELS, more].concat()
}

#[test]
fn a_folder_a_file_and_a_test_split_are_evaluated() {
    let sizes = [("train.csv", 2), ("dev.csv", 4), ("test.csv", 6)];
    let files = sizes.map(|(name, n)| {
        (name, table(&["NEGATIVE", "POSITIVE"]).lines().take(n + 1).collect::<Vec<_>>().join("\n"))
    });
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
    case("splits", &files);
    let examples = |data: &str, more: &[&str]| metrics(&eval("classifier", data, more))["examples"].clone();
    assert_eq!(examples("splits", LABELS), 4);
    assert_eq!(examples("splits", &with_labels(&["--split", "test"])), 6);
    assert_eq!(examples("splits", &with_labels(&["--split", "train"])), 2);
    assert_eq!(examples("splits/test.csv", LABELS), 6);
    case("only_test", &[("test.csv", &table(&["NEGATIVE", "POSITIVE"]))]);
    refused(&eval("classifier", "only_test", LABELS), "OB0907", &["it holds test.csv", "--split test"]);
    case("several", &[("dev.csv", "text,label\nx,NEGATIVE\n"), ("dev_old.csv", "text,label\nx,NEGATIVE\n")]);
    refused(&eval("classifier", "several", LABELS), "OB0932", &["`dev.csv`, `dev_old.csv`"]);
    refused(&eval("classifier", "nowhere", LABELS), "OB0907", &["does not exist"]);
}

#[test]
fn a_run_trains_on_one_file_and_evaluates_on_another_that_must_be_named() {
    let data = table(&["NEGATIVE", "POSITIVE"]);
    case("pair", &[("first.csv", &data), ("dev.csv", &data)]);
    let statements = recipe("classify(text: \"text\", max_length: 32)");
    let (start, first, dev) =
        (path(&SHOP, "start"), path(&SHOP, "pair/first.csv"), path(&SHOP, "pair/dev.csv"));
    let output = SHOP.run("one_file", 1, &statements, &["--model", &start, "--data", &first]);
    refused(&output, "OB0907", &["nothing to evaluate on", "--dev"]);
    let flags = ["--model", &start, "--data", &first, "--dev", &dev, "--limit-steps", "1"];
    SHOP.succeeds("two_files", 1, &statements, &flags);
}

#[test]
fn tables_of_pandas_excel_and_glue_are_read_alike() {
    let quoted = "text\tlabel\n\"he said \"\"this\"\" today\"\tNEGATIVE\nplain\tPOSITIVE\n";
    let lines = "text\tlabel\n\"this film\nsecond line\"\tNEGATIVE\nplain\tPOSITIVE\n";
    let glue = "text\tlabel\n\"No,\" he said\tNEGATIVE\nan \"open quote\tPOSITIVE\n";
    let bare = "text,label\n5\" pipe,NEGATIVE\n\"a, b\",POSITIVE\n";
    let spaces = "\u{feff}text, label\r\nthis film, NEGATIVE\r\n\r\nthat film, POSITIVE\r\n";
    let objects = "{\"text\": \"x\", \"label\": \"NEGATIVE\"}\n{\"label\": \"POSITIVE\", \"text\": \"y\"}\n";
    let list = "[{\"text\": \"x\", \"label\": \"NEGATIVE\"}, {\"text\": \"y\", \"label\": \"POSITIVE\"}]";
    let cases = [
        ("dev.tsv", quoted),
        ("dev.tsv", lines),
        ("dev.tsv", glue),
        ("dev.csv", bare),
        ("dev.csv", spaces),
        ("dev.jsonl", objects),
        ("dev.json", objects),
        ("dev.json", list),
    ];
    for (i, (name, text)) in cases.into_iter().enumerate() {
        let folder = format!("read{i}");
        case(&folder, &[(name, text)]);
        assert_eq!(metrics(&eval("classifier", &folder, LABELS))["examples"], 2, "{text}");
    }
}

#[test]
fn a_malformed_row_is_shown_with_its_line_and_column() {
    let place = |data: &str| format!("{}:", path(&SHOP, data));
    case("open", &[("dev.csv", "text,label\nx,NEGATIVE\ny,\"POSITIVE\nz,NEGATIVE\n")]);
    refused(
        &eval("classifier", "open", LABELS),
        "OB0908",
        &["does not end", &format!("{}3:3", place("open/dev.csv"))],
    );
    case("cells", &[("dev.csv", "text,label\nx,NEGATIVE\ny, z,POSITIVE\n")]);
    let cells = ["line 3", "3 cells in place of 2", "--skip-bad", &format!("{}3:1", place("cells/dev.csv"))];
    refused(&eval("classifier", "cells", LABELS), "OB0931", &cells);
    let skipping = eval("classifier", "cells", &with_labels(&["--skip-bad"]));
    assert_eq!(metrics(&skipping)["examples"], 1);
    assert!(stderr(&skipping).contains("line 3"), "{}", stderr(&skipping));
    case(
        "keys",
        &[(
            "dev.jsonl",
            "{\"text\": \"x\", \"label\": \"NEGATIVE\"}\n{\"txt\": \"y\", \"label\": \"POSITIVE\"}\n",
        )],
    );
    refused(
        &eval("classifier", "keys", LABELS),
        "OB0924",
        &["line 2", "did you mean `txt`?", &format!("{}2:1", place("keys/dev.jsonl"))],
    );
    case("column", &[("dev.csv", "sentence,label\nx,NEGATIVE\n")]);
    refused(&eval("classifier", "column", LABELS), "OB0924", &["no column `text`", "sentence, label"]);
    case("twice", &[("dev.csv", "text,label,label\nx,a,NEGATIVE\n")]);
    refused(&eval("classifier", "twice", LABELS), "OB0933", &["2 columns called `label`"]);
    case("semicolons", &[("dev.csv", "text;label\nx;NEGATIVE\n")]);
    refused(&eval("classifier", "semicolons", LABELS), "OB0924", &["semicolons"]);
    case("empty", &[("dev.csv", "\n")]);
    refused(&eval("classifier", "empty", LABELS), "OB0909", &["is empty"]);
    let folder = case("latin", &[]);
    std::fs::write(folder.join("dev.csv"), b"text,label\ncaf\xE9,NEGATIVE\n").unwrap();
    refused(&eval("classifier", "latin", LABELS), "OB0908", &["line 2 is not UTF-8, from column 4"]);
}

#[test]
fn numbers_are_those_of_a_classifiers_outputs_and_other_names_can_be_listed() {
    case("lab_01", &[("dev.csv", &table(&["0", "1"]))]);
    let output = eval("classifier", "lab_01", LABELS);
    let by_number = metrics(&output);
    assert!(stderr(&output).contains("0 is NEGATIVE, 1 is POSITIVE"), "{}", stderr(&output));
    assert_eq!(by_number["accuracy"], metrics(&eval("classifier", "named", LABELS))["accuracy"]);
    case("lab_pn", &[("dev.csv", &table(&["neg", "pos"]))]);
    refused(
        &eval("classifier", "lab_pn", LABELS),
        "OB0926",
        &["NEGATIVE, POSITIVE", "neg, pos", "--labels neg,pos"],
    );
    let named = metrics(&eval("classifier", "lab_pn", &with_labels(&["--labels", "neg,pos"])));
    assert_eq!(named["accuracy"], by_number["accuracy"]);
    let turned = metrics(&eval("classifier", "lab_pn", &with_labels(&["--labels", "pos,neg"])));
    assert_eq!(turned["accuracy"].as_f64().unwrap() + named["accuracy"].as_f64().unwrap(), 100.0);
    // Training goes on with the model's own names.
    case("lab_01", &[("train.csv", &table(&["0", "1"]))]);
    let statements = recipe("classify(text: \"text\", max_length: 32)");
    let flags =
        ["--model", &path(&SHOP, "classifier"), "--data", &path(&SHOP, "lab_01"), "--limit-steps", "1"];
    SHOP.succeeds("numbered", 1, &statements, &flags);
    let config: Value =
        serde_json::from_slice(&std::fs::read(SHOP.path("numbered/config.json")).unwrap()).unwrap();
    assert_eq!(config["id2label"], json!({"0": "NEGATIVE", "1": "POSITIVE"}));
}

#[test]
fn data_of_other_tasks_and_hidden_labels_are_refused_by_name() {
    let refused_as = |name: &str, file: &str, text: &str, more: &[&str], code: &str, expected: &[&str]| {
        case(name, &[(file, text)]);
        refused(&eval("classifier", name, more), code, expected);
    };
    let multi = "{\"text\": \"x\", \"label\": [\"neg\", \"long\"]}\n";
    refused_as("multi", "dev.jsonl", multi, LABELS, "OB0928", &["multi-label classification"]);
    let ner = "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\", \"B\"]}\n";
    let tags = ["--task", "classify", "--text", "tokens", "--label", "ner_tags", "--max-seq-len", "32"];
    refused_as("ner", "dev.jsonl", ner, &tags, "OB0928", &["token classification"]);
    let sts = "text,second,score\na,b,0.0\nc,d,0.9\n";
    let score = [
        "--task",
        "classify",
        "--text",
        "text",
        "--pair",
        "second",
        "--label",
        "score",
        "--max-seq-len",
        "32",
    ];
    refused_as("sts", "dev.csv", sts, &score, "OB0927", &["real numbers such as 0.0", "regression"]);
    let float = "text,label\na,0.0\nb,1.0\n";
    refused_as("float", "dev.csv", float, LABELS, "OB0927", &["labels: [\"0.0\", \"1.0\"]"]);
    assert_eq!(metrics(&eval("classifier", "float", &with_labels(&["--labels", "0.0,1.0"])))["examples"], 2);
    let hidden = format!("{}unlabelled,-1\n", table(&["0", "1"]));
    refused_as("neg1", "dev.csv", &hidden, LABELS, "OB0931", &["line 12", "hidden label", "--skip-bad"]);
    assert_eq!(metrics(&eval("classifier", "neg1", &with_labels(&["--skip-bad"])))["examples"], 10);
    let all = table(&["-1"]);
    refused_as("all", "dev.csv", &all, LABELS, "OB0909", &["hidden", "--split dev"]);
}

#[test]
fn the_positive_class_is_said_and_can_be_chosen_and_each_class_has_its_f1() {
    let labels = ["fraud", "legit", "legit", "legit", "legit", "legit", "legit", "legit", "legit", "legit"];
    case("imbal", &[("train.csv", &table(&labels)), ("dev.csv", &table(&labels))]);
    let statements = recipe("classify(text: \"text\", max_length: 32)");
    let flags = ["--model", &path(&SHOP, "start"), "--data", &path(&SHOP, "imbal"), "--limit-steps", "1"];
    SHOP.succeeds("imbalanced", 1, &statements, &flags);
    // Without what the run saved about its data.
    for saved in ["obert.json", "schedule.json"] {
        std::fs::remove_file(SHOP.path("imbalanced").join(saved)).unwrap();
    }
    let output = eval("imbalanced", "imbal", LABELS);
    let by_default = metrics(&output);
    assert!(stderr(&output).contains("F1 is that of `legit`"), "{}", stderr(&output));
    let output = eval("imbalanced", "imbal", &with_labels(&["--positive", "fraud"]));
    let chosen = metrics(&output);
    assert!(!stderr(&output).contains("F1 is that of"), "{}", stderr(&output));
    assert_eq!((&by_default["f1"], &chosen["f1"]), (&by_default["f1_legit"], &by_default["f1_fraud"]));
    let mean = (by_default["f1_fraud"].as_f64().unwrap() + by_default["f1_legit"].as_f64().unwrap()) / 2.0;
    assert!((by_default["macro_f1"].as_f64().unwrap() - mean).abs() < 1e-9);
    refused(
        &eval("imbalanced", "imbal", &with_labels(&["--positive", "fruad"])),
        "OB0925",
        &["did you mean `fraud`?"],
    );
    let statements = recipe("classify(text: \"text\", positive: \"fraud\", max_length: 32)");
    SHOP.succeeds("of_fraud", 1, &statements, &flags);
    let own = metrics(&eval("of_fraud", "imbal", &[]));
    assert_eq!(own["f1"], own["f1_fraud"], "the recipe's choice is the model's");
}

/// Questions as flat rows, with where their answers begin.
fn flat() -> Vec<Value> {
    let split = builtin::generate(8, 8, 6);
    let row = |(i, q): (usize, &obert::internals::task::data::squad::Question)| {
        let answer = &q.answers[0];
        let start = q.context[..answer.start].chars().count();
        json!({"id": format!("q{i}"), "title": "t", "context": &*q.context, "question": q.question,
            "answers": {"text": [answer.text], "answer_start": [start]}})
    };
    split.dev.iter().enumerate().map(row).collect()
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[test]
fn squad_is_read_from_flat_rows_and_answers_are_found_where_they_are() {
    let rows = flat();
    case("flat", &[("dev.json", &json!({"version": "1", "data": rows}).to_string())]);
    case("lines", &[("dev.jsonl", &lines(&rows))]);
    let expected = metrics(&eval("reader", "flat", QUESTIONS));
    assert_eq!(expected["questions"], 8);
    assert_eq!(metrics(&eval("reader", "lines", QUESTIONS)), expected);
    let mut moved = rows.clone();
    moved[1]["answers"]["answer_start"][0] = 9999.into();
    case("moved", &[("dev.jsonl", &lines(&moved)), ("train.jsonl", &lines(&moved))]);
    let output = eval("reader", "moved", QUESTIONS);
    assert_eq!(metrics(&output), expected);
    assert!(
        stderr(&output).contains("1 question of") && stderr(&output).contains("`q1`"),
        "{}",
        stderr(&output)
    );
    let mut lost = rows.clone();
    lost[2]["answers"]["text"][0] = "no such words".into();
    case("lost", &[("train.jsonl", &lines(&lost)), ("dev.jsonl", &lines(&rows))]);
    let statements = recipe("squad(max_length: 96, doc_stride: 16)");
    let (start, lost) = (path(&SHOP, "start"), path(&SHOP, "lost"));
    let flags = ["--model", &start, "--data", &lost];
    refused(&SHOP.run("lost_run", 1, &statements, &flags), "OB0931", &["question `q2`", "--skip-bad"]);
    let output =
        SHOP.run("lost_run", 1, &statements, &[&flags[..], &["--skip-bad", "--limit-steps", "1"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn questions_without_any_answer_or_too_long_for_a_window_are_refused_with_a_help_that_works() {
    let mut rows = flat();
    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("answers")));
    case("no_answers", &[("dev.jsonl", &lines(&rows))]);
    for task in ["squad", "squad-v2"] {
        let more = [&["--task", task], QUESTIONS].concat();
        refused(
            &eval("reader", "no_answers", &more),
            "OB0909",
            &["has an answer", "nothing could be evaluated"],
        );
    }
    let mut rows = flat();
    rows[3]["question"] = format!("Who {}?", "is the one ".repeat(28)).into();
    rows[3]["context"] =
        format!("{} {}", rows[3]["context"].as_str().unwrap(), "and more of it ".repeat(40)).into();
    case("long_question", &[("dev.jsonl", &lines(&rows))]);
    let output = eval("reader", "long_question", QUESTIONS);
    refused(&output, "OB0931", &["question `q3`", "--skip-bad"]);
    let said = stderr(&output).split_whitespace().collect::<Vec<_>>().join(" ").replace("│ ", "");
    let flags =
        said.split("`--max-length ").nth(1).and_then(|rest| rest.split('`').next()).unwrap().to_owned();
    let flags: Vec<String> = format!("--max-length {flags}").split(' ').map(str::to_owned).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_eq!(metrics(&eval("reader", "long_question", &flags))["questions"], 8);
    let skipping = eval("reader", "long_question", &[QUESTIONS, &["--skip-bad"]].concat());
    assert_eq!(metrics(&skipping)["questions"], 7);
    assert!(stderr(&skipping).contains("1 of 8 questions"), "{}", stderr(&skipping));
}

#[test]
fn answers_longer_than_the_limit_are_counted_and_the_limit_can_be_raised() {
    let mut rows = flat();
    let words: Vec<String> = (0..40).map(|i| format!("w{i}")).collect();
    rows[0]["context"] = format!("It was {} .", words.join(" ")).into();
    rows[0]["answers"] = json!({"text": [words.join(" ")], "answer_start": [7]});
    case("long_answer", &[("dev.jsonl", &lines(&rows))]);
    let long = ["--max-seq-len", "256", "--doc-stride", "16"];
    let output = eval("reader", "long_answer", &long);
    metrics(&output);
    let said = stderr(&output);
    assert!(said.contains("1 of 8 dev answers has more than 30 tokens"), "{said}");
    let needed = said.split("--max-answer-length ").nth(1).and_then(|s| s.split('`').next()).unwrap();
    let output = eval("reader", "long_answer", &[&long[..], &["--max-answer-length", needed]].concat());
    metrics(&output);
    assert!(!stderr(&output).contains("dev answers"), "{}", stderr(&output));
    // No window of 48 tokens holds it whole.
    let output = eval("reader", "long_answer", &["--max-seq-len", "48", "--doc-stride", "8"]);
    assert!(stderr(&output).contains("not contained whole in any window"), "{}", stderr(&output));
}
