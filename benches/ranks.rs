//! Training steps and a pruning event on 1, 2 and 4 ranks of this machine, with one thread each, and the exchange of 22
//! million floats between them. Run it as `cargo bench --profile dev --features mpi --bench ranks`; `docs/scaling.md`
//! explains the numbers.

#![allow(clippy::print_stdout)]

use std::process::Command;
use std::time::Instant;

use obert::internals::ranks::{Ranks, processes, start};
use serde_json::Value;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Elements of the exchanged gradient, as of a MiniLM with six layers.
const ELEMENTS: usize = 22_000_000;

/// Four batches in a step, and 64 gradients of one batch in a pruning event.
const RECIPE: &str = r#"edition 2026
use std.bert.{encoder_linears}
recipe steps for 1 epoch {
  model: bert(layers: 4, hidden: 256, heads: 4)
  data: builtin_reading(train: 192, dev: 8)
  batch: 8
  train { accumulate: 4 }
  lr { 0..1 epochs: 1e-4 }
  prune encoder_linears { by: obs(gradients: 64, block: 32, batch: 8), sparsity: 50% }
}
"#;

fn main() {
    if processes().is_some() {
        exchange(&start().expect("a build with MPI"));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = folder.path().join("steps.obert");
    std::fs::write(&recipe, RECIPE).expect("the recipe");
    println!("ranks  step s  pruning s  exchange of {ELEMENTS} floats s");
    for ranks in [1, 2, 4] {
        let out = folder.path().join(format!("on_{ranks}"));
        let mut run = launched(ranks, env!("CARGO_BIN_EXE_obertc"));
        run.arg("run").arg(&recipe).arg("--out").arg(&out).args(["--quiet", "--no-speed", "--no-cache"]);
        let output = run.output().expect("mpirun");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let log = std::fs::read_to_string(out.join("run.jsonl")).expect("a log");
        let events: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let seconds = |name: &str| -> Vec<f64> {
            let of = events.iter().filter(|event| event["event"] == name);
            of.filter_map(|event| event["seconds"].as_f64()).collect()
        };
        let exe = std::env::current_exe().expect("this program");
        let exchanged = launched(ranks, &exe.to_string_lossy()).output().expect("mpirun");
        let exchanged = String::from_utf8_lossy(&exchanged.stdout).trim().to_owned();
        println!(
            "{ranks:>5}  {:>6.2}  {:>9.2}  {exchanged}",
            median(seconds("step")),
            seconds("pruned").iter().sum::<f64>()
        );
    }
}

fn launched(ranks: usize, program: &str) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string(), program]);
    command.env("RAYON_NUM_THREADS", "1");
    for allowed in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(allowed, "1");
    }
    command
}

/// Sums a gradient of every rank, as a step does with one batch for each, and prints the median time.
fn exchange(ranks: &Ranks) {
    let own = vec![ranks.rank() as f32; ELEMENTS];
    let slices = ranks.slices(ELEMENTS);
    let mut times = Vec::new();
    for _ in 0..7 {
        ranks.any(false);
        let clock = Instant::now();
        let count = slices[ranks.rank()];
        let parts = ranks.all_to_all(&own, &slices, &vec![count; ranks.size()]);
        let mut sum = parts[..count].to_vec();
        for part in parts[count..].chunks(count) {
            sum.iter_mut().zip(part).for_each(|(sum, g)| *sum += g);
        }
        let all = ranks.all_gather_floats(&sum, &slices);
        times.push(clock.elapsed().as_secs_f64());
        assert_eq!(all[ELEMENTS - 1], (0..ranks.size()).sum::<usize>() as f32);
    }
    if ranks.is_first() {
        println!("{:.3}", median(times));
    }
    ranks.finish();
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
