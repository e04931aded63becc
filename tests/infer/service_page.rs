//! The commands of docs/from-a-hugging-face-model-to-a-service.md, run in their order with a tiny model.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::golden::golden;

/// A process that is stopped when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Puts a model into a cache of the hub under a name.
fn into_cache(model: &Path, home: &Path, name: &str) {
    let entry = home.join("hub").join(format!("models--{}", name.replace('/', "--")));
    let snapshot = entry.join("snapshots/0123456789abcdef0123456789abcdef01234567");
    std::fs::create_dir_all(snapshot.join("1_Pooling")).unwrap();
    std::fs::create_dir_all(entry.join("refs")).unwrap();
    std::fs::write(entry.join("refs/main"), "0123456789abcdef0123456789abcdef01234567").unwrap();
    let files =
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "modules.json"];
    for file in files.into_iter().chain(["1_Pooling/config.json"]) {
        std::fs::copy(model.join(file), snapshot.join(file)).unwrap();
    }
}

/// A line with `…` for each number or list of numbers.
fn shape(line: &str) -> String {
    let numbers = regex::Regex::new(
        r"-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?(,-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?){2,}|-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?",
    );
    numbers.unwrap().replace_all(line, "…").into_owned()
}

#[test]
fn a_number_or_a_list_of_numbers_is_left_out() {
    assert_eq!(shape("[[0.5,-1,2e-3],[1,2,3.5]]"), "[[…],[…]]");
    assert_eq!(shape("[0.25,1]"), "[…,…]");
}

#[test]
fn the_page_goes_from_a_model_of_the_hub_to_answers_over_http() {
    let page = include_str!("../../docs/from-a-hugging-face-model-to-a-service.md");
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("huggingface");
    into_cache(&golden("embeddings/model"), &home, "sentence-transformers/all-MiniLM-L6-v2");
    let programs = Path::new(env!("CARGO_BIN_EXE_obertc")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let command = |text: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", text]).current_dir(folder.path()).env("PATH", &path).env("HF_HOME", &home);
        command.env("HF_HUB_OFFLINE", "1").env("NO_COLOR", "1").env_remove("OBERT_API_KEY");
        command
    };
    let (mut server, mut address) = (None, String::new());
    let (mut printed, mut commands, mut shown) = (Vec::new(), 0, 0);
    for block in page.split("\n```").skip(1).step_by(2) {
        let (info, code) = block.split_once('\n').unwrap();
        if info == "text" {
            for line in code.lines() {
                assert!(printed.contains(&line.to_owned()), "no command prints `{line}`, but {printed:?}");
                shown += 1;
            }
        }
        if info != "console" {
            continue;
        }
        printed.clear();
        for line in code.lines().filter_map(|line| line.strip_prefix("$ ")) {
            commands += 1;
            if line.starts_with("obertc serve") {
                // Another program may use the port of the page.
                let line = format!("exec {}", line.replace("--port 8080", "--port 0"));
                let mut child = command(&line).stderr(Stdio::piped()).spawn().unwrap();
                let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
                server = Some(Running(child));
                let first = lines.next().unwrap().unwrap();
                address = first.strip_prefix("listening on http://").expect(&first).to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                continue;
            }
            let line = line.replace("localhost:8080", &address).replace("curl -s", "curl -s --fail");
            let output = command(&line).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(output.status.success(), "{line}\n{}{}", text(&output.stdout), text(&output.stderr));
            printed.extend(text(&output.stdout).lines().map(shape));
        }
    }
    assert!(server.is_some() && commands == 7 && shown == 3, "{commands} commands, {shown} lines");
}
