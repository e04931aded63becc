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

#[test]
fn the_memory_of_a_rank_is_that_of_the_plan_for_one_and_falls_with_their_number() {
    let with = |ranks: &str| stdout(&plan(&[SQUAD90, "--no-chart", "--ranks", ranks]));
    let alone = with("1");
    let (plan_alone, of_rank) = alone.split_once("\non each of 1 rank\n").expect("lines for each stage");
    let stage = "  unstructured90_squad: ";
    let lines: Vec<&str> = of_rank.lines().map(|line| line.strip_prefix(stage).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{of_rank}");
    for line in lines {
        assert!(plan_alone.lines().any(|l| l.trim() == line), "{line} is not in\n{plan_alone}");
    }
    // Activations and copies of weights and gradients do not become fewer.
    let pruning = |ranks: &str| -> f64 {
        let text = with(ranks);
        let (_, size) = text.rsplit_once("pruning ").unwrap();
        size.trim().strip_suffix(" GB)").unwrap().parse().unwrap()
    };
    let sizes: Vec<f64> = ["1", "2", "4", "8"].into_iter().map(pruning).collect();
    assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
    assert!(sizes[1] < 0.7 * sizes[0] && sizes[2] < 0.5 * sizes[0], "{sizes:?}");
}
