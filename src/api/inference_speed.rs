//! How fast the model of a run answers, at the end of `obertc run`.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::diag::Sources;
use crate::infer::{Limits, Model, Precision, Sequence, Session, pack};
use crate::task::classification::Classification;
use crate::task::question_answering::QuestionAnswering;

/// How long each of the two models runs.
const EACH: Duration = Duration::from_millis(150);
/// Longer sequences are cut: speed is measured, and nobody waits for it.
const LONGEST: usize = 128;
/// Sequences that are run together.
const TOGETHER: usize = 8;
/// Held-out windows are answered once more in bytes if it takes no longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines about the model in `folder`: what it answers a second in bytes, against its dense self in floats.
/// `None` where the runtime cannot run the model.
pub(super) fn measured(folder: &Path, name: &str, task: &dyn Any) -> Option<String> {
    let open = |precision| {
        let image = pack::pack(folder, Some(precision), &mut Sources::new()).ok()?;
        Model::from_bytes(&image.bytes(), name).ok().map(Arc::new)
    };
    let windows = windows_of(task);
    if windows.is_empty() {
        return None;
    }
    let (small, dense) = (open(Precision::Bytes)?, open(Precision::Floats)?);
    // All of one sequence's cost is that of its tokens; a few different ones will do.
    let few: Vec<_> = windows.iter().step_by(windows.len().div_ceil(TOGETHER)).copied().collect();
    let cut: Vec<_> = few.iter().map(|(ids, types)| (cut(ids), cut(types))).collect();
    let (fast, slow) = (rate(&small, &cut)?, rate(&dense, &cut)?);
    let threads = Limits::default().threads;
    let tokens = |windows: &[Tokens<'_>]| windows.iter().map(|(ids, _)| ids.len()).sum::<usize>() as f64;
    let patience = PATIENCE.as_secs_f64() * fast * tokens(&cut) / cut.len() as f64;
    let quality = if tokens(&windows) < patience { quality(&small, &windows, task) } else { None };
    let trained = folder.join("quantization.json").exists();
    let scales = if trained { "trained scales" } else { "scales measured as it runs" };
    let mut text = format!(
        "Speed   {name}, int8 ({scales}): {fast:.0} answers/s on {threads} thread{}, {:.1} x its dense float32 self{}\n",
        if threads == 1 { "" } else { "s" },
        fast / slow,
        quality.unwrap_or_default()
    );
    if cfg!(debug_assertions) {
        text.push_str("        that of this debug build, slower than `cargo build --release` makes it\n");
    }
    Some(text)
}

fn cut(tokens: &[u32]) -> &[u32] {
    &tokens[..tokens.len().min(LONGEST)]
}

/// Tokens and types of a sequence.
type Tokens<'a> = (&'a [u32], &'a [u32]);

/// The held-out sequences of a task that the runtime has a head for.
fn windows_of(task: &dyn Any) -> Vec<Tokens<'_>> {
    if let Some(task) = task.downcast_ref::<QuestionAnswering>() {
        return task.dev.iter().map(|w| (w.window.ids.as_slice(), w.window.types.as_slice())).collect();
    }
    let Some(task) = task.downcast_ref::<Classification>() else { return Vec::new() };
    let all = task.dev.iter().flat_map(|(_, set)| set);
    all.map(|s| (s.ids.as_slice(), s.types.as_slice())).collect()
}

/// Sequences a second.
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

/// F1 in bytes.
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
