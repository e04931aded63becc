//! Quick fixes, all fixes, and the translation of SparseML recipes.

use std::path::Path;

use obert::internals::lsp::actions::quick_fixes;
use obert::internals::lsp::position::Encoding;
use obert::internals::lsp::snapshot::Snapshot;
use obert::internals::lsp::uri;
use serde_json::{Value, json};

use super::client::{Client, edited, plain};

const URI: &str = "file:///r.obert";

const MISTAKEN: &str = "recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linaer }
  prune params(\"bert.encoder.**.dense.weight\") expect 7 over 0..2 epochs every 1 epoch {
    by: magnitude
    sparsity: 30% -> 80 cubic
    rnak: global
  }
}
";

fn actions(client: &mut Client, uri: &str, (line, character): (u32, u32), only: Value) -> Vec<Value> {
    let at = json!({ "line": line, "character": character });
    let params = json!({ "textDocument": { "uri": uri }, "range": { "start": at, "end": at },
        "context": { "diagnostics": [], "only": only } });
    client.request("textDocument/codeAction", params).as_array().unwrap().clone()
}

#[test]
fn a_fix_is_offered_where_its_finding_is_and_resolves_it() {
    let mut client = Client::started(plain());
    client.open(URI, 1, MISTAKEN);
    let found = actions(&mut client, URI, (3, 32), Value::Null);
    assert_eq!(found.len(), 1, "{found:?}");
    let fix = &found[0];
    assert_eq!(
        (fix["title"].as_str(), fix["kind"].as_str()),
        (Some("Replace `linaer` by `linear`"), Some("quickfix"))
    );
    assert_eq!((&fix["isPreferred"], &fix["diagnostics"][0]["code"]), (&json!(true), &json!("OB0312")));
    let text = edited(MISTAKEN, &fix["edit"]["changes"][URI]);
    assert_eq!(text, MISTAKEN.replace("linaer", "linear"));
    assert_eq!(actions(&mut client, URI, (2, 3), Value::Null), [Value::Null; 0]);
    let edition = actions(&mut client, URI, (0, 0), json!(["quickfix"]));
    assert!(edition.iter().any(|a| a["title"] == "Insert `edition 2026`") || edition.is_empty());
    let refactor = actions(&mut client, URI, (3, 32), json!(["refactor"]));
    assert_eq!(refactor, [Value::Null; 0]);
    assert_eq!(client.end(), 0);
}

#[test]
fn all_safe_fixes_are_those_of_check_fix() {
    let mut client = Client::started(plain());
    client.open(URI, 1, MISTAKEN);
    let found = actions(&mut client, URI, (0, 0), json!(["source"]));
    let [all] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(all["kind"], "source.fixAll");
    let text = edited(MISTAKEN, &all["edit"]["changes"][URI]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.obert");
    std::fs::write(&file, MISTAKEN).unwrap();
    std::process::Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["check", "--fix"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(text, std::fs::read_to_string(&file).unwrap());
    assert!(text.contains("expect 7 "), "an unsafe fix is left to the user: {text}");
    client.change(URI, 2, &text);
    assert_eq!(actions(&mut client, URI, (0, 0), json!(["source.fixAll"])), [Value::Null; 0]);
    assert_eq!(client.end(), 0);
}

#[test]
fn every_fix_of_the_corpus_can_be_offered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
    let mut offered = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let snapshot = Snapshot::of_text(path.to_str().unwrap(), &text, Encoding::Utf16);
        let own = snapshot.compiled.diagnostics.iter().filter_map(|d| d.fix.as_ref());
        let own = own.filter(|fix| fix.span.file == snapshot.compiled.main).count();
        let fixes = quick_fixes(&snapshot, 0..snapshot.text().len());
        assert_eq!(fixes.len(), own, "{}", path.display());
        assert!(
            fixes
                .iter()
                .all(|fix| !fix.title.contains('\n') && snapshot.text().get(fix.range.clone()).is_some())
        );
        offered += own;
    }
    assert!(offered > 80, "{offered}");
}

#[test]
fn a_sparseml_recipe_is_converted_into_a_new_file_by_a_client_that_creates_files() {
    let source = "tests/corpus/yaml/paper/30epochs_unstructured90_squad.yaml";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(source)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("squad.yaml");
    std::fs::write(&path, &text).unwrap();
    let uri = uri::of_path(&path).unwrap().as_str().to_owned();
    let edits = json!({ "documentChanges": true, "resourceOperations": ["create"] });
    let capabilities = json!({ "workspace": { "workspaceEdit": edits } });
    let mut client = Client::started(json!({ "capabilities": capabilities }));
    client.open(&uri, 1, &text);
    let found = actions(&mut client, &uri, (0, 0), json!(["refactor"]));
    let [convert] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (convert["title"].as_str(), convert["kind"].as_str()),
        (Some("Convert to `squad.obert`"), Some("refactor.rewrite"))
    );
    let changes = &convert["edit"]["documentChanges"];
    assert_eq!(changes[0]["kind"], "create");
    assert_eq!(changes[0]["uri"], uri.replace(".yaml", ".obert"));
    let recipe = changes[1]["edits"][0]["newText"].as_str().unwrap();
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_obertc")).arg("import").arg(&path).output().unwrap();
    assert_eq!(recipe, String::from_utf8(output.stdout).unwrap());
    std::fs::write(path.with_extension("obert"), "").unwrap();
    let again = actions(&mut client, &uri, (0, 0), json!(["refactor"]));
    assert_eq!(again[0]["title"], "Convert to `squad_2.obert`", "no file is overwritten");
    assert_eq!(client.end(), 0);
    let mut client = Client::started(plain());
    client.open(&uri, 1, &text);
    assert_eq!(actions(&mut client, &uri, (0, 0), Value::Null), [Value::Null; 0]);
    assert_eq!(client.end(), 0);
}
