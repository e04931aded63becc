//! `memory:` in a recipe is kept: the resident size of whole runs, each in a process of its own.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

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
    let recipe = folder.join(format!("{name}.obert"));
    std::fs::write(&recipe, RECIPE.replace("BY", by)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["run", recipe.to_str().unwrap(), "--quiet", "--out"])
        .arg(folder.join(name))
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
