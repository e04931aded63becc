//! The binary: exit codes, and what is said on bad input.

use std::process::{Command, Output};

fn obertc(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn recipe(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".obert").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn a_good_recipe_is_fine_and_exits_0() {
    let output = obertc(&["check", "stdlib_recipes/quickstart.obert"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "stdlib_recipes/quickstart.obert: fine (4 stages)\n");
}

#[test]
fn three_mistakes_are_three_located_diagnostics_and_exit_1() {
    let file = recipe(
        "edition 2026
recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linaer }
  prune params(\"bert.encoder.**.dense.weight\") over 0..2 epochs every 1 epoch {
    by: magnitude
    sparsity: 80
    rnak: global
  }
}
",
    );
    let output = obertc(&["check", path(&file), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let places: Vec<(String, u64)> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["code"].as_str().unwrap().into(), f["labels"][0]["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [("OB0312".into(), 5), ("OB0302".into(), 8), ("OB0203".into(), 9)]);
    let people = obertc(&["check", path(&file)]);
    assert_eq!(people.status.code(), Some(1));
    assert!(stderr(&people).contains("3 errors"), "{}", stderr(&people));
}

#[test]
fn wrong_usage_exits_2() {
    for arguments in
        [&["chekc"][..], &["check"], &["plan", "x.obert", "--steps-per-epoch", "0"], &["check", "--nope"]]
    {
        let output = obertc(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!stderr(&output).is_empty());
    }
}

#[test]
fn unreadable_recipes_are_errors_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary.obert");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let cases = [
        ("no/such/file.obert", "cannot read"),
        (empty.path().to_str().unwrap(), "holds no .obert file"),
        (binary.to_str().unwrap(), "not UTF-8"),
    ];
    for (path, expected) in cases {
        let output = obertc(&["check", path]);
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn set_of_an_unknown_name_names_the_known_ones() {
    let output = obertc(&["check", "stdlib_recipes/quickstart.obert", "--set", "taget=90%"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean `target`?"), "{}", stderr(&output));
    let output = obertc(&["check", "stdlib_recipes/quickstart.obert", "--set", "target"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("name=value"), "{}", stderr(&output));
}

#[test]
fn set_of_a_value_out_of_range_points_at_both() {
    let output = obertc(&["check", "stdlib_recipes/quickstart.obert", "--set", "target=99%"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("--set target") && text.contains("30%..95%"), "{text}");
}

#[test]
fn a_selector_that_matches_nothing_names_the_nearest_parameter() {
    let file = recipe(
        "edition 2026
recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linear }
  hold params(\"bert.encoder.layer.0.attention.self.qery.weight\")
}
",
    );
    let output = obertc(&["check", path(&file)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("self.query.weight"), "{}", stderr(&output));
}

#[test]
fn params_lists_names_shapes_and_totals() {
    let output = obertc(&["params", "--model", "bert-base-uncased", "bert.encoder.layer.0.**.dense.weight"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
    let nothing = obertc(&["params", "--model", "bert-base-uncased", "bert.encodr.**"]);
    assert_eq!(nothing.status.code(), Some(1));
    let nowhere = obertc(&["params", "--model", "bert-bse-uncased"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("bert-base-uncased"), "{}", stderr(&nowhere));
}

#[test]
fn broken_model_folders_are_errors_before_anything_else() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path();
    let check = || {
        let output =
            obertc(&["check", "stdlib_recipes/quickstart.obert", "--model", model.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    assert!(check().contains("config.json"), "no configuration");
    std::fs::write(model.join("config.json"), "{ \"model_type\": \"bert\", ").unwrap();
    assert!(check().contains("not JSON"));
    std::fs::write(model.join("config.json"), "{ \"model_type\": \"gpt2\" }").unwrap();
    assert!(check().contains("`model_type` is `gpt2`"));
    let config = r#"{ "model_type": "bert", "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 16 }"#;
    std::fs::write(model.join("config.json"), config).unwrap();
    assert!(check().contains("model.safetensors"), "no weights");
    std::fs::write(model.join("model.safetensors"), [200, 0, 0, 0, 0, 0, 0, 0, b'{']).unwrap();
    assert!(check().contains("truncated"));
    let header =
        br#"{"bert.embeddings.word_embeddings.weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 48]);
    std::fs::write(model.join("model.safetensors"), bytes).unwrap();
    let text = check();
    assert!(text.contains("`vocab_size` is 10") && text.contains("has the shape [3, 4]"), "{text}");
    std::fs::write(model.join("config.json"), config.replace(": 10", ": 3")).unwrap();
    let text = check();
    assert!(text.contains("lacks 20 tensors: bert.embeddings.position_embeddings.weight"), "{text}");
}

#[test]
fn help_reads_as_recorded() {
    let engine = if cfg!(feature = "engine") {
        &["oneshot", "sweep", "run", "eval", "pack", "predict", "bench"][..]
    } else {
        &[]
    };
    let all = [
        "",
        "check",
        "plan",
        "params",
        "explain",
        "new",
        "completions",
        "import",
        "export",
        "report",
        "lsp",
        "watch",
    ];
    for command in all.iter().chain(engine) {
        let arguments: Vec<&str> = command.split(' ').filter(|c| !c.is_empty()).chain(["--help"]).collect();
        let output = obertc(&arguments);
        assert_eq!(output.status.code(), Some(0));
        // The engine's commands are listed only where it is built in.
        if cfg!(feature = "engine") || !command.is_empty() {
            insta::assert_snapshot!(format!("help_{command}"), stdout(&output));
        }
    }
}

#[test]
#[cfg(feature = "engine")]
fn help_of_the_engine_commands_speaks_the_words_of_the_field() {
    for command in ["run", "eval", "predict", "pack", "bench"] {
        let help = stdout(&obertc(&[command, "--help"]));
        for dialect in ["anew", "likewise", "figures", "measured on", "longest", "rounded", "At most so many"]
        {
            assert!(!help.contains(dialect), "`{dialect}` in the help of `{command}`:\n{help}");
        }
        // What a saved model was made with has the same flags in every command that uses one.
        if command != "run" {
            for flag in [
                "--task",
                "--text",
                "--pair",
                "--label ",
                "--labels",
                "--positive",
                "--doc-stride",
                "--max-answer-length",
            ] {
                assert!(help.contains(flag), "`{command}` lacks {flag}:\n{help}");
            }
        }
        assert!(help.contains("--max-length"), "{help}");
        let old = obertc(&[command, "--max-seq-len", "4"]);
        assert!(stderr(&old).contains("4 is not in 8.."), "the former name is read: {}", stderr(&old));
    }
}

#[test]
fn explain_answers_words_and_exits_2_on_those_it_does_not_know() {
    let list = obertc(&["explain"]);
    assert_eq!(list.status.code(), Some(0));
    let text = stdout(&list);
    let listed: Vec<&str> = text.split_whitespace().collect();
    for (group, words) in obert::internals::explain::topics() {
        assert!(text.contains(&format!("\n{group}\n")) || text.starts_with(group), "{text}");
        for word in words {
            let found = word.split(' ').all(|part| listed.contains(&part));
            assert!(found, "{group}: {word}");
        }
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.ends_with("`obertc explain TOPIC` shows one of them.\n"), "{text}");
    for (word, first) in [("ob0402", "OB0402: a window is empty\n"), ("prune.damp", "obs.damp\n")] {
        let output = obertc(&["explain", word]);
        assert_eq!(output.status.code(), Some(0), "{word}");
        assert!(stdout(&output).starts_with(first), "{}", stdout(&output));
    }
    let unknown = obertc(&["explain", "prnue"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stdout(&unknown).is_empty());
    assert!(stderr(&unknown).contains("did you mean `prune`?"), "{}", stderr(&unknown));
}

#[test]
fn new_writes_a_recipe_that_checks_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    for template in ["quickstart", "gradual", "oneshot", "transfer", "quantized"] {
        let file = folder.path().join(format!("my {template}.obert"));
        let path = file.to_str().unwrap();
        let written = obertc(&["new", path, "--template", template]);
        assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("\nrecipe my_{template} ")), "{text}");
        assert_eq!(obertc(&["check", path]).status.code(), Some(0));
        assert_eq!(obertc(&["fmt", "--check", path]).status.code(), Some(0));
        let again = obertc(&["new", path]);
        assert_eq!(again.status.code(), Some(1));
        assert!(stderr(&again).contains("already there"), "{}", stderr(&again));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        let printed = obertc(&["new", "-", "--template", template]);
        assert!(stdout(&printed).contains(&format!("\nrecipe {template} ")), "{}", stdout(&printed));
        assert!(stdout(&printed).starts_with("## "), "{template} does not say what it does");
    }
    for name in ["8-bit model.obert", "for.obert", "über.obert", "-x.obert", ".obert", "x.y.z"] {
        let file = folder.path().join(name);
        let path = file.to_str().unwrap();
        assert_eq!(obertc(&["new", path]).status.code(), Some(0), "{name}");
        let checked = obertc(&["check", path]);
        assert_eq!((checked.status.code(), stderr(&checked)), (Some(0), String::new()), "{name}");
        assert_eq!(obertc(&["fmt", "--check", path]).status.code(), Some(0), "{name}");
    }
    let nowhere = obertc(&["new", folder.path().join("no/such.obert").to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert_eq!(obertc(&["new", "x.obert", "--template", "grdual"]).status.code(), Some(2));
}

#[test]
fn the_version_says_with_verbose_what_the_program_was_built_for() {
    let short = format!("obertc {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(stdout(&obertc(&["--version"])), short);
    assert_eq!(stdout(&obertc(&["-V"])), short);
    let long = stdout(&obertc(&["--version", "--verbose"]));
    assert_eq!(stdout(&obertc(&["-vV"])), long);
    let lines: Vec<(&str, &str)> = long[short.len()..].lines().filter_map(|l| l.split_once(": ")).collect();
    let value = |name: &str| lines.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    assert!(long.starts_with(&short) && value("commit").is_some_and(|c| !c.is_empty()), "{long}");
    let target = value("target").unwrap();
    assert!(target.contains(std::env::consts::ARCH) && target.contains(std::env::consts::OS), "{target}");
    for (feature, is_on) in [("engine", cfg!(feature = "engine")), ("serve", cfg!(feature = "serve"))] {
        assert_eq!(value("features").unwrap().split(' ').any(|f| f == feature), is_on, "{long}");
    }
    assert_eq!(value("instruction set").is_some(), cfg!(feature = "infer"), "{long}");
    assert_eq!(value("burn").is_some(), cfg!(feature = "engine"), "{long}");
    assert_eq!(obertc(&["--verbose"]).status.code(), Some(2));
    assert_eq!(obertc(&["--version", "check", "x.obert"]).status.code(), Some(2));
    assert_eq!(obertc(&[]).status.code(), Some(2));
}

#[test]
fn man_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("man");
    let output = obertc(&["man", target.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let read = |name: &str| std::fs::read_to_string(target.join(name)).unwrap();
    assert!(read("obertc.1").contains("obertc\\-check(1)"), "{}", read("obertc.1"));
    let check = read("obertc-check.1");
    assert!(check.contains(".TH obertc-check 1") && check.contains("unsafe"), "{check}");
    let help = stdout(&obertc(&["--help"]));
    let commands = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
    for command in commands.filter_map(|l| l.split_whitespace().next()).filter(|c| *c != "help") {
        assert!(target.join(format!("obertc-{command}.1")).exists(), "{command}");
    }
    let file = recipe("");
    let refused = obertc(&["man", path(&file)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("may you write there?"), "{}", stderr(&refused));
}

#[test]
fn completions_know_the_commands_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = obertc(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        assert!(
            ["check", "explain", "template"].iter().all(|word| script.contains(word)),
            "{shell}:\n{script}"
        );
    }
    assert_eq!(obertc(&["completions", "tcsh"]).status.code(), Some(2));
}

const SPARSEML: &str = "tests/corpus/yaml/paper/30epochs_unstructured90_squad.yaml";

#[test]
fn a_sparseml_recipe_is_checked_and_planned_like_any_other() {
    let output = obertc(&["check", SPARSEML]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("fine (1 stage)"), "{}", stdout(&output));
    let output = obertc(&["plan", SPARSEML, "--format", "ir"]);
    let schedule: obert::internals::schedule::Schedule = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schedule.stages[0].prune.len(), 1);
    let output = obertc(&["check", "tests/corpus/yaml/tricky/unknown_field.yaml", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = findings.as_array().unwrap().iter().find(|f| f["severity"] == "error").unwrap();
    assert_eq!((error["code"].as_str(), error["labels"][0]["line"].as_u64()), (Some("OB0811"), Some(22)));
}

#[test]
fn a_sparseml_recipe_is_imported_and_exported_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("squad.obert");
    let recipe = recipe.to_str().unwrap();
    let output =
        obertc(&["import", SPARSEML, "--model", "bert-large-uncased", "--data", "squad", "--out", recipe]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("are assumed"), "{}", stderr(&output));
    let output = obertc(&["fmt", "--check", recipe]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let yaml = folder.path().join("squad.yaml");
    let output = obertc(&["export", recipe, "--out", yaml.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let plan = |path: &str| {
        stdout(&obertc(&["plan", path, "--steps-per-epoch", "100"]))
            .replace("epochs30_unstructured90_squad", "squad")
    };
    assert_eq!(plan(recipe), plan(yaml.to_str().unwrap()));
    let output = obertc(&["export", "stdlib_recipes/quickstart.obert"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("OB0827"), "{}", stderr(&output));
}

#[test]
fn set_replaces_a_variable_of_a_sparseml_recipe() {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let text =
        "epochs: 3\nmodifiers:\n  - !EpochRangeModifier\n    start_epoch: 0\n    end_epoch: eval(epochs)\n";
    std::fs::write(file.path(), text).unwrap();
    let output = obertc(&["import", path(&file), "--set", "epochs=7"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("for 7 epochs"), "{}", stdout(&output));
    let output = obertc(&["check", path(&file), "--set", "epoch=7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("did you mean `epochs`?"), "{}", stderr(&output));
}
