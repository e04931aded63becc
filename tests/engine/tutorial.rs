//! The commands of docs/tutorial.md, run in their order: from a model in the cache of the hub and a CSV to
//! predictions. The model is tiny and the reviews are generated; everything else is the page's own.

use std::path::Path;
use std::process::Command;

use obert::internals::task::data::builtin;
use regex::Regex;

use super::tasks::{Workshop, stderr, stdout};

/// The blocks of code of a page: what follows the fence, and the code.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

/// The page's table of reviews with generated rows after its own.
fn reviews(head: &str, seed: u64) -> String {
    let split = builtin::generate(64, 4, seed);
    let label = |question: &str| if question.starts_with("Who") { "positive" } else { "negative" };
    let rows = split.train.iter().map(|q| format!("\"{}\",{}\n", q.question, label(&q.question)));
    format!("{head}\n{}", rows.collect::<String>())
}

/// Puts a model into a cache of the hub under a name.
fn into_cache(model: &Path, home: &Path, name: &str) {
    let entry = home.join("hub").join(format!("models--{}", name.replace('/', "--")));
    let snapshot = entry.join("snapshots/0123456789abcdef0123456789abcdef01234567");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(entry.join("refs")).unwrap();
    std::fs::write(entry.join("refs/main"), "0123456789abcdef0123456789abcdef01234567").unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(model.join(file), snapshot.join(file)).unwrap();
    }
}

/// A line without what depends on the model: numbers (`…` on the page), units of size, the label that is predicted
/// and the best row. Spaces are single.
fn words(line: &str) -> String {
    let values =
        Regex::new(r#"…|[0-9][0-9.]*(,[0-9]{3})*(e-?[0-9]+)?|\b[kM]B\b|"(negative|positive)"| \*"#).unwrap();
    values.replace_all(line, "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_tutorial_goes_from_a_model_and_a_csv_to_predictions_and_shows_what_its_commands_print() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tutorial.md")).unwrap();
    let shop = Workshop::new();
    let tiny = "  model: bert(layers: 1, hidden: 32, heads: 2)\n  data: builtin_reading(train: 16, dev: 4)
  lr { 0..1 epochs: 1e-4 }";
    shop.succeeds("tiny", 1, tiny, &["--limit-steps", "1"]);
    let (folder, home) = (shop.path("user"), shop.path("huggingface"));
    std::fs::create_dir_all(folder.join("reviews")).unwrap();
    into_cache(&shop.path("tiny"), &home, "nreimers/MiniLM-L6-H384-uncased");

    let programs = Path::new(env!("CARGO_BIN_EXE_obertc")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let (mut printed, mut commands, mut shown) = (String::new(), 0, 0);
    for (info, code) in blocks(&page) {
        match info {
            "csv" => {
                for (file, seed) in [("train.csv", 1), ("dev.csv", 2)] {
                    std::fs::write(folder.join("reviews").join(file), reviews(code, seed)).unwrap();
                }
            }
            "console" => {
                printed.clear();
                for command in code.lines().filter_map(|line| line.strip_prefix("$ ")) {
                    let output = Command::new("sh")
                        .args(["-c", command])
                        .current_dir(&folder)
                        .env("PATH", &path)
                        .env("HF_HOME", &home)
                        .env("HF_HUB_OFFLINE", "1")
                        .env("OBERT_CACHE", shop.path("features"))
                        .env("OBERT_PYTHON", "/nowhere/python")
                        .env("NO_COLOR", "1")
                        .output()
                        .unwrap();
                    assert!(output.status.success(), "{command}\n{}{}", stdout(&output), stderr(&output));
                    printed += &(stderr(&output) + &stdout(&output));
                    commands += 1;
                }
            }
            "text" => {
                let there: Vec<String> = printed.lines().map(words).collect();
                for line in code.lines() {
                    assert!(there.contains(&words(line)), "no command prints `{line}`, but\n{printed}");
                    shown += 1;
                }
            }
            file => {
                let name = file.split_once("file=").expect("a recipe that is saved").1;
                std::fs::write(folder.join(name), format!("{code}\n")).unwrap();
            }
        }
    }
    assert!(commands >= 10 && shown >= 20, "{commands} commands, {shown} lines of output");
    let recipe = std::fs::read_to_string(folder.join("reviews.obert")).unwrap();
    assert!(recipe.contains("damp: 1e-"), "the best setting is written into the recipe: {recipe}");
}
