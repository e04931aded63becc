//! Recipes that are being typed: every answer at every keystroke, without a panic and without a stale result.

use std::path::Path;

use obert::internals::lsp::place::NoLinks;
use obert::internals::lsp::position::Encoding;
use obert::internals::lsp::snapshot::Snapshot;
use obert::internals::lsp::{
    actions, completion, diagnostics, folding, formatting, highlighting, hints, hover, lens, navigation,
    symbols,
};
use serde_json::json;

use super::client::{Client, plain};
use crate::recipes::shipped_recipes;

/// Every feature, asked of a text with the cursor at an offset.
fn ask_everything(name: &str, text: &str, offset: usize) {
    let snapshot = Snapshot::of_text(name, text, Encoding::Utf16);
    diagnostics::all(&snapshot, &NoLinks);
    symbols::outline(&snapshot);
    folding::ranges(&snapshot);
    highlighting::tokens(&snapshot, None);
    formatting::edits(&snapshot);
    actions::quick_fixes(&snapshot, 0..text.len());
    hints::hints(&snapshot, 0..text.len());
    lens::lens(&snapshot);
    for at in [offset, offset / 2] {
        let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        hover::hover(&snapshot, at);
        navigation::definition(&snapshot, at);
        for item in completion::complete(&snapshot, at) {
            assert!(text.get(item.range.clone()).is_some(), "{item:?} at {at} in\n{text}");
        }
    }
}

#[test]
fn every_shipped_recipe_can_be_typed_and_cut_off_anywhere() {
    let mut asked = 0;
    for (index, path) in shipped_recipes().into_iter().enumerate() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        // The recipes are alike: their prefixes together have every keystroke several times.
        let step = 5;
        for (at, _) in text.char_indices().skip(index % step).step_by(step).chain([(text.len(), ' ')]) {
            ask_everything(&name, &text[..at], at);
            asked += 1;
        }
    }
    assert!(asked > 4_000, "{asked}");
}

#[test]
fn a_recipe_with_a_gap_where_something_is_typed_keeps_its_other_statements() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib_recipes/quickstart.obert");
    let text = std::fs::read_to_string(path).unwrap();
    let whole = Snapshot::of_text("q.obert", &text, Encoding::Utf16);
    let stages = |snapshot: &Snapshot| {
        let outline = symbols::outline(snapshot);
        let recipe = outline.iter().find(|symbol| symbol.name == "quickstart").unwrap();
        recipe
            .children
            .as_ref()
            .unwrap()
            .iter()
            .filter(|s| s.kind == lsp_types::SymbolKind::NAMESPACE)
            .count()
    };
    assert_eq!(stages(&whole), 4);
    let at = text.find("    distill from dense").unwrap();
    for typed in [
        "prune",
        "prune encoder_linears {",
        "prune x { by: obs(",
        "hold \"",
        "lr { 0..",
        "]",
        "distill from dense { match: [",
    ] {
        let broken = format!("{}    {typed}\n{}", &text[..at], &text[at..]);
        let snapshot = Snapshot::of_text("q.obert", &broken, Encoding::Utf16);
        assert_eq!(stages(&snapshot), 4, "{typed}");
    }
}

#[test]
fn diagnostics_are_those_of_the_last_version_only() {
    let mut client = Client::started(plain());
    let uri = "file:///r.obert";
    let text = "edition 2026\nrecipe r for 1 epoch {\n  model: \"bert-base-uncased\"\n  data: squad\n  lr { 0..1 epochs: 5e-5 }\n}\n";
    client.open(uri, 0, "");
    // Faster than a person types; the server may skip versions, but must not say of one what is true of another.
    let mut version = 0;
    let (mut line, mut column) = (0, 0);
    for c in text.chars() {
        version += 1;
        let at = json!({ "line": line, "character": column });
        client.edit(uri, version, json!([{ "range": { "start": at, "end": at }, "text": c.to_string() }]));
        (line, column) = if c == '\n' { (line + 1, 0) } else { (line, column + 1) };
    }
    let mut last = -1;
    loop {
        let pushed = client.pushed(uri);
        let of = pushed["version"].as_i64().unwrap();
        assert!(of > last, "version {of} after {last}");
        last = of;
        let prefix: String = text.chars().take(of as usize).collect();
        let snapshot = Snapshot::of_text("/r.obert", &prefix, Encoding::Utf16);
        let expected = diagnostics::all(&snapshot, &NoLinks);
        let codes = |list: &serde_json::Value| -> Vec<String> {
            let plain = |d: &serde_json::Value| format!("{} {} {}", d["code"], d["message"], d["range"]);
            list.as_array().unwrap().iter().map(plain).collect()
        };
        assert_eq!(codes(&pushed["diagnostics"]), codes(&json!(expected)), "version {of}");
        if of == i64::from(version) {
            break;
        }
    }
    assert_eq!(client.end(), 0);
}
