//! Inlay hints, and the code lens with the plan behind it.

use serde_json::{Value, json};

use super::client::{Client, plain};

const URI: &str = "file:///r.obert";

const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}

recipe r {
  model: bert(layers: 2, hidden: 128, heads: 2)
  data: builtin_reading(train: 640, dev: 64)
  stage dense for 4 epochs {
    lr { 0..1 epochs: 0 -> 1e-3, 1..4 epochs: 1e-3 -> 1e-4 }
    evaluate every 10 steps
  }
  stage sparse for 12 epochs {
    lr { 0..12 epochs: 5e-4 -> 0 linear }
    prune encoder_linears over 1..11 epochs every 2 epochs { by: magnitude, sparsity: 30% -> 80% }
  }
}
";

fn hints(client: &mut Client, text: &str, lines: std::ops::Range<u32>) -> Vec<String> {
    let at = |line: u32| json!({ "line": line, "character": 0 });
    let params = json!({ "textDocument": { "uri": URI }, "range": { "start": at(lines.start), "end": at(lines.end) } });
    let found = client.request("textDocument/inlayHint", params);
    let lines: Vec<&str> = text.lines().collect();
    found
        .as_array()
        .unwrap()
        .iter()
        .map(|hint| {
            let line = lines[hint["position"]["line"].as_u64().unwrap() as usize];
            let before = &line[..hint["position"]["character"].as_u64().unwrap() as usize];
            let words: Vec<&str> = before.split_whitespace().collect();
            format!("{} {}", words[words.len() - 2..].join(" "), hint["label"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn times_are_shown_in_the_other_unit_where_the_size_of_the_data_is_known() {
    let mut client = Client::started(plain());
    client.open(URI, 1, RECIPE);
    assert_eq!(
        hints(&mut client, RECIPE, 0..99),
        [
            "4 epochs = 160 steps",
            "0..1 epochs = steps 0..40",
            "1..4 epochs = steps 40..160",
            "10 steps = 0.25 epochs",
            "12 epochs = 480 steps",
            "0..12 epochs = steps 0..480",
            "1..11 epochs = steps 40..440",
            "2 epochs 6 events: 1 epoch, 3 epochs, …, 11 epochs",
        ]
    );
    assert_eq!(hints(&mut client, RECIPE, 6..7), ["4 epochs = 160 steps"], "only those in the range");
    let named = RECIPE.replace("builtin_reading(train: 640, dev: 64)", "squad");
    client.change(URI, 2, &named);
    assert_eq!(hints(&mut client, &named, 0..99), ["2 epochs 6 events: 1 epoch, 3 epochs, …, 11 epochs"]);
    client.change(URI, 3, "recipe r {");
    assert_eq!(hints(&mut client, "recipe r {", 0..99), [""; 0]);
    assert_eq!(client.end(), 0);
}

#[test]
fn the_lens_of_a_recipe_sums_up_its_plan_and_its_command_shows_it() {
    let shows = json!({ "window": { "showDocument": { "support": true } } });
    let mut client = Client::started(json!({ "capabilities": shows }));
    client.open(URI, 1, RECIPE);
    let lenses = client.of_document("textDocument/codeLens", URI);
    assert_eq!(lenses[0]["command"]["title"], "plan: 2 stages, 6 pruning events, 80% sparsity");
    assert_eq!(lenses[0]["range"]["start"]["line"], 3);
    let command = lenses[0]["command"].clone();
    let run = json!({ "command": command["command"], "arguments": command["arguments"] });
    let plan = client.request("workspace/executeCommand", run.clone());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.obert"), RECIPE).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["plan", "r.obert"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(plan.as_str().unwrap(), String::from_utf8(output.stdout).unwrap());
    let shown = client.notified("window/showDocument");
    let path = shown["uri"].as_str().unwrap().strip_prefix("file://").unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), plan.as_str().unwrap());
    client.change(URI, 2, "recipe r {");
    assert_eq!(client.of_document("textDocument/codeLens", URI), json!([]));
    assert_eq!(client.refused("workspace/executeCommand", run).1, "a recipe with errors has no plan");
    let other = json!({ "command": "obert.other", "arguments": [] });
    assert_eq!(client.refused("workspace/executeCommand", other).0, -32602);
    let bare = json!({ "command": "obertc.plan", "arguments": [Value::Null] });
    assert_eq!(client.refused("workspace/executeCommand", bare).0, -32602);
    assert_eq!(client.end(), 0);
}
