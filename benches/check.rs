//! The time of a check: `cargo bench --profile dev --no-default-features --features bench --bench check`.
//!
//! Measures the compiler in process on the paper's recipe, a process of `obertc check`, a folder of a thousand recipes,
//! and the answers of the language server to a change. docs/language.md quotes the results.

use std::hint::black_box;
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};
use lsp_server::{Connection, Message, Notification, Request};
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::lsp::server;
use serde_json::{Value, json};

const PAPER: &str = include_str!("../stdlib_recipes/paper/30epochs_unstructured90_squad.obert");

fn check(c: &mut Criterion) {
    c.bench_function("check a paper recipe in process", |b| {
        b.iter(|| {
            let compiled = compile("recipe.obert", black_box(PAPER), &NoFiles, Options::default());
            assert!(compiled.schedule.is_some());
        });
    });
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..1000 {
        std::fs::write(folder.path().join(format!("{i}.obert")), PAPER).expect("a recipe");
    }
    let one = folder.path().join("0.obert");
    let run = |path: &std::path::Path| {
        let status = Command::new(env!("CARGO_BIN_EXE_obertc"))
            .arg("check")
            .arg(path)
            .stdout(Stdio::null())
            .status()
            .expect("obertc runs");
        assert!(status.success());
    };
    c.bench_function("obertc check RECIPE", |b| b.iter(|| run(&one)));
    let mut slow = c.benchmark_group("whole folders");
    slow.sample_size(10);
    slow.bench_function("obertc check FOLDER of 1000 recipes", |b| b.iter(|| run(folder.path())));
}

/// A recipe of 500 lines: a stage has ten.
fn long_recipe() -> String {
    let mut text = String::from(
        "edition 2026\nuse std.bert.{encoder_linears, attention_linears}\nparam target: ratio = 80% in 50%..95%\n\n\
         recipe long {\n  model: \"bert-base-uncased\"\n  data: squad\n",
    );
    for stage in 0..49 {
        text.push_str(&format!(
            "  ## Stage {stage}.\n  stage s{stage} for 4 epochs {{\n    lr {{ 0..4 epochs: 5e-4 -> 5e-5 linear }}\n    \
             prune encoder_linears over 0..3 epochs every 0.5 epochs {{\n      by: obs(gradients: 192, block: 32)\n      \
             sparsity: 30% -> target cubic\n      target attention_linears: 70%\n    }}\n    allow OB0701\n  }}\n"
        ));
    }
    text.push_str("}\n");
    assert!(text.lines().count() >= 498);
    text
}

/// The language server: a change and the answer of a request after it, as a client waits for it.
fn edit(c: &mut Criterion) {
    let (server, client) = Connection::memory();
    std::thread::spawn(move || server::run(&server));
    let uri = "file:///long.obert";
    let mut id = 0;
    let mut ask = |method: &str, params: Value| {
        id += 1;
        let request = Request { id: id.into(), method: method.to_owned(), params };
        client.sender.send(request.into()).expect("the server runs");
        loop {
            if let Message::Response(response) = client.receiver.recv().expect("an answer") {
                let answer = response.response_result.expect("a result");
                return answer;
            }
        }
    };
    ask("initialize", json!({ "capabilities": { "textDocument": { "diagnostic": {} } } }));
    let tell = |method: &str, params: Value| {
        let notification = Notification { method: method.to_owned(), params };
        client.sender.send(notification.into()).expect("the server runs");
    };
    let document = json!({ "uri": uri, "languageId": "obert", "version": 0, "text": long_recipe() });
    tell("textDocument/didOpen", json!({ "textDocument": document }));
    let mut version = 0;
    // `30%` in the middle of the text becomes `31%` and so on.
    let mut change = || {
        version += 1;
        let at = |character: u32| json!({ "line": 262, "character": character });
        let range = json!({ "start": at(17), "end": at(18) });
        let digit = (version % 10).to_string();
        let changes = json!([{ "range": range, "text": digit }]);
        let document = json!({ "uri": uri, "version": version });
        tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    };
    let of = json!({ "textDocument": { "uri": uri } });
    let at = json!({ "textDocument": { "uri": uri }, "position": { "line": 262, "character": 8 } });
    let mut group = c.benchmark_group("a change in a recipe of 500 lines");
    for (name, method, params) in [
        ("diagnostics", "textDocument/diagnostic", &of),
        ("semantic tokens", "textDocument/semanticTokens/full", &of),
        ("hover", "textDocument/hover", &at),
        ("completion", "textDocument/completion", &at),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                change();
                black_box(ask(method, params.clone()))
            });
        });
    }
}

criterion_group!(benches, check, edit);
criterion_main!(benches);
