//! `memory:` in a recipe is kept, and a step takes what the plan says: the resident size of whole runs,
//! each in a process of its own.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::resume::squad;

/// Weights of the encoder's six matrices: one layer, 128 wide. In blocks of 256 their Fisher
/// blocks take 100 MiB, of the largest matrix 33 MiB.
const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}
recipe tiny {
  model: bert(layers: 1, hidden: 128, heads: 2)
  data: builtin_reading(train: 64, dev: 4)
  stage only { prune encoder_linears { by: BY, sparsity: 50% } }
}
";

/// The most memory that a run had, in bytes. The kernel keeps the peak itself; it is read until the
/// process ends.
fn peak(folder: &Path, name: &str, by: &str) -> u64 {
    peak_of(folder, name, &RECIPE.replace("BY", by), &[])
}

fn peak_of(folder: &Path, name: &str, text: &str, more: &[&str]) -> u64 {
    let recipe = folder.join(format!("{name}.obert"));
    std::fs::write(&recipe, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["run", recipe.to_str().unwrap(), "--quiet", "--out"])
        .arg(folder.join(name))
        .args(more)
        .env("RAYON_NUM_THREADS", "2")
        // Memory that is given back is given back at once.
        .env("MIMALLOC_PURGE_DELAY", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{name}");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_plan_counts_the_factors_of_ill_conditioned_blocks_as_they_are_computed() {
    use obert::internals::method::obs::{FACTOR_MEMORY, QrFactors};
    use obert::internals::schedule::ir::Obs;
    use obert::internals::schedule::memory;
    assert_eq!(memory::FACTOR_MEMORY, FACTOR_MEMORY);
    let obs = Obs { block: 50, ..Obs::default() };
    assert_eq!(obs.factor_bytes(50), QrFactors::bytes_of_block(50));
}

#[test]
fn an_estimate_stays_within_the_memory_that_the_recipe_allows() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let obs = |memory: &str| format!("obs(gradients: 256, block: 256, batch: 1{memory})");
    let least = peak(folder.path(), "magnitude", "magnitude");
    // What a backward pass takes is taken with any limit.
    let small = peak(folder.path(), "small", "obs(gradients: 1, block: 1, batch: 1)").max(least);
    let free = peak(folder.path(), "free", &obs(""));
    let tight = peak(folder.path(), "tight", &obs(", memory: 40 MiB"));
    let shown = format!("{} and {} MiB, {} without an estimate", free / MIB, tight / MIB, small / MIB);
    assert!(free > small + 100 * MIB, "the estimate is what counts: {shown}");
    assert!(tight < small + 80 * MIB, "40 MiB, and as much again for what is computed with it: {shown}");
}

/// A model of 4 layers, 256 wide: what a step takes is far more than the program and the data.
const START: &str = "edition 2026
use std.bert.{encoder_linears}
recipe start {
  model: bert(layers: 4, hidden: 256, heads: 4)
  data: builtin_reading(train: 8, dev: 4)
  stage only { prune encoder_linears { by: magnitude, sparsity: 1% } }
}
";

const STEPS: &str = "edition 2026
recipe steps for 1 epoch {
  model: \"start\"
  data: squad(max_length: 128, doc_stride: 16)
  batch: 32
  lr { 0..1 epochs: 1e-5 }
}
";

#[test]
fn a_step_takes_the_memory_that_the_plan_says() {
    const MIB: u64 = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    peak_of(folder, "start", START, &[]);
    // Texts so long that all windows but the last of each are full.
    std::fs::create_dir(folder.join("data")).unwrap();
    for (name, [questions, _]) in [("train", squad(3, 16, 12)), ("dev", squad(4, 1, 1))] {
        std::fs::write(folder.join("data").join(format!("{name}.json")), questions).unwrap();
    }
    let [model, data] = ["start", "data"].map(|name| folder.join(name).display().to_string());
    let measured =
        peak_of(folder, "steps", STEPS, &["--model", &model, "--data", &data, "--limit-steps", "3"]);
    let plan = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["plan", "--format", "json", "--model", &model])
        .arg(folder.join("steps.obert"))
        .output()
        .unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let planned = plan["stages"][0]["memory"]["peak"].as_u64().unwrap();
    let ratio = measured as f64 / planned as f64;
    let shown = format!("{} MiB, and {} MiB were planned", measured / MIB, planned / MIB);
    assert!((1.0 / 1.3..1.3).contains(&ratio), "a step took {shown}");
}
