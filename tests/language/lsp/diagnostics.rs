//! Diagnostics: those of `obertc check`, pushed or pulled, of one document and of those that use it.

use std::path::Path;
use std::process::Command;

use obert::internals::lsp::place::NoLinks;
use obert::internals::lsp::position::Encoding;
use obert::internals::lsp::snapshot::Snapshot;
use obert::internals::lsp::{diagnostics, uri};
use serde_json::{Value, json};

use super::client::{Client, plain, range};

/// A client that pulls diagnostics.
fn pulling(refresh: bool) -> Value {
    json!({ "capabilities": {
        "textDocument": { "diagnostic": {} },
        "workspace": { "diagnostics": { "refreshSupport": refresh }, "diagnostic": { "refreshSupport": refresh } },
    } })
}

fn uri_of(path: &Path) -> String {
    uri::of_path(path).unwrap().as_str().to_owned()
}

fn codes(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap().to_owned()).collect()
}

/// What is found, by code, severity, message and place.
type Found = (String, String, String, Option<(u64, u64)>);

/// The findings of `obertc check --format json`.
fn checked(path: &Path) -> Vec<Found> {
    let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["check", "--format", "json", path.to_str().unwrap()])
        .output()
        .unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    list.as_array()
        .unwrap()
        .iter()
        .map(|d| {
            let place = d["labels"].as_array().unwrap().iter().find(|l| l["primary"] == true);
            let place = place.map(|l| (l["line"].as_u64().unwrap() - 1, l["column"].as_u64().unwrap() - 1));
            (text(&d["code"]), text(&d["severity"]), text(&d["message"]), place)
        })
        .collect()
}

#[test]
fn the_findings_of_every_bad_recipe_are_those_of_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = Vec::new();
    for folder in ["bad", "yaml/tricky", "good"] {
        files.extend(std::fs::read_dir(root.join(folder)).unwrap().map(|e| e.unwrap().path()));
    }
    files.retain(|path| path.extension().is_some_and(|e| e == "obert" || e == "yaml" || e == "md"));
    files.sort();
    let mut seen = 0;
    // A process for each file would take a minute.
    for path in files.iter().step_by(3) {
        let text = std::fs::read_to_string(path).unwrap();
        let snapshot = Snapshot::of_text(path.to_str().unwrap(), &text, Encoding::Utf32);
        if snapshot.kind == obert::internals::lsp::snapshot::Kind::Other {
            continue;
        }
        let shown = diagnostics::all(&snapshot, &NoLinks);
        let expected = checked(path);
        assert_eq!(shown.len(), expected.len(), "{}", path.display());
        for ((code, severity, message, place), d) in expected.iter().zip(&shown) {
            let found = json!(d);
            assert_eq!(found["code"], *code);
            let number = ["error", "warning", "advice"].iter().position(|s| s == severity).unwrap() + 1;
            assert_eq!(found["severity"], number, "{}", path.display());
            assert!(d.message.starts_with(message.as_str()), "{}: {}", path.display(), d.message);
            let (line, column) = place.unwrap_or((0, 0));
            let start = (u64::from(d.range.start.line), u64::from(d.range.start.character));
            let own = diagnostics::found(&snapshot)
                .iter()
                .all(|d| d.primary.as_ref().is_none_or(|l| l.span.file == snapshot.compiled.main));
            assert!(!own || start == (line, column), "{}: {code} {start:?} {place:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn related_places_tags_and_the_text_of_help_are_shown() {
    let mut client = Client::started(plain());
    let uri = "file:///r.obert";
    let text = "edition 2026
use std.bert.{encoder_linears, embeddings}
let a = params(\"bert.**\")
let a = params(\"bert.**\")
recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linaer }
  hold encoder_linears
}
";
    client.open(uri, 1, text);
    let pushed = client.pushed(uri);
    let found = pushed["diagnostics"].as_array().unwrap();
    let of = |code: &str| found.iter().find(|d| d["code"] == code).unwrap_or_else(|| panic!("{pushed}"));
    let twice = of("OB0207");
    assert_eq!((range(&twice["range"]), twice["severity"].as_u64()), ("3:4-3:5".to_owned(), Some(1)));
    let related = &twice["relatedInformation"][0];
    assert_eq!(related["message"], "first declared here");
    assert_eq!(range(&related["location"]["range"]), "2:4-2:5");
    assert_eq!(related["location"]["uri"], uri);
    let shape = of("OB0312");
    let message = "there is no shape `linaer`\nunknown shape\nhelp: did you mean `linear`?";
    assert_eq!(shape["message"], message);
    assert_eq!(shape["source"], "obert");
    client.change(uri, 2, &text.replace("linaer", "linear").replacen("let a = params(\"bert.**\")\n", "", 1));
    let pushed = client.pushed(uri);
    let unused: Vec<&Value> =
        pushed["diagnostics"].as_array().unwrap().iter().filter(|d| d["code"] == "OB0701").collect();
    let unused: Vec<_> = match unused.is_empty() {
        true => {
            pushed["diagnostics"].as_array().unwrap().iter().filter(|d| d["tags"] == json!([1])).collect()
        }
        false => unused,
    };
    assert_eq!(unused.len(), 2, "`embeddings` and `a` are unused: {pushed}");
    assert!(unused.iter().all(|d| d["tags"] == json!([1]) && d["severity"] == 2), "{pushed}");
    assert_eq!(client.end(), 0);
}

#[test]
fn diagnostics_are_pulled_by_a_client_that_can_and_only_sent_again_if_they_differ() {
    let mut client = Client::in_memory();
    let started = client.request("initialize", pulling(false));
    assert_eq!(started["capabilities"]["diagnosticProvider"]["interFileDependencies"], true);
    let uri = "file:///r.obert";
    client.open(uri, 1, "recipe r {");
    let pull = |client: &mut Client, previous: Value| {
        let params = json!({ "textDocument": { "uri": uri }, "previousResultId": previous });
        client.request("textDocument/diagnostic", params)
    };
    let first = pull(&mut client, Value::Null);
    assert_eq!((first["kind"].as_str(), codes(&first["items"])), (Some("full"), vec!["OB0101".to_owned()]));
    let again = pull(&mut client, first["resultId"].clone());
    assert_eq!((&again["kind"], &again["resultId"]), (&json!("unchanged"), &first["resultId"]));
    client.change(uri, 2, "recipe r { }");
    let other = pull(&mut client, first["resultId"].clone());
    assert_eq!(other["kind"], "full");
    assert!(!codes(&other["items"]).contains(&"OB0101".to_owned()));
    client.close(uri);
    let closed = json!({ "textDocument": { "uri": uri } });
    assert_eq!(client.refused("textDocument/diagnostic", closed).0, -32602);
    assert_eq!(client.end(), 0);
}

const PARTS: &str = "edition 2026\nlet heads = params(\"qa_outputs.weight\")\n";
const USER: &str = "edition 2026
use \"parts.obert\".{heads}
recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 }
  freeze heads
}
";

#[test]
fn a_document_sees_the_open_text_of_the_files_it_uses_and_the_saved_one_when_they_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("parts.obert"), PARTS).unwrap();
    let (user, parts) = (uri_of(&root.join("r.obert")), uri_of(&root.join("parts.obert")));
    let mut client = Client::started(plain());
    client.open(&user, 1, USER);
    assert_eq!(codes(&client.pushed(&user)["diagnostics"]), [""; 0]);
    client.open(&parts, 1, &PARTS.replace("let heads", "let haeds"));
    let pushed = client.pushed(&user);
    assert_eq!(codes(&pushed["diagnostics"]), ["OB0209"], "the open text declares another name");
    client.change(&parts, 2, "let heads = §\n");
    let pushed = client.pushed(&user);
    let found = pushed["diagnostics"].as_array().unwrap();
    let inside = found.iter().find(|d| d["code"] == "OB0107").unwrap_or_else(|| panic!("{pushed}"));
    assert_eq!(range(&inside["range"]), "1:0-1:25", "a mistake in a used file is shown at its `use`");
    assert_eq!(inside["relatedInformation"][0]["location"]["uri"], *parts);
    client.close(&parts);
    assert_eq!(codes(&client.pushed(&user)["diagnostics"]), [""; 0], "the saved text is read again");
    assert_eq!(
        client.pushed_of(&parts, Value::Null)["diagnostics"],
        json!([]),
        "a closed document has no diagnostics"
    );
    client.open(&parts, 1, PARTS);
    assert_eq!(codes(&client.pushed_of(&parts, 1)["diagnostics"]), [""; 0]);
    assert_eq!(codes(&client.pushed(&user)["diagnostics"]), [""; 0]);
    std::fs::remove_file(root.join("parts.obert")).unwrap();
    client.close(&parts);
    assert_eq!(codes(&client.pushed(&user)["diagnostics"]), ["OB0208"]);
    std::fs::write(root.join("parts.obert"), PARTS).unwrap();
    let changed = json!({ "changes": [{ "uri": parts, "type": 1 }] });
    client.notify("workspace/didChangeWatchedFiles", changed);
    assert_eq!(codes(&client.pushed(&user)["diagnostics"]), [""; 0]);
    assert_eq!(client.end(), 0);
}

#[test]
fn a_client_that_pulls_is_asked_to_pull_again_when_a_used_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (user, parts) = (uri_of(&root.join("r.obert")), uri_of(&root.join("parts.obert")));
    let mut client = Client::started(pulling(true));
    client.open(&parts, 1, PARTS);
    client.open(&user, 1, USER);
    let pull = |client: &mut Client| {
        let report = client.of_document("textDocument/diagnostic", &user);
        codes(&report["items"])
    };
    assert_eq!(pull(&mut client), [""; 0]);
    client.change(&parts, 2, "edition 2026\n");
    client.notified("workspace/diagnostic/refresh");
    assert_eq!(pull(&mut client), ["OB0209"]);
    assert_eq!(client.end(), 0);
}

#[test]
fn sparseml_recipes_are_checked_and_other_yaml_is_not() {
    let mut client = Client::started(plain());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/yaml/tricky/unknown_field.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    client.open("file:///r.yaml", 1, &text);
    let pushed = client.pushed("file:///r.yaml");
    let error = pushed["diagnostics"].as_array().unwrap().iter().find(|d| d["severity"] == 1).unwrap();
    assert_eq!(
        (error["code"].as_str(), error["range"]["start"]["line"].as_u64()),
        (Some("OB0811"), Some(21))
    );
    client.open("file:///ci.yaml", 1, "on: [push]\njobs:\n  test: { runs-on: x }\n");
    assert_eq!(client.pushed("file:///ci.yaml")["diagnostics"], json!([]));
    for method in ["documentSymbol", "foldingRange", "formatting", "semanticTokens/full"] {
        client.of_document(&format!("textDocument/{method}"), "file:///r.yaml");
        client.of_document(&format!("textDocument/{method}"), "file:///ci.yaml");
    }
    assert_eq!(client.end(), 0);
}
