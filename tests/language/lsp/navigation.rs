//! Definitions, references, renaming and symbols, in one file and across files.

use std::path::PathBuf;

use obert::internals::lsp::uri;
use serde_json::{Value, json};

use super::client::{Client, edited, place, plain, range};

const PARTS: &str = "edition 2026

## The output layer.
let heads = params(\"qa_outputs.weight\")

template tune for 3 epochs {
  param peak: rate = 5e-5
  lr { 0..3 epochs: peak -> 0 linear }
  freeze heads
}

template slow extends tune { }
";

const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}
use \"parts.obert\".{heads, slow}

param target: ratio = 80%

recipe r {
  model: \"bert-base-uncased\"
  data: squad
  stage dense extends slow {
    peak: 3e-5 # ß𝄞
  }
  branch other from dense { prune encoder_linears { by: magnitude, sparsity: target } }
  stage sparse for 2 epochs {
    lr { 0..2 epochs: 5e-5 }
    prune [encoder_linears, heads] over 0..1 epochs every 1 epoch { by: magnitude, sparsity: target / 2 -> target }
    distill from dense
  }
}
";

struct Folder {
    _kept: tempfile::TempDir,
    root: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let root = kept.path().canonicalize().unwrap();
        std::fs::write(root.join("parts.obert"), PARTS).unwrap();
        std::fs::write(root.join("r.obert"), RECIPE).unwrap();
        Folder { _kept: kept, root }
    }

    fn uri(&self, name: &str) -> String {
        uri::of_path(&self.root.join(name)).unwrap().as_str().to_owned()
    }

    /// A client that has opened the folder and these files of it.
    fn client(&self, open: &[(&str, &str)]) -> Client {
        let folders = json!([{ "uri": uri::of_path(&self.root).unwrap().as_str(), "name": "x" }]);
        let mut client = Client::started(json!({ "capabilities": {}, "workspaceFolders": folders }));
        for (name, text) in open {
            client.open(&self.uri(name), 1, text);
        }
        client
    }

    /// The places of a list of locations, with the names of the files.
    fn places(&self, locations: &Value) -> Vec<String> {
        let name = |uri: &str| uri.rsplit('/').next().unwrap().to_owned();
        let mut list: Vec<String> = locations
            .as_array()
            .unwrap()
            .iter()
            .map(|l| format!("{} {}", name(l["uri"].as_str().unwrap()), range(&l["range"])))
            .collect();
        list.sort();
        list
    }
}

#[test]
fn a_name_leads_to_its_declaration_in_this_file_another_and_the_library() {
    let folder = Folder::new();
    let mut client = folder.client(&[("r.obert", RECIPE)]);
    let own = folder.uri("r.obert");
    let mut definition = |needle: &str, inside: usize| -> String {
        let found = client.at("textDocument/definition", &own, place(RECIPE, needle, inside));
        if found.is_null() { "none".to_owned() } else { folder.places(&json!([found])).remove(0) }
    };
    assert_eq!(definition("target } }", 2), "r.obert 4:6-4:12");
    assert_eq!(definition("target / 2", 6), "r.obert 4:6-4:12");
    assert_eq!(definition("from dense {", 6), "r.obert 9:8-9:13");
    assert_eq!(definition("distill from dense", 14), "r.obert 9:8-9:13");
    assert_eq!(definition(", heads]", 3), "parts.obert 3:4-3:9");
    assert_eq!(definition("slow {", 0), "parts.obert 11:9-11:13");
    assert_eq!(
        definition("peak: 3e-5", 1),
        "parts.obert 6:8-6:12",
        "the template that `slow` extends has it"
    );
    assert_eq!(definition("\"parts.obert\"", 4), "parts.obert 0:0-0:0");
    assert_eq!(definition("[encoder_linears", 4), "bert.obert 4:4-4:19");
    assert_eq!(definition("std.bert", 6), "bert.obert 0:0-0:0");
    assert_eq!(definition("magnitude", 3), "none");
    let library = client.at("textDocument/definition", &own, place(RECIPE, "std.bert", 6));
    let path = library["uri"].as_str().unwrap().strip_prefix("file://").unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.starts_with("## Names for the parameters of a BERT."), "{text}");
    assert_eq!(client.end(), 0);
}

#[test]
fn references_are_found_in_open_and_closed_files() {
    let folder = Folder::new();
    let mut client = folder.client(&[("parts.obert", PARTS)]);
    let parts = folder.uri("parts.obert");
    let mut references = |needle: &str, declaration: bool| -> Vec<String> {
        let (line, character) = place(PARTS, needle, 1);
        let params = json!({ "textDocument": { "uri": parts }, "position": { "line": line, "character": character },
            "context": { "includeDeclaration": declaration } });
        let found = client.request("textDocument/references", params);
        if found.is_null() { Vec::new() } else { folder.places(&found) }
    };
    assert_eq!(
        references("heads =", true),
        ["parts.obert 3:4-3:9", "parts.obert 8:9-8:14", "r.obert 15:28-15:33", "r.obert 2:19-2:24"]
    );
    assert_eq!(references("peak:", false), ["parts.obert 7:20-7:24", "r.obert 10:4-10:8"]);
    assert_eq!(references("tune {", false), ["parts.obert 11:22-11:26"]);
    assert_eq!(references("linear }", true), [""; 0]);
    assert_eq!(client.end(), 0);
}

#[test]
fn a_name_is_renamed_everywhere_and_the_recipes_still_check() {
    let folder = Folder::new();
    let mut client = folder.client(&[("parts.obert", PARTS), ("r.obert", RECIPE)]);
    let own = folder.uri("r.obert");
    for (needle, inside, name) in [
        (", heads]", 3, "output_layer"),
        ("target / 2", 1, "share"),
        ("slow {", 1, "slowly"),
        ("peak: 3e-5", 2, "highest"),
        ("from dense {", 6, "first"),
    ] {
        let (line, character) = place(RECIPE, needle, inside);
        let at =
            json!({ "textDocument": { "uri": own }, "position": { "line": line, "character": character } });
        let prepared = client.request("textDocument/prepareRename", at.clone());
        let placeholder = prepared["placeholder"].as_str().unwrap().to_owned();
        let mut params = at;
        params["newName"] = json!(name);
        let edit = client.request("textDocument/rename", params);
        let changed = |file: &str, text: &str| {
            let edits = &edit["changes"][folder.uri(file)];
            if edits.is_null() { text.to_owned() } else { edited(text, edits) }
        };
        let (recipe, parts) = (changed("r.obert", RECIPE), changed("parts.obert", PARTS));
        assert!(
            recipe.contains(name) && !format!("{recipe}{parts}").contains(&format!(" {placeholder}:")),
            "{recipe}\n{parts}"
        );
        std::fs::write(folder.root.join("parts.obert"), parts).unwrap();
        let path = folder.root.join("renamed.obert");
        std::fs::write(&path, &recipe).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_obertc"))
            .arg("check")
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {}\n{recipe}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(folder.root.join("parts.obert"), PARTS).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn a_renaming_that_would_break_the_recipe_is_refused_with_its_reason() {
    let folder = Folder::new();
    let mut client = folder.client(&[("r.obert", RECIPE)]);
    let own = folder.uri("r.obert");
    let mut refused = |needle: &str, name: &str| -> String {
        let (line, character) = place(RECIPE, needle, 1);
        let params = json!({ "textDocument": { "uri": own }, "newName": name,
            "position": { "line": line, "character": character } });
        client.refused("textDocument/rename", params).1
    };
    assert_eq!(refused("target / 2", "9x"), "`9x` is no name: a name is letters, digits and `_`");
    assert_eq!(refused("target / 2", "linear"), "`linear` is a word of the language");
    assert_eq!(refused("target / 2", "heads"), "`heads` is declared already");
    assert_eq!(refused("dense ext", "sparse"), "`sparse` is declared already");
    assert_eq!(refused("dense ext", "start"), "`start` is a word of the language");
    assert_eq!(refused("peak: 3e-5", "model"), "`model` is a setting of recipes");
    assert_eq!(
        refused("encoder_linears,", "x"),
        "`encoder_linears` belongs to the standard library: std.bert"
    );
    assert!(refused("magnitude", "x").starts_with("only parameters, names"));
    let at = json!({ "textDocument": { "uri": own }, "position": { "line": 0, "character": 2 } });
    assert_eq!(client.refused("textDocument/prepareRename", at).0, -32803);
    assert_eq!(client.end(), 0);
}

#[test]
fn uses_are_highlighted_and_symbols_of_the_workspace_are_found() {
    let folder = Folder::new();
    let mut client = folder.client(&[("r.obert", RECIPE)]);
    let own = folder.uri("r.obert");
    let lit = client.at("textDocument/documentHighlight", &own, place(RECIPE, "target / 2", 1));
    let kinds: Vec<String> =
        lit.as_array().unwrap().iter().map(|h| format!("{} {}", range(&h["range"]), h["kind"])).collect();
    assert_eq!(kinds, ["4:6-4:12 3", "12:77-12:83 2", "15:93-15:99 2", "15:107-15:113 2"]);
    let names = |client: &mut Client, query: &str| -> Vec<String> {
        let found = client.request("workspace/symbol", json!({ "query": query }));
        let mut names: Vec<String> =
            found.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&mut client, "S"), ["dense", "heads", "slow", "sparse"]);
    assert_eq!(names(&mut client, "tune"), ["tune"]);
    let all = names(&mut client, "");
    assert_eq!(all, ["dense", "heads", "other", "r", "slow", "sparse", "target", "tune"]);
    // A folder that was closed is not searched; open documents are.
    let folders = json!([{ "uri": uri::of_path(&folder.root).unwrap().as_str(), "name": "x" }]);
    client.notify(
        "workspace/didChangeWorkspaceFolders",
        json!({ "event": { "added": [], "removed": folders } }),
    );
    assert_eq!(names(&mut client, "tune"), [""; 0]);
    assert_eq!(names(&mut client, "target"), ["target"]);
    assert_eq!(client.end(), 0);
}

#[test]
fn a_document_without_a_file_has_definitions_too() {
    let mut client = Client::started(plain());
    client.open("untitled:Untitled-1", 1, "let a = params(\"x\")\nlet b = a\n");
    let found = client.at("textDocument/definition", "untitled:Untitled-1", (1, 8));
    assert_eq!(
        (found["uri"].as_str(), range(&found["range"])),
        (Some("untitled:Untitled-1"), "0:4-0:5".to_owned())
    );
    assert_eq!(client.end(), 0);
}
