//! Measuring inference speed at the end of `obertc run`.

use std::any::Any;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::diag::{Sources, counted};
use crate::infer::{Limits, Model, Precision, Sequence, Session, pack};
use crate::output::export::onnx;
use crate::output::export::source::Source;
use crate::task::classification::Classification;
use crate::task::question_answering::QuestionAnswering;

/// Time for which each model is run.
const EACH: Duration = Duration::from_millis(150);
/// Maximum sequence length: longer ones are truncated, to keep the measurement short.
const LONGEST: usize = 128;
/// Batch size.
const TOGETHER: usize = 8;
/// F1 in INT8 is computed if evaluating the dev set takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// ONNX Runtime is killed after this time.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Measures inference speed of the INT8 model in `folder` on sequences of the dev set, and compares it with ONNX
/// Runtime and with obert's CPU runtime, both in dense float32. Returns lines of text; `None` if the CPU runtime cannot
/// run the model.
pub(super) fn measured(folder: &Path, name: &str, task: &dyn Any) -> Option<String> {
    let open = |precision| {
        let image = pack::pack(folder, Some(precision), &mut Sources::new()).ok()?;
        Model::from_bytes(&image.bytes(), name).ok().map(Arc::new)
    };
    let windows = windows_of(task);
    if windows.is_empty() {
        return None;
    }
    let (small, dense) = (open(Precision::Int8)?, open(Precision::Float32)?);
    // The time depends on the number of tokens; a few sequences are enough.
    let few: Vec<_> = windows.iter().step_by(windows.len().div_ceil(TOGETHER)).copied().collect();
    let cut: Vec<_> = few.iter().map(|(ids, types)| (cut(ids), cut(types))).collect();
    let (fast, slow) = (rate(&small, &cut)?, rate(&dense, &cut)?);
    let threads = Limits::default().threads;
    let tokens = |windows: &[Tokens<'_>]| windows.iter().map(|(ids, _)| ids.len()).sum::<usize>() as f64;
    let patience = PATIENCE.as_secs_f64() * fast * tokens(&cut) / cut.len() as f64;
    let quality = if tokens(&windows) < patience { quality(&small, &windows, task) } else { None };
    let trained = folder.join("quantization.json").exists();
    let scales = if trained { "trained scales" } else { "dynamic scales" };
    let other = onnx_runtime(folder, &cut, threads);
    Some(lines(name, scales, threads, fast, slow, &other, &quality.unwrap_or_default()))
}

/// Formats the results. The build is named because a debug build is slow.
fn lines(
    name: &str,
    scales: &str,
    threads: usize,
    fast: f64,
    slow: f64,
    other: &Result<OnnxRuntime, &'static str>,
    quality: &str,
) -> String {
    let threads = counted(threads, "thread", "threads");
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let against = match other {
        Ok(other) => {
            format!("{:.1} x ONNX Runtime {} in dense float32", fast / other.rate, other.onnxruntime)
        }
        Err(why) => format!("not compared with ONNX Runtime: {why}"),
    };
    let own = format!("{:.1} x obert's dense float32 ({build} build)", fast / slow);
    format!(
        "Speed   {name}, int8 ({scales}): {fast:.0} sequences/s on {threads}{quality}\n        \
         {against}\n        {own}\n"
    )
}

/// The result of ONNX Runtime on the dense float32 model.
#[derive(Debug, Deserialize)]
struct OnnxRuntime {
    onnxruntime: String,
    /// Sequences per second.
    rate: f64,
}

/// The Python program; it reads the model's path, the threads, the seconds and the sequences from standard input.
const PROGRAM: &str = r#"
import json, sys, time
asked = json.load(sys.stdin)
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = asked["threads"]
session = onnxruntime.InferenceSession(asked["model"], options, providers=["CPUExecutionProvider"])
longest = max(map(len, asked["ids"]))
pad = lambda rows: numpy.array([row + [0] * (longest - len(row)) for row in rows], numpy.int64)
feed = {"input_ids": pad(asked["ids"]), "token_type_ids": pad(asked["types"])}
feed["attention_mask"] = pad([[1] * len(row) for row in asked["ids"]])
feed = {given.name: feed[given.name] for given in session.get_inputs()}
best, end = float("inf"), time.perf_counter() + asked["seconds"]
while best == float("inf") or time.perf_counter() < end:
    start = time.perf_counter()
    session.run(None, feed)
    best = min(best, time.perf_counter() - start)
print(json.dumps({"onnxruntime": onnxruntime.__version__, "rate": len(asked["ids"]) / best}))
"#;

/// Runs the dense float32 model on the same batch in ONNX Runtime, by the Python of `OBERT_PYTHON`, else `python3`.
fn onnx_runtime(folder: &Path, batch: &[Tokens<'_>], threads: usize) -> Result<OnnxRuntime, &'static str> {
    let python = std::env::var_os("OBERT_PYTHON").unwrap_or_else(|| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import numpy, onnxruntime"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        return Err("not installed (pip install onnxruntime)");
    }
    let failed = "could not run the model";
    let mut source = Source::read(folder, &mut Sources::new()).map_err(|_| failed)?;
    source.quantization = None;
    let head = source.head.clone().ok_or(failed)?;
    let scratch = tempfile::tempdir().map_err(|_| failed)?;
    let model = scratch.path().join("model.onnx");
    let bytes = onnx::bytes(&source, &head, &model).map_err(|_| failed)?;
    std::fs::write(&model, bytes).map_err(|_| failed)?;
    let rows = |of: fn(&Tokens<'_>) -> Vec<u32>| batch.iter().map(of).collect::<Vec<_>>();
    let (ids, types) = (rows(|t| t.0.to_vec()), rows(|t| t.1.to_vec()));
    let seconds = EACH.as_secs_f64();
    let asked = json!({ "model": model, "threads": threads, "seconds": seconds, "ids": ids, "types": types });
    let question = scratch.path().join("question.json");
    std::fs::write(&question, asked.to_string()).map_err(|_| failed)?;
    let mut child = Command::new(&python)
        .args(["-c", PROGRAM])
        .stdin(std::fs::File::open(&question).map_err(|_| failed)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| failed)?;
    let begin = Instant::now();
    while child.try_wait().map_err(|_| failed)?.is_none() {
        if begin.elapsed() > GIVEN_UP {
            let _ = child.kill();
            let _ = child.wait();
            return Err("took too long");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = String::new();
    child.stdout.ok_or(failed)?.read_to_string(&mut answer).map_err(|_| failed)?;
    serde_json::from_str(&answer).map_err(|_| failed)
}

fn cut(tokens: &[u32]) -> &[u32] {
    &tokens[..tokens.len().min(LONGEST)]
}

/// Token ids and token type ids of a sequence.
type Tokens<'a> = (&'a [u32], &'a [u32]);

/// The sequences of the dev set; none for a task that the runtime does not run.
fn windows_of(task: &dyn Any) -> Vec<Tokens<'_>> {
    if let Some(task) = task.downcast_ref::<QuestionAnswering>() {
        return task.dev.iter().map(|w| (w.window.ids.as_slice(), w.window.types.as_slice())).collect();
    }
    let Some(task) = task.downcast_ref::<Classification>() else { return Vec::new() };
    let all = task.dev.iter().flat_map(|(_, set)| set);
    all.map(|s| (s.ids.as_slice(), s.types.as_slice())).collect()
}

/// Sequences per second, from the fastest run.
fn rate(model: &Arc<Model>, sequences: &[Tokens<'_>]) -> Option<f64> {
    let length = sequences.iter().map(|(ids, _)| ids.len()).max()?;
    let limits = Limits { sequences: sequences.len(), length, ..Limits::default() };
    let mut session = Session::new(Arc::clone(model), limits).ok()?;
    let sequences: Vec<_> = sequences.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let (mut best, begin) = (f64::INFINITY, Instant::now());
    while best.is_infinite() || begin.elapsed() < EACH {
        let start = Instant::now();
        session.run(&sequences).ok()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Some(sequences.len() as f64 / best)
}

/// F1 of the packed model on the dev set, if the task is question answering.
fn quality(model: &Arc<Model>, windows: &[Tokens<'_>], task: &dyn Any) -> Option<String> {
    let task = task.downcast_ref::<QuestionAnswering>()?;
    let length = windows.iter().map(|(ids, _)| ids.len()).max()?;
    let limits = Limits { sequences: TOGETHER, length, ..Limits::default() };
    let mut session = Session::new(Arc::clone(model), limits).ok()?;
    let mut logits = Vec::new();
    for part in windows.chunks(TOGETHER) {
        let part: Vec<_> = part.iter().map(|(ids, types)| Sequence { ids, types }).collect();
        let found = session.run(&part).ok()?;
        logits.extend((0..part.len()).map(|i| {
            let (start, end) = found.answer(i);
            (start.to_vec(), end.to_vec())
        }));
    }
    let metrics = task.metrics_of(logits.into_iter());
    metrics.get("f1").map(|f1| format!("; F1 {f1:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_line_names_its_baselines() {
        let with = |other| lines("small", "dynamic scales", 2, 300.0, 100.0, &other, "; F1 87.3");
        let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
        let alone = with(Err("not installed (pip install onnxruntime)"));
        assert!(alone.contains("300 sequences/s on 2 threads; F1 87.3\n"), "{alone}");
        assert!(alone.contains("not compared with ONNX Runtime: not installed"), "{alone}");
        assert!(alone.contains(&format!("3.0 x obert's dense float32 ({build})")), "{alone}");
        let both = with(Ok(OnnxRuntime { onnxruntime: "1.32.0".into(), rate: 200.0 }));
        assert!(both.contains("1.5 x ONNX Runtime 1.32.0 in dense float32\n"), "{both}");
        assert!(both.contains("3.0 x obert's dense"), "{both}");
        assert!(both.lines().chain(alone.lines()).all(|line| line.len() <= 80), "{both}{alone}");
    }
}
