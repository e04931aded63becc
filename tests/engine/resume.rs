//! Runs that are interrupted, and go on as if they never were.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Everything that a checkpoint has to hold: an optimizer in mid-epoch, movement scores, masks that
/// grow and are held, frozen parameters, branches, teachers that are earlier stages, dropped layers.
const RECIPE: &str = r#"edition 2026
use std.bert.{encoder_linears, attention_linears, feed_forward_linears}
recipe tiny {
  model: bert(layers: 2, hidden: 32, heads: 2)
  data: builtin_reading(train: 64, dev: 8)
  batch: 16
  stage dense for 1 epoch {
    lr { 0..1 epochs: 1e-3 -> 1e-4 linear }
  }
  branch surgeon from dense {
    prune encoder_linears { by: obs(gradients: 24, block: 16, batch: 4), sparsity: 60%, rank: layer }
  }
  stage blocks for 2 epochs {
    lr { 0..2 epochs: 5e-4 -> 5e-5 linear }
    prune feed_forward_linears over 0.5..1.5 epochs every 0.5 epochs {
      by: obs(gradients: 16, block: 16, batch: 4, recompute: 2)
      sparsity: 25% -> 75% cubic
      pattern: blocks(1, 4)
    }
    freeze params("bert.embeddings.**") over 0..1 epochs
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
    evaluate every 0.25 epochs { keep: best(f1) }
    distill from self
  }
  branch rounded from rest for 1 epoch {
    lr { 0..1 epochs: 1e-4 }
    hold feed_forward_linears
    quantize attention_linears { weights: int4 }
  }
}
"#;

/// The same with a first stage of so many epochs.
fn lengthened(epochs: u32) -> String {
    let longer = RECIPE.replace("stage dense for 1 epoch", &format!("stage dense for {epochs} epochs"));
    longer.replace("0..1 epochs: 1e-3 -> 1e-4 linear", &format!("0..{epochs} epochs: 1e-3 -> 1e-4 linear"))
}

/// A folder with a recipe.
struct Workshop {
    folder: tempfile::TempDir,
}

impl Workshop {
    fn new(recipe: &str) -> Self {
        let shop = Workshop { folder: tempfile::tempdir().unwrap() };
        shop.write(recipe);
        shop
    }

    fn write(&self, recipe: &str) {
        std::fs::write(self.path("tiny.obert"), recipe).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obertc"));
        command.arg("run").arg(self.path("tiny.obert")).arg("--out").arg(self.path(out)).args(more);
        command.env("NO_COLOR", "1").env("RAYON_NUM_THREADS", "2").current_dir(self.folder.path());
        command
    }

    fn run(&self, out: &str, more: &[&str]) -> Output {
        self.command(out, more).output().unwrap()
    }

    fn succeeds(&self, out: &str, more: &[&str]) -> Output {
        let output = self.run(out, more);
        assert_eq!(output.status.code(), Some(0), "{more:?}: {}", stderr(&output));
        output
    }

    fn fails(&self, out: &str, more: &[&str], code: &str) -> String {
        let output = self.run(out, more);
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", stderr(&output));
        assert!(has(&stderr(&output), code), "{more:?} does not say {code}: {}", stderr(&output));
        stderr(&output)
    }

    fn spawn(&self, out: &str, more: &[&str]) -> Child {
        let mut command = self.command(out, more);
        let messages = std::fs::File::create(self.path(&format!("{out}.stderr"))).unwrap();
        command.stdout(Stdio::null()).stderr(messages).spawn().unwrap()
    }

    /// A run that is killed when its log has so many lines.
    fn killed_at(&self, out: &str, lines: usize, more: &[&str]) {
        let mut child = self.spawn(out, more);
        while log_lines(&self.path(out)) < lines {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before line {lines}");
            std::thread::sleep(Duration::from_micros(300));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What a run came to: its weights byte for byte, and its log without what depends on the machine and
    /// the clock.
    fn outcome(&self, out: &str) -> (Vec<u8>, Vec<Value>) {
        let folder = self.path(out);
        let text = std::fs::read_to_string(folder.join("run.jsonl")).unwrap_or_else(|error| {
            let messages = std::fs::read_to_string(self.path(&format!("{out}.stderr")));
            panic!("no log of {out}: {error}; the run said: {messages:?}")
        });
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        // Each time that a run is taken up it tells where.
        let events = events.filter(|event| event["event"] != "environment").map(|mut event| {
            for moving in ["seconds", "memory"] {
                event.as_object_mut().unwrap().remove(moving);
            }
            event
        });
        (std::fs::read(folder.join("model.safetensors")).unwrap(), events.collect())
    }

    fn same(&self, out: &str, other: &str) {
        let ((weights, events), (other_weights, other_events)) = (self.outcome(out), self.outcome(other));
        assert!(weights == other_weights, "the weights of {out} are not those of {other}");
        let scales =
            |out: &str| std::fs::read_to_string(self.path(out).join("quantization.json")).unwrap_or_default();
        assert!(scales(out) == scales(other), "the scales of {out} are not those of {other}");
        assert_eq!(events, other_events, "the log of {out} is not that of {other}");
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether something is said, however its lines are broken.
fn has(said: &str, text: &str) -> bool {
    let squeezed = |text: &str| text.replace('│', " ").split_whitespace().collect::<String>();
    squeezed(said).contains(&squeezed(text))
}

fn log_lines(folder: &Path) -> usize {
    std::fs::read(folder.join("run.jsonl")).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count())
}

/// The names in the folder of checkpoints.
fn checkpoints(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Those that are whole, the oldest first.
fn whole(folder: &Path) -> Vec<PathBuf> {
    let names = checkpoints(folder).into_iter().filter(|name| !name.starts_with('.'));
    names.map(|name| folder.join("checkpoints").join(name)).collect()
}

/// SplitMix64: the moments of the kills.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// When a run is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// After so many more lines of the log.
    Line(usize),
    /// While the so-manyth checkpoint from now on is being written.
    Writing(usize),
    /// So many microseconds after a checkpoint before a pruning event.
    Pruning(u64),
    /// After so many milliseconds.
    Time(u64),
}

/// Checkpoints that stand before pruning events, by stage and step.
const BEFORE_PRUNING: [&str; 6] = [
    "0001-00000000.safetensors",
    "0002-00000002.safetensors",
    "0002-00000004.safetensors",
    "0002-00000006.safetensors",
    "0003-00000000.safetensors",
    "0003-00000002.safetensors",
];

/// Whether the run is killed in time.
fn strike(mut child: Child, folder: &Path, moment: Moment) -> bool {
    let begin = Instant::now();
    let (first, known) = (log_lines(folder), checkpoints(folder));
    let mut writes: Vec<String> = Vec::new();
    let strike = loop {
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        let due = match moment {
            Moment::Line(n) => log_lines(folder) >= first + n,
            Moment::Time(milliseconds) => begin.elapsed() >= Duration::from_millis(milliseconds),
            Moment::Writing(n) => {
                for name in checkpoints(folder) {
                    if name.starts_with('.') && !known.contains(&name) && !writes.contains(&name) {
                        writes.push(name);
                    }
                }
                writes.len() >= n
            }
            Moment::Pruning(microseconds) => {
                let is_new = |name: &String| !known.contains(name) && BEFORE_PRUNING.contains(&&**name);
                let reached = checkpoints(folder).iter().any(is_new);
                if reached {
                    std::thread::sleep(Duration::from_micros(microseconds));
                }
                reached
            }
        };
        if due {
            break true;
        }
        std::thread::sleep(Duration::from_micros(100));
    };
    if strike {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(strike || status.success(), "{status}");
    // A run may have ended just before it was killed.
    strike && !status.success()
}

/// Whether nothing was told since a checkpoint before a pruning event.
fn is_inside_pruning(folder: &Path) -> bool {
    let Some(newest) = whole(folder).pop() else { return false };
    if !BEFORE_PRUNING.contains(&newest.file_name().unwrap().to_str().unwrap()) {
        return false;
    }
    let bytes = std::fs::read(&newest).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let own: Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["obert"]).unwrap();
    std::fs::metadata(folder.join("run.jsonl")).unwrap().len() == own["log_bytes"].as_u64().unwrap()
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_never_was() {
    let shop = Workshop::new(RECIPE);
    shop.succeeds("whole", &["-q"]);
    let mut dice = Dice(7);
    let (mut kills, mut writing, mut pruning, mut lap) = (0, 0, 0, 0);
    while kills < 50 || writing < 8 || pruning < 8 {
        lap += 1;
        assert!(kills < 200, "{kills} kills, {writing} in a checkpoint, {pruning} in a pruning event");
        let out = format!("lap{lap}");
        let folder = shop.path(&out);
        loop {
            let enough = kills >= 50 && writing >= 8 && pruning >= 8;
            let moment = match dice.below(4) {
                _ if enough => Moment::Time(60_000),
                0 => Moment::Line(1 + dice.below(6) as usize),
                1 => Moment::Writing(1 + dice.below(6) as usize),
                2 => Moment::Pruning(dice.below(12_000)),
                _ => Moment::Time(100 + dice.below(400)),
            };
            // One that has no checkpoint yet begins again.
            let resume = !whole(&folder).is_empty();
            if !resume {
                let _ = std::fs::remove_dir_all(&folder);
            }
            let more = if resume { vec!["--resume"] } else { vec![] };
            let child = shop.spawn(
                &out,
                &[&["-q", "--checkpoint-every", "0s", "--keep-checkpoints"], &more[..]].concat(),
            );
            if !strike(child, &folder, moment) {
                break;
            }
            kills += 1;
            writing += usize::from(checkpoints(&folder).iter().any(|name| name.starts_with('.')));
            pruning += usize::from(is_inside_pruning(&folder));
        }
        shop.same(&out, "whole");
        assert_eq!(checkpoints(&folder).len(), 2, "the last two are kept, and nothing half-written");
        assert!(!folder.join("run.lock").exists());
    }
}

#[test]
fn a_run_that_is_asked_to_stop_keeps_itself_and_goes_on() {
    let shop = Workshop::new(&lengthened(40));
    shop.succeeds("whole", &["-q"]);
    let folder = shop.path("out");
    for signal in ["-INT", "-TERM"] {
        let more = if folder.exists() { vec!["--resume"] } else { vec![] };
        let first = log_lines(&folder);
        let mut command = shop.command("out", &more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while log_lines(&folder) < first.max(2) + 3 {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before it was stopped");
            std::thread::sleep(Duration::from_micros(300));
        }
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(has(&said, "OB0921") && has(&said, "with `--resume`"), "{said}");
        assert!(!folder.join("run.lock").exists());
    }
    let output = shop.succeeds("out", &["--resume"]);
    assert!(has(&stderr(&output), "resuming before step"), "{}", stderr(&output));
    shop.same("out", "whole");
    let weights = std::fs::metadata(folder.join("model.safetensors")).unwrap().modified().unwrap();
    let output = shop.succeeds("out", &["--resume"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("is finished"));
    let now = std::fs::metadata(folder.join("model.safetensors")).unwrap().modified().unwrap();
    assert_eq!(weights, now, "a finished run is left alone");
    assert!(!folder.join("checkpoints").exists(), "a finished run has no checkpoints");
}

#[test]
fn a_finished_run_keeps_its_checkpoints_only_when_asked_to_and_goes_on_from_them() {
    let shop = Workshop::new(RECIPE);
    shop.succeeds("kept", &["-q", "--keep-checkpoints"]);
    assert_eq!(whole(&shop.path("kept")).len(), 2);
    shop.succeeds("one", &["-q", "--keep-checkpoints", "--max-checkpoints", "1"]);
    assert_eq!(whole(&shop.path("one")).len(), 1);
    shop.succeeds("gone", &["-q"]);
    assert!(!shop.path("gone/checkpoints").exists());
    // A stage more goes on from a checkpoint, and without one says what is missing.
    let more = RECIPE.trim_end().strip_suffix('}').unwrap().to_owned()
        + "  stage last for 1 epochs {\n    lr { 0..1 epochs: 1e-4 }\n    hold encoder_linears\n  }\n}\n";
    shop.write(&more);
    let said = shop.fails("gone", &["--resume-anyway"], "OB0938");
    assert!(has(&said, "has no checkpoints") && has(&said, "--keep-checkpoints"), "{said}");
    shop.succeeds("kept", &["--resume-anyway", "-q"]);
}

#[test]
fn a_stop_in_the_middle_of_an_estimation_does_not_wait_for_its_end() {
    // Hours of gradients, before the first step.
    let endless = RECIPE.replace("obs(gradients: 24", "obs(gradients: 10_000_000");
    let shop = Workshop::new(&endless);
    let folder = shop.path("out");
    let mut command = shop.command("out", &[]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // The second stage that began is the one that prunes.
    let began = || {
        let log = std::fs::read_to_string(folder.join("run.jsonl")).unwrap_or_default();
        log.matches("\"stage_started\"").count()
    };
    while began() < 2 {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it was stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(300));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(has(&said, "OB0921") && has(&said, "with `--resume`"), "{said}");
    assert!(!whole(&folder).is_empty(), "the checkpoint before the event is there");
    assert!(!folder.join("run.lock").exists());
}

#[test]
fn two_runs_do_not_share_a_folder_and_a_crash_leaves_no_lock() {
    let shop = Workshop::new(&lengthened(4000));
    shop.fails("out", &["--resume"], "OB0936");
    let mut child = shop.spawn("out", &["-q"]);
    while whole(&shop.path("out")).is_empty() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = format!("process {}", child.id());
    for more in [&[][..], &["--resume"]] {
        let said = shop.fails("out", more, "OB0935");
        assert!(has(&said, &pid), "{said}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(shop.path("out/run.lock").exists(), "a killed process leaves its lock behind");
    shop.fails("out", &[], "OB0911");
    let more = ["--resume", "-q"];
    let mut child = shop.spawn("out", &more);
    let lines = log_lines(&shop.path("out"));
    while log_lines(&shop.path("out")) < lines + 3 {
        assert!(child.try_wait().unwrap().is_none(), "the lock was not taken over");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_broken_checkpoint_gives_way_to_the_one_before_it() {
    let shop = Workshop::new(RECIPE);
    shop.succeeds("whole", &["-q"]);
    let keep = ["-q", "--checkpoint-every", "0s", "--max-checkpoints", "3"];
    shop.killed_at("out", 16, &keep);
    // Three, or one more if the oldest was about to go.
    let mut files = whole(&shop.path("out"));
    assert!(files.len() >= 3, "{files:?}");
    // A bit flips in the newest, and the one before it is cut short.
    let newest = files.pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&newest, &bytes).unwrap();
    let before = files.pop().unwrap();
    let bytes = std::fs::read(&before).unwrap();
    std::fs::write(&before, &bytes[..bytes.len() - 100]).unwrap();
    let output = shop.succeeds("out", &[&["--resume"], &keep[..]].concat());
    let said = stderr(&output);
    assert_eq!(said.matches("OB0937").count(), 2, "{said}");
    assert!(has(&said, "its checksum is another"), "{said}");
    shop.same("out", "whole");

    // Where none is left, nothing is made up.
    shop.killed_at("lost", 16, &keep);
    let foreign = std::fs::read(shop.path("whole/model.safetensors")).unwrap();
    let files = whole(&shop.path("lost"));
    for file in &files {
        std::fs::write(file, &foreign).unwrap();
    }
    shop.fails("lost", &["--resume"], "OB0937");
    assert_eq!(whole(&shop.path("lost")), files, "nothing was removed");
    std::fs::remove_dir_all(shop.path("lost/checkpoints")).unwrap();
    shop.fails("lost", &["--resume"], "OB0936");

    // A log that is shorter than the checkpoint says.
    shop.killed_at("log", 16, &keep);
    std::fs::write(shop.path("log/run.jsonl"), "{}\n").unwrap();
    let said = shop.fails("log", &["--resume"], "OB0937");
    assert!(has(&said, "run.jsonl"), "{said}");
}

#[test]
fn a_changed_recipe_goes_on_only_if_the_change_lies_ahead() {
    let shop = Workshop::new(RECIPE);
    // Line 16 is in the middle of `blocks`.
    shop.killed_at("out", 16, &["-q", "--checkpoint-every", "0s"]);
    let kept = whole(&shop.path("out"));
    let names = checkpoints(&shop.path("out"));
    assert!(names.iter().any(|name| name.starts_with("0002-")), "{names:?}");

    let said = shop.fails("out", &["--resume", "--limit-steps", "3"], "OB0938");
    assert!(has(&said, "`--limit-steps` was not given, and is 3"), "{said}");
    shop.fails("out", &["--resume-anyway", "--limit-steps", "3"], "OB0939");

    // A stage that is done.
    shop.write(&RECIPE.replace("1e-3 -> 1e-4", "2e-3 -> 1e-4"));
    let said = shop.fails("out", &["--resume"], "OB0938");
    assert!(has(&said, "stage dense") && has(&said, "2e-3 to 1e-4"), "{said}");
    let said = shop.fails("out", &["--resume-anyway"], "OB0939");
    assert!(has(&said, "`dense` is finished"), "{said}");
    shop.fails("out", &["--resume-anyway", "--seed", "9"], "OB0939");
    assert_eq!(whole(&shop.path("out")), kept, "nothing was touched");

    // The end of the stage in progress, and a stage to come.
    let ahead = RECIPE.replace("25% -> 75% cubic", "25% -> 75% cubic\n      # the same");
    let ahead = ahead.replace(
        "lr { 0..1 epochs: 1e-4 }\n    hold feed_forward_linears\n    quantize [",
        "lr { 0..1 epochs: 3e-4 }\n    hold feed_forward_linears\n    quantize [",
    );
    let ahead = ahead.replace("    distill from self\n", "");
    assert_ne!(ahead, RECIPE);
    shop.write(&ahead);
    let said = shop.fails("out", &["--resume"], "OB0938");
    assert!(has(&said, "--resume-anyway") && has(&said, "distill from the model at the stage"), "{said}");
    shop.succeeds("out", &["--resume-anyway", "-q"]);
    shop.succeeds("fresh", &["-q"]);
    shop.same("out", "fresh");
    // A finished run of another recipe is not called finished.
    shop.write(RECIPE);
    shop.fails("out", &["--resume"], "OB0938");
}

/// SQuAD's JSON of generated questions, to train on and held out, each text so many times over.
pub fn squad(seed: u64, train: usize, repeat: usize) -> [String; 2] {
    let split = obert::internals::task::data::builtin::generate(train, 4, seed);
    [split.train, split.dev].map(|questions| {
        let paragraphs = questions.iter().map(|q| {
            let answers = q.answers.iter().map(
                |a| serde_json::json!({"text": a.text, "answer_start": q.context[..a.start].chars().count()}),
            );
            let context = vec![&*q.context; repeat].join(" ");
            let answers: Vec<Value> = answers.collect();
            let question = serde_json::json!({"id": q.id, "question": q.question, "answers": answers});
            serde_json::json!({"context": context, "qas": [question]})
        });
        let paragraphs: Vec<Value> = paragraphs.collect();
        serde_json::json!({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}).to_string()
    })
}

#[test]
fn a_changed_model_data_set_or_teacher_is_refused_by_name() {
    let start = "edition 2026
recipe small for 1 epoch {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 32, dev: 4)
  lr { 0..1 epochs: 1e-3 }
}
";
    let shop = Workshop::new(start);
    for (seed, out) in [("1", "model"), ("2", "teacher"), ("3", "other")] {
        shop.succeeds(out, &["-q", "--limit-steps", "1", "--seed", seed]);
    }
    std::fs::create_dir(shop.path("data")).unwrap();
    let write = |seed| {
        let [train, dev] = squad(seed, 64, 1);
        std::fs::write(shop.path("data/train.json"), train).unwrap();
        std::fs::write(shop.path("data/dev.json"), dev).unwrap();
    };
    write(5);
    shop.write(
        "edition 2026
recipe real {
  model: \"elsewhere\"
  data: squad(max_length: 96, doc_stride: 16)
  batch: 8
  stage first for 2 epochs { lr { 0..2 epochs: 1e-3 } }
  stage second for 1 epoch {
    lr { 0..1 epochs: 1e-3 }
    distill from teacher
  }
}
",
    );
    let [model, data, teacher, other] =
        ["model", "data", "teacher", "other"].map(|name| shop.path(name).display().to_string());
    let with = |model: &str, teacher: &str, more: &[&str]| -> Vec<String> {
        let given =
            ["-q", "--model", model, "--data", &data, "--teacher", teacher, "--checkpoint-every", "0s"];
        given.iter().chain(more).map(|s| (*s).to_owned()).collect()
    };
    let run = |list: Vec<String>, code: &str| -> String {
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        shop.fails("out", &list, code)
    };
    let begin = with(&model, &teacher, &[]);
    let begin: Vec<&str> = begin.iter().map(String::as_str).collect();
    shop.killed_at("out", 8, &begin);

    let said = run(with(&other, &teacher, &["--resume"]), "OB0938");
    assert!(has(&said, "model: `model.safetensors` had"), "{said}");
    run(with(&other, &teacher, &["--resume-anyway"]), "OB0939");
    write(6);
    let said = run(with(&model, &teacher, &["--resume"]), "OB0938");
    assert!(has(&said, "data: `train.json` had"), "{said}");
    run(with(&model, &teacher, &["--resume-anyway"]), "OB0939");
    write(5);
    // Nobody has learned from the teacher yet.
    let said = run(with(&model, &other, &["--resume"]), "OB0938");
    assert!(has(&said, "teacher: `model.safetensors` had") && has(&said, "--resume-anyway"), "{said}");
    let list = with(&model, &other, &["--resume-anyway"]);
    shop.succeeds("out", &list.iter().map(String::as_str).collect::<Vec<_>>());
    let list = with(&model, &other, &[]);
    shop.succeeds("fresh", &list.iter().map(String::as_str).collect::<Vec<_>>());
    shop.same("out", "fresh");
}

/// A run whose files may have no more than so many blocks of 512 bytes (1024 in some shells).
fn run_on_a_small_disk(shop: &Workshop, out: &str, blocks: u32) -> Output {
    let command = shop.command(out, &["-q"]);
    let mut shell = Command::new("sh");
    // A write beyond the limit fails, as on a full disk, instead of ending the process.
    shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""));
    shell.arg(command.get_program()).args(command.get_args());
    shell.env("NO_COLOR", "1").env("RAYON_NUM_THREADS", "2").output().unwrap()
}

#[test]
fn a_full_disk_stops_the_run_and_leaves_the_checkpoint_before_whole() {
    let shop = Workshop::new(RECIPE);
    shop.succeeds("whole", &["-q"]);
    let output = run_on_a_small_disk(&shop, "out", 200);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(has(&said, "OB0918") && has(&said, "checkpoints"), "{said}");
    assert!(has(&said, "before step 0 of `dense`: continue with `--resume`"), "{said}");
    assert_eq!(checkpoints(&shop.path("out")), ["0000-00000000.safetensors"], "and nothing half-written");
    shop.succeeds("out", &["-q", "--resume"]);
    shop.same("out", "whole");
}

#[test]
fn a_folder_that_cannot_be_written_stops_before_anything_is_done() {
    let shop = Workshop::new(RECIPE);
    // Nobody makes folders in there, not even the superuser.
    let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .arg("run")
        .arg(shop.path("tiny.obert"))
        .args(["--out", "/proc/obert-run"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(has(&stderr(&output), "OB0911"), "{}", stderr(&output));
}

#[test]
fn a_loss_that_is_not_finite_names_the_checkpoint_that_is_left() {
    let recipe = "edition 2026
recipe tiny for 4 epochs {
  model: bert(layers: 1, hidden: 32, heads: 2)
  data: builtin_reading(train: 32, dev: 4)
  batch: 16
  train { clip: 0, beta2: 0%, epsilon: 0 }
  lr {
    0..2 epochs: 1e-9
    2..4 epochs: 1
  }
}
";
    let shop = Workshop::new(recipe);
    let said = shop.fails("out", &["-q"], "OB0916");
    assert!(has(&said, "--resume-anyway") && has(&said, "the last checkpoint is from before step"), "{said}");
    assert!(!whole(&shop.path("out")).is_empty());
}

#[test]
fn a_model_that_cannot_fit_is_refused_with_the_figure_before_it_is_made() {
    let recipe = "edition 2026
recipe tiny for 1 epoch {
  model: bert(layers: 500, hidden: 16384, heads: 128)
  data: builtin_reading(train: 32, dev: 4)
  lr { 0..1 epochs: 1e-4 }
}
";
    let shop = Workshop::new(recipe);
    let said = shop.fails("out", &["-q"], "OB0945");
    assert!(has(&said, "moments") && has(&said, "GB"), "{said}");
    assert!(!shop.path("out").exists());
}
