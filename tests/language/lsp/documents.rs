//! Changes of texts, encodings of positions, several files, and answers about a whole document.

use serde_json::{Value, json};

use super::client::{Client, edited, plain, range};

const URI: &str = "file:///r.obert";

const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}

## The final sparsity 𝄞.
param target: ratio = 80% in 50%..95%

let heads = params(\"qa_outputs.*\")

# one
# two
recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr {
    0..3 epochs: 5e-5 -> 0 linear
  }
  freeze heads
  prune encoder_linears over 0..2 epochs every 1 epoch {
    by: magnitude
    sparsity: 30% -> target cubic
  }
}
";

fn codes(params: &Value) -> Vec<&str> {
    params["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap()).collect()
}

#[test]
fn a_mistake_behind_characters_of_several_units_is_where_the_client_counts_it() {
    let text = "edition 2026\nrecipe r { model: \"ß𝄞\", dota: squad }\n";
    for (offered, expected) in [
        (json!(["utf-16"]), "1:25-1:29"),
        (json!(["utf-32", "utf-8", "utf-16"]), "1:28-1:32"),
        (json!(["utf-32"]), "1:24-1:28"),
        (Value::Null, "1:25-1:29"),
    ] {
        let mut client =
            Client::started(json!({ "capabilities": { "general": { "positionEncodings": offered } } }));
        client.open(URI, 1, text);
        let pushed = client.pushed(URI);
        let found =
            &pushed["diagnostics"].as_array().unwrap().iter().find(|d| d["code"] == "OB0203").unwrap();
        assert_eq!(range(&found["range"]), expected, "{offered}");
        // The same place is edited.
        let edit = json!([{ "range": found["range"], "text": "data" }]);
        client.edit(URI, 2, edit);
        let pushed = client.pushed(URI);
        assert_eq!(pushed["version"], 2);
        assert!(!codes(&pushed).contains(&"OB0203"), "{pushed}");
        assert_eq!(client.end(), 0);
    }
}

#[test]
fn changes_of_one_message_and_of_several_are_applied_in_their_order() {
    let mut client = Client::started(plain());
    client.open(URI, 1, "");
    let at = |line: u32, character: u32| json!({ "line": line, "character": character });
    let insert = |position: Value, text: &str| json!({ "range": { "start": position, "end": position }, "text": text });
    client.edit(URI, 2, json!([insert(at(0, 0), "recipe r {}\n"), insert(at(0, 0), "# 𝄞\n")]));
    client.edit(
        URI,
        3,
        json!([insert(at(1, 7), "ab"), { "range": { "start": at(0, 2), "end": at(0, 4) }, "text": "x" }]),
    );
    let symbols = client.of_document("textDocument/documentSymbol", URI);
    assert_eq!(symbols[0]["name"], "abr");
    let edits = client.of_document("textDocument/formatting", URI);
    assert_eq!(edited("# x\nrecipe abr {}\n", &edits), "# x\nrecipe abr {}\n");
    assert_eq!(client.end(), 0);
}

#[test]
fn a_byte_order_mark_and_line_ends_of_other_systems_are_no_mistake() {
    let mut client = Client::started(plain());
    client.open(URI, 1, &format!("\u{feff}{}", RECIPE.replace('\n', "\r\n")));
    assert_eq!(codes(&client.pushed(URI)), [""; 0]);
    let symbols = client.of_document("textDocument/documentSymbol", URI);
    assert_eq!(symbols[0]["name"], "target");
    assert_eq!(range(&symbols[0]["selectionRange"]), "4:6-4:12");
    assert_eq!(client.end(), 0);
}

#[test]
fn the_outline_has_declarations_and_the_statements_of_a_stage() {
    let mut client = Client::started(plain());
    client.open(URI, 1, RECIPE);
    let symbols = client.of_document("textDocument/documentSymbol", URI);
    fn flat(list: &Value, depth: usize, out: &mut Vec<String>) {
        for symbol in list.as_array().into_iter().flatten() {
            let detail = symbol["detail"].as_str().unwrap_or("");
            out.push(format!("{}{} | {detail}", "  ".repeat(depth), symbol["name"].as_str().unwrap()));
            flat(&symbol["children"], depth + 1, out);
        }
    }
    let mut lines = Vec::new();
    flat(&symbols, 0, &mut lines);
    assert_eq!(
        lines,
        [
            "target | ratio = 80%",
            "heads | params(\"qa_outputs.*\")",
            "r | recipe r for 3 epochs",
            "  lr | ",
            "  freeze heads | ",
            "  prune encoder_linears over 0..2 epochs every 1 epoch | ",
        ]
    );
    assert_eq!(range(&symbols[2]["range"]), "10:0-21:1");
    assert_eq!(client.end(), 0);
}

#[test]
fn blocks_comments_and_lists_fold() {
    let mut client = Client::started(plain());
    client.open(URI, 1, RECIPE);
    let folds = client.of_document("textDocument/foldingRange", URI);
    let lines: Vec<String> = folds
        .as_array()
        .unwrap()
        .iter()
        .map(|f| format!("{}-{} {}", f["startLine"], f["endLine"], f["kind"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(lines, ["8-9 comment", "10-20 ", "13-14 ", "17-19 "]);
    assert_eq!(client.end(), 0);
}

/// The tokens as `text:type` with the modifiers' bits.
fn tokens(text: &str, legend: &Value, data: &Value) -> Vec<String> {
    let lines: Vec<Vec<u16>> = text.lines().map(|line| line.encode_utf16().collect()).collect();
    let numbers: Vec<usize> = data.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let (mut line, mut column) = (0, 0);
    numbers
        .chunks(5)
        .map(|token| {
            column = if token[0] == 0 { column + token[1] } else { token[1] };
            line += token[0];
            let word = String::from_utf16(&lines[line][column..column + token[2]]).unwrap();
            let kind = legend["tokenTypes"][token[3]].as_str().unwrap();
            let bits = if token[4] == 0 { String::new() } else { format!("+{}", token[4]) };
            format!("{word}:{kind}{bits}")
        })
        .collect()
}

#[test]
fn every_word_has_the_kind_of_its_meaning() {
    let mut client = Client::in_memory();
    let started = client.request("initialize", plain());
    let legend = &started["capabilities"]["semanticTokensProvider"]["legend"];
    client.open(URI, 1, RECIPE);
    let full = client.of_document("textDocument/semanticTokens/full", URI);
    let found = tokens(RECIPE, legend, &full["data"]);
    for expected in [
        "edition:keyword",
        "2026:number",
        "std:namespace+2",
        "encoder_linears:variable+2",
        "## The final sparsity 𝄞.:comment+4",
        "target:parameter+1",
        "ratio:type",
        "%:number",
        "heads:variable+1",
        "\"qa_outputs.*\":string",
        "recipe:keyword",
        "r:struct+1",
        "for:property",
        "epochs:type",
        "squad:enumMember",
        "model:property",
        "->:operator",
        "linear:function",
        "heads:variable",
        "magnitude:enumMember",
        "target:parameter",
    ] {
        assert!(found.iter().any(|token| token == expected), "{expected} in {found:#?}");
    }
    let some = json!({ "textDocument": { "uri": URI }, "range": {
        "start": { "line": 16, "character": 0 }, "end": { "line": 16, "character": 99 } } });
    let part = client.request("textDocument/semanticTokens/range", some);
    assert_eq!(tokens(RECIPE, legend, &part["data"]), ["freeze:keyword", "heads:variable"]);
    client.change(URI, 2, &RECIPE.replace("squad\n", "squad (\n"));
    let broken = client.of_document("textDocument/semanticTokens/full", URI);
    let broken = tokens(&RECIPE.replace("squad\n", "squad (\n"), legend, &broken["data"]);
    assert!(broken.contains(&"magnitude:enumMember".to_owned()), "a bracket too many hides no other line");
    assert_eq!(client.end(), 0);
}

#[test]
fn formatting_is_that_of_fmt_and_a_broken_text_stays_as_it_is() {
    let mut client = Client::started(plain());
    let ugly =
        RECIPE.replace("  freeze heads\n", "  freeze    heads # ß\n").replace("data: squad", "data:squad");
    client.open(URI, 1, &ugly);
    let edits = client.of_document("textDocument/formatting", URI);
    let expected = RECIPE.replace("  freeze heads\n", "  freeze heads # ß\n");
    let formatted = edited(&ugly, &edits);
    assert_eq!(formatted.replace("heads  #", "heads #"), expected);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.obert");
    std::fs::write(&file, &ugly).unwrap();
    let done =
        std::process::Command::new(env!("CARGO_BIN_EXE_obertc")).arg("fmt").arg(&file).status().unwrap();
    assert!(done.success());
    assert_eq!(formatted, std::fs::read_to_string(&file).unwrap());
    client.change(URI, 2, &formatted);
    assert_eq!(client.of_document("textDocument/formatting", URI), json!([]));
    client.change(URI, 3, "recipe r {");
    assert_eq!(client.of_document("textDocument/formatting", URI), Value::Null);
    assert_eq!(client.end(), 0);
}
