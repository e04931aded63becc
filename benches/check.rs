//! The time of a check: `cargo bench --profile dev --no-default-features --features bench --bench check`.
//!
//! Measures the compiler in process on the paper's recipe, a process of `obertc check`, and a folder of a thousand
//! recipes. docs/language.md quotes the results.

use std::hint::black_box;
use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};
use obert::internals::language::{NoFiles, Options, compile};

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

criterion_group!(benches, check);
criterion_main!(benches);
