//! `obertc oneshot` and `obertc sweep` on a tiny model and generated data.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

fn obertc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(shop())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command that must succeed prints.
fn said(arguments: &[&str]) -> String {
    let output = obertc(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command that must fail complains of.
fn complaint(arguments: &[&str]) -> String {
    let output = obertc(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    assert!(output.stdout.is_empty());
    text(&output.stderr)
}

const DENSE: &str = "edition 2026
recipe dense {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 96, dev: 24)
  batch: 16
  stage dense for 2 epochs { lr { 0..2 epochs: 1e-3 -> 1e-4 linear } }
}
";

/// A recipe that prunes the model at once; comments stand everywhere.
const PRUNE: &str = "## Prunes at once.
edition 2026

use std.bert.{encoder_linears}

recipe once {  # the recipe
  model: \"dense\"
  data: builtin_reading(train: 96, dev: 24)

  # By absolute values.
  branch plain from start {
    prune encoder_linears { by: magnitude, sparsity: 60% }
  }

  # By the surgeon.
  branch surgeon from start {
    prune encoder_linears {
      by: obs(
        gradients: 12,
        block: 16,  # as many as fit
        batch: 4,
        update: independent,
      )
      sparsity: 60%  # a first try
    }
  }
}
";

/// A folder with a model, `dense`, and recipes.
fn shop() -> &'static PathBuf {
    static SHOP: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SHOP.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("dense.obert"), DENSE).unwrap();
        std::fs::write(path.join("once.obert"), PRUNE).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
            .args(["run", "dense.obert", "--out", "dense", "--quiet"])
            .current_dir(&path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        (folder, path)
    });
    path
}

/// A copy of a recipe under another name, for tests that change it.
fn recipe(name: &str, text: &str) -> String {
    std::fs::write(shop().join(name), text).unwrap();
    name.to_owned()
}

#[test]
fn oneshot_measures_what_a_run_that_prunes_once_measures() {
    let document: Value =
        serde_json::from_str(&said(&["oneshot", "once.obert", "--at", "40%,60%", "--format", "json"]))
            .unwrap();
    assert_eq!(document["metric"], "f1");
    let ways = document["series"].as_array().unwrap();
    assert_eq!(ways.len(), 2, "the recipe's criterion, and magnitude");
    // In the recipe, and so in the seed, the surgeon's statement is the second branch's.
    for level in [40, 60] {
        let own = recipe(&format!("at{level}.obert"), &PRUNE.replace("60%", &format!("{level}%")));
        let out = format!("out{level}");
        said(&["run", &own, "--out", &out, "--quiet"]);
        let log = std::fs::read_to_string(shop().join(&out).join("run.jsonl")).unwrap();
        let events: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        for (way, stage) in ways.iter().zip(["surgeon", "plain"]) {
            let found = |kind: &str| {
                events.iter().find(|e| e["event"] == kind && e["stage"] == stage).unwrap().clone()
            };
            let levels = way["levels"].as_array().unwrap();
            let here = levels.iter().find(|l| l["sparsity"] == f64::from(level) / 100.0).unwrap();
            assert_eq!(here["metrics"], found("evaluated")["metrics"], "{stage} at {level}%");
            assert_eq!(here["reached"], found("pruned")["sparsity"], "{stage} at {level}%");
        }
    }
}

#[test]
fn oneshot_prints_a_table_and_draws_a_line_for_each_criterion() {
    let output = obertc(&[
        "oneshot",
        "once.obert",
        "--at",
        "30%,50%,70%",
        "--by",
        "magnitude,obs",
        "--svg",
        "once.svg",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (table, progress) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(table.lines().filter(|l| l.contains(" magnitude ")).count(), 3, "{table}");
    assert_eq!(table.lines().filter(|l| l.contains(" obs ")).count(), 3, "{table}");
    for part in ["Criterion", "Sparsity", "EM", "F1", "(dense)", "30.0%", "70.0%"] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    // Notes are wrapped to the width of a terminal.
    let notes = progress.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(notes.contains("of 2 `prune` statements the first by `obs` is taken: in `surgeon` (once.obert:"));
    assert!(progress.contains("6/6 obs at 70.0%"), "{progress}");
    let svg = std::fs::read_to_string(shop().join("once.svg")).unwrap();
    assert_eq!(svg.matches("class=\"line c").count(), 2);
    assert_eq!(svg.matches("<circle").count(), 6);
}

#[test]
fn layers_of_which_almost_nothing_is_left_are_named_with_what_to_try() {
    let command = ["oneshot", "once.obert", "--at", "50%,99.5%", "--by", "magnitude"];
    let output = obertc(&command);
    let progress = text(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        progress.matches("warning: magnitude at 99.5%: pruned layer 0 to 99.5%").count(),
        1,
        "{progress}"
    );
    assert!(progress.contains("help: write `at_most: 95%`, or `target params("), "{progress}");
    let document: Value =
        serde_json::from_str(&said(&[&command[..], &["--format", "json"]].concat())).unwrap();
    let levels = document["series"][0]["levels"].as_array().unwrap();
    assert!(levels[0].get("warnings").is_none(), "{document}");
    assert_eq!(levels[1]["warnings"][0], "pruned layer 0 to 99.5%");
}

#[test]
fn sweep_prints_a_row_for_each_point_and_a_map_for_each_pair_and_level() {
    let grid =
        ["sweep", "once.obert", "--grid", "damp=1e-4,1e-6", "--grid", "gradients=6,12", "--at", "50%,70%"];
    let grid = |more: &[&'static str]| [&grid[..], more].concat();
    let document: Value = serde_json::from_str(&said(&grid(&["--format", "json"]))).unwrap();
    let ways = document["series"].as_array().unwrap();
    let settings: Vec<(&str, &str)> = ways
        .iter()
        .map(|w| (w["settings"]["damp"].as_str().unwrap(), w["settings"]["gradients"].as_str().unwrap()))
        .collect();
    assert_eq!(settings, [("1e-4", "6"), ("1e-4", "12"), ("1e-6", "6"), ("1e-6", "12")]);
    let means: Vec<f64> = ways.iter().map(|w| w["mean"].as_f64().unwrap()).collect();
    let best = document["best"].as_u64().unwrap() as usize;
    assert!(means.iter().all(|m| *m <= means[best]), "{means:?}");
    for way in ways {
        let f1 = way["levels"].as_array().unwrap().iter().map(|l| l["metrics"]["f1"].as_f64().unwrap());
        assert!((f1.sum::<f64>() / 2.0 - way["mean"].as_f64().unwrap()).abs() < 1e-9);
    }
    let table = said(&grid(&["--svg", "maps.svg"]));
    assert_eq!(table.lines().filter(|l| l.contains("1e-4") || l.contains("1e-6")).count(), 4, "{table}");
    assert_eq!(table.lines().filter(|l| l.trim_end().ends_with('*')).count(), 1, "{table}");
    let svg = std::fs::read_to_string(shop().join("maps.svg")).unwrap();
    assert_eq!(svg.matches("<rect x=").count(), 8, "two maps of four");
}

#[test]
fn the_best_setting_is_written_where_it_stands_and_comments_stay() {
    let own = recipe("own.obert", PRUNE);
    let first =
        said(&["sweep", &own, "--grid", "damp=1e-3", "--grid", "gradients=8", "--at", "50%", "--write"]);
    assert!(first.ends_with("written to own.obert: damp: 1e-3, gradients: 8\n"), "{first}");
    let written = std::fs::read_to_string(shop().join(&own)).unwrap();
    let expected = PRUNE
        .replace("gradients: 12", "gradients: 8")
        .replace("update: independent,", "update: independent,\n        damp: 1e-3,");
    assert_eq!(written, expected);
    let second = said(&["sweep", &own, "--grid", "damp=1e-3", "--at", "50%", "--write"]);
    assert!(second.ends_with("own.obert has the best settings already: damp: 1e-3\n"), "{second}");
    assert_eq!(std::fs::read_to_string(shop().join(&own)).unwrap(), written);
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_measured() {
    let from_parameter = PRUNE
        .replace("use std.bert", "param m: count = 12\n\nuse std.bert")
        .replace("gradients: 12", "gradients: m");
    let named = PRUNE
        .replace("recipe once", "let tuned = obs(gradients: 12, block: 16, batch: 4)\n\nrecipe once")
        .split("      by: obs(")
        .next()
        .map(|before| before.to_owned() + "      by: tuned\n      sparsity: 60%\n    }\n  }\n}\n")
        .unwrap();
    for (name, text, expected) in [
        ("parameter.obert", from_parameter, "`gradients` refers to a name"),
        ("named.obert", named, "it has a name: write"),
    ] {
        let own = recipe(name, &text);
        let complaint = complaint(&["sweep", &own, "--grid", "gradients=6", "--at", "50%", "--write"]);
        assert!(complaint.contains("OB0988") && complaint.contains(expected), "{complaint}");
        assert!(!complaint.contains("(dense)"), "nothing was measured: {complaint}");
        assert_eq!(std::fs::read_to_string(shop().join(&own)).unwrap(), text);
        said(&["sweep", &own, "--grid", "gradients=6", "--at", "50%"]);
    }
}

#[test]
fn recipes_that_cannot_be_tried_are_refused_at_their_place() {
    let movement =
        PRUNE.replace("by: magnitude", "by: movement").split("  # By the surgeon").next().unwrap().to_owned()
            + "}\n";
    let six = DENSE
        .replace("recipe dense {", "use std.bert.{encoder_linears}\nrecipe dense {")
        .replace("model: bert(layers: 1, hidden: 32, heads: 2)", "model: \"dense\"\n  keep layers [0]");
    let six = six.replace(
        "for 2 epochs { ",
        "for 2 epochs {\n  prune encoder_linears { by: magnitude, sparsity: 50% }\n  ",
    );
    let cases: [(&str, String, &[&str], &str, &str); 6] = [
        ("moves.obert", movement, &["oneshot"], "OB0985", "movement cannot be computed without training"),
        ("nothing.obert", DENSE.to_owned(), &["oneshot"], "OB0984", "nothing is pruned in it"),
        (
            "new.obert",
            PRUNE.replace("\"dense\"", "bert(layers: 1, hidden: 32, heads: 2)"),
            &["oneshot"],
            "OB0986",
            "--model DIR",
        ),
        ("layers.obert", six, &["oneshot"], "OB0989", "drops layers"),
        ("by.obert", PRUNE.to_owned(), &["oneshot", "--by", "movement"], "OB0985", "movement"),
        (
            "plain.obert",
            PRUNE.split("  # By the surgeon").next().unwrap().to_owned() + "}\n",
            &["sweep", "--grid", "damp=1e-4"],
            "OB0984",
            "by: obs(gradients: 1024)",
        ),
    ];
    for (name, text, command, code, part) in cases {
        let own = recipe(name, &text);
        let mut arguments = vec![command[0], &own, "--at", "50%"];
        arguments.extend(&command[1..]);
        let complaint = complaint(&arguments);
        assert!(complaint.contains(code) && complaint.contains(part), "{name}: {complaint}");
        assert!(complaint.contains("╭─["), "{name} has a place: {complaint}");
    }
}

#[test]
fn oneshot_measures_again_what_the_recipe_rounds() {
    let head = |name: &str| {
        format!(
            "edition 2026\nuse std.bert.{{encoder_linears}}\nrecipe {name} {{\n  model: \"dense\"\n  \
             data: builtin_reading(train: 96, dev: 24)\n  batch: 16\n"
        )
    };
    let quantize = "quantize encoder_linears { weights: int4(per: channel), calibrate: 3 }";
    let tried = recipe(
        "rounding.obert",
        &format!(
            "{}  stage pruned {{ prune encoder_linears {{ by: magnitude, sparsity: 60% }} }}\n  \
             stage trained for 1 epochs {{\n    lr {{ 0..1 epochs: 1e-3 -> 0 linear }}\n    {quantize}\n  }}\n}}\n",
            head("tried")
        ),
    );
    let output = obertc(&["oneshot", &tried, "--at", "40%,60%", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr)
            .contains("evaluated a second time after post-training quantization as in `trained`")
    );
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    // What is not pruned, rounded, is what a run measures that rounds alone.
    let alone = recipe("rounded.obert", &format!("{}  stage only {{ {quantize} }}\n}}\n", head("alone")));
    said(&["run", &alone, "--out", "rounded", "--quiet"]);
    let log = std::fs::read_to_string(shop().join("rounded/run.jsonl")).unwrap();
    let mut events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let measured = events.rfind(|event| event["event"] == "evaluated").unwrap();
    assert_eq!(document["dense_quantized"], measured["metrics"]);
    for level in document["series"][0]["levels"].as_array().unwrap() {
        assert!(level["quantized"]["f1"].is_f64() && level["metrics"]["f1"].is_f64(), "{level}");
    }
    let table = said(&["oneshot", &tried, "--at", "60%"]);
    assert!(table.contains("(dense), quantized") && table.contains("magnitude, quantized"), "{table}");
}

/// A sweep whose first trial is quick and whose second takes hours, after its first trial. SIGHUP is ignored from the
/// beginning if `nohup`.
#[cfg(unix)]
fn long_sweep(recipe: &str, nohup: bool) -> (std::process::Child, BufReader<std::process::ChildStderr>) {
    let trap = if nohup { "trap '' HUP; " } else { "" };
    let mut child = Command::new("sh")
        .args(["-c", &format!("{trap}exec \"$@\""), "sh", env!("CARGO_BIN_EXE_obertc"), "sweep", recipe])
        .args(["--grid", "gradients=12,10_000_000", "--at", "50%", "--write"])
        .env("NO_COLOR", "1")
        .current_dir(shop())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("1/2") {
        line.clear();
        assert!(printed.read_line(&mut line).unwrap() > 0, "it ended before it was stopped");
    }
    (child, printed)
}

#[cfg(unix)]
fn signal(name: &str, child: &std::process::Child) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Whether this process was started with a signal ignored, where the system says so.
#[cfg(unix)]
fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    ignored
        .and_then(|mask| u64::from_str_radix(mask, 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_asked_to_stop_says_how_far_it_came_and_writes_nothing() {
    // A program that `nohup` or a shell in the background started ignores some, and so do its children.
    let requests = [("-INT", 2), ("-TERM", 15), ("-HUP", 1)];
    for (request, _) in requests.into_iter().filter(|(_, number)| !is_ignored(*number)) {
        let name = recipe(&format!("stopped{request}.obert"), PRUNE);
        let (mut child, mut printed) = long_sweep(&name, false);
        signal(request, &child);
        let mut rest = String::new();
        printed.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{request}: {rest}");
        assert!(rest.contains("stopping before the next trial"), "{request}: {rest}");
        assert!(rest.contains("OB0921") && rest.contains("stopped after 1 of 2 trials"), "{rest}");
        assert_eq!(std::fs::read_to_string(shop().join(&name)).unwrap(), PRUNE);
    }
}

#[cfg(unix)]
#[test]
fn a_closed_terminal_stops_nothing_under_nohup() {
    let name = recipe("nohup.obert", PRUNE);
    let (mut child, mut printed) = long_sweep(&name, true);
    signal("-HUP", &child);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    signal("-INT", &child);
    let mut rest = String::new();
    printed.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(rest.matches("stopping before the next trial").count(), 1, "{rest}");
}
