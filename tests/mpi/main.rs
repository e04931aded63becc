//! The command on several processes, started by `mpirun`: weights, masks and log are those of one process.
//!
//! `cargo test --features mpi --test mpi` needs Open MPI's `mpirun`, `libopenmpi-dev` and `libclang-dev`. The variable
//! `OBERT_MPIRUN` names another launcher with its flags.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Training with accumulation and dropout, OBS with two kinds of update, movement pruning, distillation, quantization,
/// dropped layers, branches, and the best checkpoint.
const RECIPE: &str = r#"edition 2026
use std.bert.{encoder_linears, attention_linears, feed_forward_linears}
recipe tiny {
  model: bert(layers: 2, hidden: 32, heads: 2)
  data: builtin_reading(train: 40, dev: 8)
  batch: 4
  train { accumulate: 4 }
  stage dense for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
  }
  branch oneshot from dense {
    prune encoder_linears { by: obs(gradients: 22, block: 16, batch: 4), sparsity: 60%, rank: layer }
  }
  stage blocks for 2 epochs {
    lr { 0..2 epochs: 5e-4 -> 5e-5 linear }
    prune feed_forward_linears over 0.5..1.5 epochs every 0.5 epochs {
      by: obs(gradients: 16, block: 16, batch: 4, recompute: 2, update: independent)
      sparsity: 25% -> 75% cubic
      pattern: blocks(1, 4)
    }
    distill from dense { hardness: 0.5, temperature: 2.0 }
  }
  branch moved from blocks for 1 epoch {
    lr { 0..1 epochs: 1e-4 }
    hold feed_forward_linears
    prune attention_linears over 0..0.5 epochs every 0.5 epochs { by: movement, sparsity: 20% -> 50% linear }
  }
  stage rest for 1 epoch {
    drop layers [0]
    lr { 0..1 epochs: 1e-4 }
    hold feed_forward_linears
    quantize [encoder_linears, params("bert.embeddings.word_embeddings.weight")] over 0.25..1 epochs {
      weights: int8(per: channel)
      calibrate: 2
      freeze: after 0.5 epochs
    }
    evaluate every 0.5 epochs { keep: best(f1) }
    distill from self
  }
}
"#;

/// A folder with a recipe.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(recipe: &str) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::write(folder.path("tiny.obert"), recipe).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `obertc`, on as many ranks; without a launcher for 0.
    fn command(&self, ranks: usize, arguments: &[&str]) -> Command {
        let mut command = match ranks {
            0 => Command::new(env!("CARGO_BIN_EXE_obertc")),
            ranks => {
                let mut launcher = launcher(ranks);
                launcher.arg(env!("CARGO_BIN_EXE_obertc"));
                launcher
            }
        };
        command.args(arguments).env("NO_COLOR", "1").env("RAYON_NUM_THREADS", "1");
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, ranks: usize, out: &str, more: &[&str]) -> Output {
        let arguments = [&["run", "tiny.obert", "--no-speed", "--no-cache", "--out", out], more].concat();
        self.command(ranks, &arguments).output().unwrap()
    }

    fn succeeds(&self, ranks: usize, out: &str, more: &[&str]) {
        let output = self.run(ranks, out, more);
        assert_eq!(output.status.code(), Some(0), "{ranks} ranks, {more:?}: {}", stderr(&output));
    }

    /// Starts a run on ranks, with its messages in a file. After SIGTERM ranks have so many seconds.
    fn spawn(&self, ranks: usize, out: &str, more: &[&str], patience: &str) -> Child {
        let messages = std::fs::File::create(self.path(&format!("{out}.stderr"))).unwrap();
        let arguments = [&["run", "tiny.obert", "--no-speed", "--no-cache", "--out", out], more].concat();
        let mut command = self.command(ranks, &arguments);
        command.env("OMPI_MCA_odls_base_sigkill_timeout", patience);
        command.stdout(Stdio::null()).stderr(messages).spawn().unwrap()
    }

    fn messages(&self, out: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{out}.stderr"))).unwrap_or_default()
    }

    /// The weights byte for byte, and the log without what depends on the machine and the clock.
    fn outcome(&self, out: &str) -> (Vec<u8>, Vec<Value>) {
        let text = std::fs::read_to_string(self.path(out).join("run.jsonl")).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let events = events.filter(|event| event["event"] != "environment").map(|mut event| {
            for moving in ["seconds", "memory"] {
                event.as_object_mut().unwrap().remove(moving);
            }
            event
        });
        (std::fs::read(self.path(out).join("model.safetensors")).unwrap(), events.collect())
    }

    fn same(&self, out: &str, other: &str) {
        let ((weights, events), (other_weights, other_events)) = (self.outcome(out), self.outcome(other));
        assert_eq!(events, other_events, "the log of {out} is not that of {other}");
        assert!(weights == other_weights, "the weights of {out} are not those of {other}");
    }

    fn log_lines(&self, out: &str) -> usize {
        let text = std::fs::read(self.path(out).join("run.jsonl")).unwrap_or_default();
        text.iter().filter(|b| **b == b'\n').count()
    }

    /// Waits until the log has so many lines.
    fn wait_for_line(&self, child: &mut Child, out: &str, lines: usize) {
        while self.log_lines(out) < lines {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the run ended before line {lines}: {}", self.messages(out));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The launcher for so many ranks, which may be more than there are cores.
fn launcher(ranks: usize) -> Command {
    let words =
        std::env::var("OBERT_MPIRUN").unwrap_or_else(|_| "mpirun --oversubscribe --bind-to none".to_owned());
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["-n", &ranks.to_string()]);
    for allowed in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] {
        command.env(allowed, "1");
    }
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether something is said, however its lines are broken.
fn has(said: &str, text: &str) -> bool {
    let squeezed = |text: &str| text.replace('│', " ").split_whitespace().collect::<String>();
    squeezed(said).contains(&squeezed(text))
}

/// Waits for the end of a process, at most a minute.
fn wait(child: &mut Child) -> std::process::ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_number_of_ranks_gives_the_weights_and_the_log_of_one_process() {
    let folder = Folder::new(RECIPE);
    folder.succeeds(0, "alone", &[]);
    for ranks in [1, 2, 4] {
        let out = format!("on_{ranks}");
        folder.succeeds(ranks, &out, &[]);
        folder.same(&out, "alone");
    }
    assert!(!folder.path("runs").exists(), "other ranks write no folder");
}

#[test]
fn ranks_with_other_recipes_are_refused_with_what_differs() {
    let folder = Folder::new(RECIPE);
    let obertc = env!("CARGO_BIN_EXE_obertc");
    let mut command = launcher(1);
    command.args([obertc, "run", "tiny.obert", "--out", "out", "--seed", "1", ":"]);
    command.args(["-n", "1", obertc, "run", "tiny.obert", "--out", "out", "--seed", "2"]);
    let output = command.current_dir(folder.path("")).env("NO_COLOR", "1").output().unwrap();
    let said = stderr(&output);
    assert_ne!(output.status.code(), Some(0));
    assert!(has(&said, "OB0948") && has(&said, "rank 1 on"), "{said}");
    assert!(has(&said, "has another recipe than rank 0") && has(&said, "seed"), "{said}");
    assert!(!folder.path("out").exists(), "nothing is written");
}

#[test]
fn an_error_of_one_rank_ends_all_and_is_named_and_one_of_all_ranks_is_printed_once() {
    let folder = Folder::new(RECIPE);
    let obertc = env!("CARGO_BIN_EXE_obertc");
    let begin = Instant::now();
    let mut command = launcher(1);
    command.args([obertc, "run", "tiny.obert", "--out", "out", ":"]);
    command.args(["-n", "1", obertc, "run", "missing.obert", "--out", "out"]);
    let output = command.current_dir(folder.path("")).env("NO_COLOR", "1").output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(has(&said, "rank 1 of 2 failed, and all are ended") && has(&said, "missing.obert"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    std::fs::write(folder.path("tiny.obert"), RECIPE.replace("batch: 4\n", "bach: 4\n")).unwrap();
    let output = folder.run(3, "out", &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.matches("bach: 4").count(), 1, "{said}");
}

#[test]
fn one_shot_trials_on_ranks_are_those_of_one_process() {
    let dense = "edition 2026
use std.bert.{encoder_linears}
recipe tiny for 1 epoch {
  model: bert(layers: 2, hidden: 32, heads: 2)
  data: builtin_reading(train: 40, dev: 8)
  batch: 4
  lr { 0..1 epochs: 1e-3 }
}
";
    let folder = Folder::new(dense);
    folder.succeeds(0, "dense", &[]);
    let prune = "  prune encoder_linears { by: obs(gradients: 22, batch: 4), sparsity: 60% }\n}\n";
    std::fs::write(folder.path("tiny.obert"), dense.replace("}\n}\n", &format!("}}\n{prune}"))).unwrap();
    let trials = |ranks: usize| -> Value {
        let arguments = [
            "sweep",
            "tiny.obert",
            "--model",
            "dense",
            "--at",
            "40%,60%",
            "--grid",
            "block=8,16",
            "--grid",
            "update=exact,independent",
            "--format",
            "json",
            "--quiet",
        ];
        let output = folder.command(ranks, &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
        remove_seconds(&mut json);
        json
    };
    let alone = trials(0);
    assert!(alone.to_string().contains("independent"));
    for ranks in [2, 4] {
        assert_eq!(trials(ranks), alone);
    }
}

fn remove_seconds(json: &mut Value) {
    match json {
        Value::Object(map) => {
            map.remove("seconds");
            map.values_mut().for_each(remove_seconds);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_seconds),
        _ => {}
    }
}

#[test]
fn a_run_that_is_terminated_writes_a_checkpoint_and_is_resumed_on_another_number_of_ranks_to_the_same_bits() {
    let long = RECIPE
        .replace("dense for 2 epochs", "dense for 150 epochs")
        .replace("0..2 epochs: 1e-3", "0..150 epochs: 1e-3");
    let folder = Folder::new(&long);
    folder.succeeds(0, "alone", &[]);
    // Open MPI passes the signal on after this time, and kills the ranks after this time again.
    let mut run = folder.spawn(2, "stopped", &[], "3");
    folder.wait_for_line(&mut run, "stopped", 5);
    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    assert!(!wait(&mut run).success());
    let said = folder.messages("stopped");
    assert!(has(&said, "OB0921") && has(&said, "with `--resume`"), "{said}");
    // The same to one rank stops all.
    let lines = folder.log_lines("stopped");
    let mut run = folder.spawn(4, "stopped", &["--resume"], "1");
    folder.wait_for_line(&mut run, "stopped", lines + 5);
    let ranks = children(run.id());
    assert!(Command::new("kill").args(["-TERM", &ranks[3].to_string()]).status().unwrap().success());
    assert!(!wait(&mut run).success());
    assert!(has(&folder.messages("stopped"), "OB0921"), "{}", folder.messages("stopped"));
    folder.succeeds(1, "stopped", &["--resume"]);
    folder.same("stopped", "alone");
}

#[test]
fn a_killed_rank_ends_the_job_within_seconds_and_the_resumed_run_equals_the_undisturbed_one() {
    kills(&[(2, 7), (4, 12)]);
}

/// Fifty kills, over 2 and 4 ranks, take about ten minutes.
#[test]
#[ignore]
fn fifty_kills_of_ranks() {
    let kills: Vec<(usize, usize)> = (0..50).map(|i| (2 + 2 * (i % 2), 3 + (i * 7) % 20)).collect();
    self::kills(&kills);
}

/// Runs on as many ranks that lose one after a line of the log, each resumed alternately on 2, 1 and 4 ranks.
fn kills(moments: &[(usize, usize)]) {
    let folder = Folder::new(RECIPE);
    folder.succeeds(0, "alone", &[]);
    for (i, (ranks, line)) in moments.iter().enumerate() {
        let out = format!("killed_{i}");
        let mut run = folder.spawn(*ranks, &out, &["--checkpoint-every", "0s"], "1");
        folder.wait_for_line(&mut run, &out, *line);
        let victims = children(run.id());
        assert_eq!(victims.len(), *ranks);
        let victim = victims[i % ranks].to_string();
        assert!(Command::new("kill").args(["-KILL", &victim]).status().unwrap().success());
        let begin = Instant::now();
        assert!(!wait(&mut run).success());
        assert!(begin.elapsed() < Duration::from_secs(10), "the other ranks go on");
        let said = folder.messages(&out);
        assert!(said.contains("signal 9"), "{said}");
        folder.succeeds([2, 1, 4][i % 3], &out, &["--resume"]);
        folder.same(&out, "alone");
        std::fs::remove_dir_all(folder.path(&out)).unwrap();
    }
}

/// The processes that a launcher has started, by the parents in `/proc`.
fn children(of: u32) -> Vec<u32> {
    let stat = |pid: u32| -> Option<(u32, String)> {
        let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
        let (name, rest) = text.rsplit_once(')')?;
        Some((rest.split_whitespace().nth(1)?.parse().ok()?, name.to_owned()))
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(parent, name)| parent == of && name.contains("obertc")))
        .collect()
}
