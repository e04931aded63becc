//! Completion at a place marked by `|` in a text that is being typed.

use obert::internals::lsp::completion::complete;
use obert::internals::lsp::completion_item::Item;
use obert::internals::lsp::position::Encoding;
use obert::internals::lsp::snapshot::Snapshot;
use serde_json::{Value, json};

use super::client::{Client, edited, place, plain};

fn items(marked: &str) -> Vec<Item> {
    let at = marked.find('|').expect("a cursor");
    let text = marked.replacen('|', "", 1);
    complete(&Snapshot::of_text("/r.obert", &text, Encoding::Utf16), at)
}

fn labels(marked: &str) -> Vec<String> {
    items(marked).into_iter().map(|item| item.label).collect()
}

/// A recipe with this line in it.
fn within(line: &str) -> String {
    format!(
        "edition 2026
use std.bert.{{encoder_linears}}
use std.obert.{{gradual}}
param target: ratio = 80%
param length: duration = 3 epochs
let heads = params(\"qa_outputs.*\")
template tune {{
  param peak: rate = 5e-5
}}
recipe r {{
  model: \"bert-base-uncased\"
  data: squad
  stage dense for 3 epochs {{
    lr {{ 0..3 epochs: 5e-5 -> 0 linear }}
  }}
  stage sparse for 3 epochs {{
    {line}
  }}
}}
"
    )
}

#[track_caller]
fn has(marked: &str, expected: &[&str], missing: &[&str]) {
    let labels = labels(marked);
    for label in expected {
        assert!(labels.iter().any(|l| l == label), "{label} at\n{marked}\n{labels:?}");
    }
    for label in missing {
        assert!(!labels.iter().any(|l| l == label), "{label} at\n{marked}\n{labels:?}");
    }
}

#[test]
fn statements_are_those_that_are_allowed_in_the_block() {
    has("|", &["recipe", "template", "use", "param", "let", "edition"], &["prune", "model"]);
    has("edition 2026\nre|", &["recipe"], &["lr"]);
    has("edition |", &["2026"], &["recipe"]);
    has(
        "recipe r for 3 epochs {\n  |\n}",
        &["model", "data", "batch", "lr", "prune", "stage", "expect"],
        &["recipe", "use"],
    );
    has("recipe r for 3 epochs {\n  model: \"x\"\n  mo|\n  seed: 3\n}", &["data"], &["model", "seed"]);
    has(&within("|"), &["lr", "prune", "batch", "allow"], &["stage", "model", "expect"]);
    has("template t {\n  |", &["param", "prune"], &["stage", "model"]);
    has("# a comment |", &[], &["recipe"]);
    has("nonsense {\n  |\n}", &[], &["recipe", "lr"]);
}

#[test]
fn settings_of_a_block_have_their_types_and_defaults_and_come_once() {
    let text = within("prune heads { by: magnitude, |, rank: global }");
    has(&text, &["sparsity", "pattern", "at_most", "target"], &["by", "rank", "lr"]);
    let all = items(&text);
    let pattern = all.iter().find(|item| item.label == "pattern").unwrap();
    assert!(
        pattern.detail.contains("`blocks(…)`") && pattern.detail.ends_with("; default unstructured"),
        "{pattern:?}"
    );
    assert_eq!(
        (pattern.insert.as_str(), pattern.snippet.as_deref()),
        ("pattern: ", Some("pattern: ${1:unstructured}"))
    );
    assert_eq!(pattern.doc, "Which weights are pruned together.");
    let sparsity = all.iter().find(|item| item.label == "sparsity").unwrap();
    assert!(sparsity.detail.ends_with("; required"), "{sparsity:?}");
    has(&within("lr { | }"), &["factor", "0..2 epochs: 8e-5 -> 0 linear"], &["by"]);
    has("recipe r {\n  expect { | }\n}", &["f1", "em"], &["by"]);
    has(
        "use std.obert.gradual\nrecipe r extends gradual {\n  |\n}",
        &["target", "block", "peak", "model", "lr"],
        &[],
    );
}

#[test]
fn values_are_those_of_the_setting() {
    has(&within("prune heads { by: | }"), &["obs", "magnitude", "movement"], &["heads", "linear"]);
    has(&within("prune heads { pattern: blo|"), &["blocks", "n_of_m"], &["obs"]);
    has(&within("prune heads { sparsity: | }"), &["target"], &["heads", "length", "cubic"]);
    has(&within("prune heads { sparsity: 30% -> | }"), &["target"], &["cubic"]);
    has(
        &within("prune heads { sparsity: 30% -> target | }"),
        &["cubic", "polynomial"],
        &["target", "repeating"],
    );
    has(&within("lr { 0..3 epochs: 5e-5 -> 0 | }"), &["linear", "cosine", "repeating"], &[]);
    has(&within("quantize heads { attention: | }"), &["true", "false"], &["int8"]);
    has(
        &within("quantize heads { weights: int8(|) }"),
        &["zero", "per", "symmetric", "asymmetric"],
        &["int8"],
    );
    has(&within("quantize heads { weights: int8(per: |) }"), &["channel", "tensor"], &["symmetric"]);
    has(&within("prune heads { by: obs(|) }"), &["gradients", "damp", "update"], &["magnitude"]);
    has(
        &within("prune heads { by: obs(gradients: 64,\n update: |) }"),
        &["exact", "independent"],
        &["gradients"],
    );
    has(&within("prune heads { by: obs(gradients: 64, block: 3|"), &[], &["gradients", "exact"]);
    has("recipe r {\n  model: \"x\"\n  data: |\n}", &["squad", "builtin_reading", "classify"], &["obs"]);
    has("recipe r {\n  model: |\n}", &["bert", "\"bert-base-uncased\""], &["squad"]);
    has(
        "use std.obert.gradual\nrecipe r extends gradual {\n  pattern: |\n}",
        &["unstructured", "blocks"],
        &["squad"],
    );
    has(&within("allow |"), &["OB0701"], &["OB0101"]);
}

#[test]
fn operands_and_clauses_follow_a_verb() {
    has(&within("prune |"), &["encoder_linears", "heads", "params(\"…\")"], &["target", "over", "gradual"]);
    has(&within("prune heads |"), &["over", "every", "except", "expect"], &["target"]);
    has(&within("prune heads over 0..|"), &["length"], &["heads", "every"]);
    has(&within("prune heads over 0..3 |"), &["epochs", "steps", "every"], &["over"]);
    has(&within("prune heads over 10%..90% |"), &["of run", "every"], &[]);
    has(&within("prune heads over 0..3 epochs ev|"), &["every"], &["over"]);
    has(&within("prune [heads, |] "), &["encoder_linears", "heads"], &["over"]);
    has(&within("prune encoder_linears except |"), &["heads"], &["over"]);
    has(&within("distill from |"), &["teacher", "self", "dense", "sparse"], &["heads"]);
    has("recipe r {\n  stage a for 1 epoch { }\n  branch b from |\n}", &["start", "a"], &["teacher"]);
    has("use std.obert.gradual\nrecipe r extends |", &["gradual"], &["finetune", "r"]);
    has("use std.obert.gradual\nrecipe r extends gradual |", &["for"], &["extends"]);
    has("recipe |", &[], &["for", "recipe"]);
}

#[test]
fn imports_and_declarations_know_the_library_and_the_types() {
    has("use |", &["std.bert", "std.obert"], &["recipe"]);
    let all = items("use std.be|");
    let bert = all.iter().find(|item| item.label == "std.bert").unwrap();
    assert_eq!(bert.range, 4..10, "the whole path is replaced");
    has("use std.bert.{|}", &["encoder_linears", "embeddings"], &["gradual"]);
    has("use std.obert.{gradual, |", &["finetune", "transfer"], &["encoder_linears"]);
    has("use std.obert.|", &["gradual"], &["std.bert"]);
    has("param x: |", &["ratio", "duration", "params"], &["recipe"]);
    has("param x: pattern = |", &["unstructured", "n_of_m"], &["ratio"]);
    has("param |", &[], &["ratio"]);
    has("let x = params(\"a\")\nlet y = |", &["x", "params(\"…\")"], &["recipe"]);
    has("template t {\n  param peak: rate = 5e-5\n  lr { 0..3 epochs: |", &["peak"], &["linear"]);
}

#[test]
fn quotes_hold_parameters_models_and_files() {
    let query = "bert.encoder.layer.*.attention.self.query.weight";
    has(&within("hold params(\"|\")"), &[query, "qa_outputs.weight"], &["heads"]);
    has(&within("hold params(\"bert.encoder.|"), &[query], &[]);
    has("recipe r {\n  model: \"|\"\n}", &["bert-base-uncased"], &[]);
    has(&within("distill from dense { hidden: states(\"|\") }"), &["bert.encoder.layer.*"], &[]);
    let item =
        items(&within("hold params(\"bert.enc|oder\")")).into_iter().find(|i| i.label == query).unwrap();
    let text = within("hold params(\"bert.encoder\")");
    assert_eq!(&text[item.range], "bert.enc", "what is typed is replaced, dots included");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("parts.obert"), "let a = params(\"x\")\n").unwrap();
    let name = folder.path().join("r.obert");
    let complete_in = |text: &str| -> Vec<String> {
        let at = text.find('|').unwrap();
        let snapshot = Snapshot::of_text(name.to_str().unwrap(), &text.replacen('|', "", 1), Encoding::Utf16);
        complete(&snapshot, at).into_iter().map(|item| item.label).collect()
    };
    assert_eq!(complete_in("use \"|\""), ["parts.obert"]);
    assert!(complete_in("use |").contains(&"\"parts.obert\"".to_owned()));
    assert_eq!(complete_in("use \"parts.obert\".{|}"), ["a"]);
}

#[test]
fn nothing_is_offered_in_the_name_of_something_new_in_numbers_and_in_yaml() {
    for text in ["stage |", "recipe a|", "let x|", "template |"] {
        assert_eq!(labels(text), [""; 0], "{text}");
    }
    assert_eq!(labels(&within("prune heads over 1|")), [""; 0]);
    let snapshot = Snapshot::of_text("/r.yaml", "modifiers:\n  - !EpochRangeModifier\n    ", Encoding::Utf16);
    assert_eq!(complete(&snapshot, snapshot.text().len()), []);
}

#[test]
fn what_is_inserted_with_its_defaults_is_read_again() {
    let plain_snippet = |snippet: &str| -> String {
        let mut out = String::new();
        let mut rest = snippet;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(inner) = rest.strip_prefix('{') {
                let end = inner.find('}').unwrap();
                out.push_str(inner[..end].split_once(':').map_or("", |(_, text)| text));
                rest = &inner[end + 1..];
            } else {
                rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            }
        }
        out + rest
    };
    let mut tried = 0;
    let text = within("|");
    for item in items(&text) {
        let written = plain_snippet(&item.snippet.unwrap());
        // `PARAMS` and names of stages are to be replaced.
        let whole = within(&written.replace("PARAMS", "heads").replace("\n", "\n    "));
        let snapshot = Snapshot::of_text("/r.obert", &whole, Encoding::Utf16);
        let syntax = snapshot
            .compiled
            .diagnostics
            .iter()
            .find(|d| (100..300).contains(&d.code.number()) && d.is_error());
        let known = syntax.is_none() || matches!(item.label.as_str(), "batch" | "train");
        assert!(known, "{}\n{whole}\n{syntax:?}", item.label);
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn a_client_gets_snippets_only_if_it_takes_them() {
    let text = within("pru");
    let at = place(&text, "pru\n", 3);
    let insert = |client: &mut Client| -> Value {
        client.open("file:///r.obert", 1, &text);
        let list = client.at("textDocument/completion", "file:///r.obert", at);
        list.as_array().unwrap().iter().find(|item| item["label"] == "prune").unwrap().clone()
    };
    let mut client = Client::started(plain());
    let item = insert(&mut client);
    assert_eq!(
        (item["insertTextFormat"].as_u64(), item["textEdit"]["newText"].as_str()),
        (Some(1), Some("prune "))
    );
    let inserted = edited(&text, &json!([item["textEdit"]]));
    assert!(inserted.contains("\n    prune \n"), "{inserted}");
    assert_eq!(client.end(), 0);
    let snippets = json!({ "completion": { "completionItem": { "snippetSupport": true } } });
    let mut client = Client::started(json!({ "capabilities": { "textDocument": snippets } }));
    let item = insert(&mut client);
    assert_eq!(item["insertTextFormat"], 2);
    assert!(item["textEdit"]["newText"].as_str().unwrap().starts_with("prune ${1:encoder_linears} over "));
    assert_eq!(client.end(), 0);
}
