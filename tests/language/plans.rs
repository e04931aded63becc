//! What `plan` prints, in each of its forms.

use std::path::Path;
use std::process::{Command, Output};

fn plan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obertc"))
        .arg("plan")
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const SQUAD90: &str = "stdlib_recipes/paper/30epochs_unstructured90_squad.obert";

/// The keys of an object, by name of the table in the documentation.
fn keys(value: &serde_json::Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_field_of_the_json_is_documented_and_every_documented_field_is_there() {
    let output = plan(&[SQUAD90, "--steps-per-epoch", "1000", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stage = &document["stages"][0];
    let prune = stage["events"].as_array().unwrap().iter().find(|e| e["verb"] == "prune").unwrap();
    let mut fields: Vec<&str> = Vec::new();
    for object in [&document, stage, prune, &stage["cost"][0], &stage["memory"]] {
        fields.extend(keys(object));
    }
    fields.sort_unstable();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plan-format.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut documented: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
    documented.sort_unstable();
    assert_eq!(fields, documented);
}

#[test]
fn the_ir_is_the_schedule_itself() {
    let output = plan(&["stdlib_recipes/quickstart.obert", "--format", "ir"]);
    let schedule: obert::internals::schedule::Schedule = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schedule.name, "quickstart");
}

#[test]
fn two_recipes_differ_where_it_matters() {
    let other = SQUAD90.replace("90", "80");
    insta::assert_snapshot!("plan_difference", stdout(&plan(&[SQUAD90, &other])));
    assert_eq!(stdout(&plan(&[SQUAD90, SQUAD90])), "no difference\n");
}

#[test]
fn the_picture_holds_both_curves_the_bands_and_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.svg");
    let recipe = "stdlib_recipes/paper/compound/6layers_4block90_qat_squad.obert";
    let output = plan(&[recipe, "--svg", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let svg = std::fs::read_to_string(&path).unwrap();
    assert_eq!(svg.matches("<circle").count(), 7, "one for each pruning event");
    for part in ["sparsity curve", "lr curve", "class=\"distill\"", "class=\"quantize\"", "class=\"hold\""] {
        assert!(svg.contains(part), "{part}");
    }
    let nowhere = folder.path().join("no/such/plan.svg");
    let output = plan(&[recipe, "--svg", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "a folder that is not there");
}

#[test]
fn the_axis_of_a_stage_under_an_epoch_is_in_steps_only_if_they_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quarter.obert");
    let recipe = "edition 2026\nrecipe quarter for 0.25 epochs { data: squad, model: \"bert-base-uncased\", batch: 16, lr { 0..100% of run: 3e-5 -> 0 linear } }\n";
    std::fs::write(&file, recipe).unwrap();
    let file = file.to_str().unwrap();
    let unknown = stdout(&plan(&[file]));
    assert!(unknown.contains("0.19") && unknown.contains("0.25 epochs\n"), "{unknown}");
    assert!(!unknown.contains("steps"), "{unknown}");
    let known = stdout(&plan(&[file, "--steps-per-epoch", "1000"]));
    assert!(known.contains("187.5") && known.contains("250 steps\n"), "{known}");
}
