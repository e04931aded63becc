//! Measuring all programs of `obertc bench` with one number of threads, batch size and sequence length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::{BenchArgs, Failure};
use super::models::Candidate;
use super::onnxruntime::OnnxRuntime;
use super::results::{Measured, ONNX_RUNTIME_F32, ONNX_RUNTIME_INT8, Point, show};
use crate::diag::{Code, Diagnostic};
use crate::infer::simd::Isa;
use crate::infer::{Limits, Sequence, Session};

/// Turns in which the programs are measured one after the other.
const TURNS: u32 = 6;

/// Measures all programs in turns, so that other load of the machine slows all of them alike, and prints the results.
pub(super) fn measure(
    args: &BenchArgs,
    models: &[Candidate],
    point: Point,
    mut other: Option<&mut OnnxRuntime>,
) -> Result<(), Failure> {
    let Point { threads, batch, length } = point;
    let slice = args.seconds / f64::from(TURNS);
    let mut sessions = Vec::new();
    for candidate in models {
        let most = candidate.model.longest();
        if length as usize > most {
            let message = format!("`--seq {length}` is longer than the model's {most} positions");
            return Err(Diagnostic::unlocated(Code::FlagValue, message)
                .help(format!("at most `--seq {most}`"))
                .into());
        }
        let limits = Limits {
            sequences: batch as usize,
            length: length as usize,
            threads: threads as usize,
            isa: Isa::best(),
        };
        let session = Session::new(Arc::clone(&candidate.model), limits).map_err(|e| e.to_string())?;
        sessions.push((session, Vec::new()));
    }
    let vocabulary = models.first().map_or(1, |m| m.model.vocabulary()) as u64;
    let ids: Vec<Vec<u32>> = (0..batch)
        .map(|s| (0..length).map(|t| ((s * 104_729 + t * 7919 + 13) % vocabulary) as u32).collect())
        .collect();
    let types = vec![0; length as usize];
    let sequences: Vec<Sequence<'_>> = ids.iter().map(|ids| Sequence { ids, types: &types }).collect();
    let kinds = [("f32", ONNX_RUNTIME_F32), ("int8", ONNX_RUNTIME_INT8)];
    let mut other_times = kinds.map(|(kind, name)| (kind, name, Vec::new()));
    let mut reference = Vec::new();
    for turn in 0..=TURNS {
        let slice = if turn == 0 { slice / 4.0 } else { slice };
        // The first turn warms up and is not counted, unless a single run takes longer than the time to measure.
        let counts = |time: f64| turn > 0 || time > args.seconds;
        let enough = |times: &[f64]| times.iter().sum::<f64>() >= args.seconds;
        for (session, times) in &mut sessions {
            let end = Instant::now() + Duration::from_secs_f64(slice);
            while !enough(times) {
                let start = Instant::now();
                session.run(&sequences).map_err(|e| e.to_string())?;
                let time = start.elapsed().as_secs_f64();
                times.extend(counts(time).then_some(time));
                if Instant::now() >= end {
                    break;
                }
            }
        }
        let Some(other) = other.as_deref_mut() else { continue };
        for (kind, _, times) in other_times.iter_mut().filter(|(.., times)| !enough(times)) {
            let reply = other.run(kind, threads, &ids, if turn == 0 { 0.0 } else { slice }, turn == 0)?;
            times.extend(reply.times.iter().filter(|time| counts(**time)));
            if turn == 0 && *kind == "f32" {
                reference = reply.logits;
            }
        }
    }
    let mut measured = Vec::new();
    for (candidate, (session, times)) in models.iter().zip(sessions) {
        let memory = Some((candidate.model.size() + session.memory()) as u64);
        measured.push(Measured { program: format!("obert {}", candidate.name), times, memory });
    }
    if let Some(other) = other {
        for (_, name, times) in other_times {
            measured.push(Measured { program: name.to_owned(), times, memory: other.memory() });
        }
        compare_logits(args, models, &sequences[..1], &reference, point)?;
    }
    show(args.format, point, &measured);
    Ok(())
}

/// Prints the largest difference between the float model's logits and those of ONNX Runtime, which show that both run
/// the same model.
fn compare_logits(
    args: &BenchArgs,
    models: &[Candidate],
    sequence: &[Sequence<'_>],
    reference: &[f32],
    point: Point,
) -> Result<(), Failure> {
    let Some(candidate) = models.iter().find(|m| m.name.contains("f32")) else { return Ok(()) };
    let limits = Limits { sequences: 1, length: point.length as usize, threads: 1, isa: Isa::best() };
    let mut session = Session::new(Arc::clone(&candidate.model), limits).map_err(|e| e.to_string())?;
    let logits = session.run(sequence).map_err(|e| e.to_string())?;
    let (start, end) = logits.answer(0);
    let ours = start.iter().zip(end).flat_map(|(s, e)| [*s, *e]);
    if reference.len() == 2 * start.len() {
        let apart = ours.zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let length = point.length;
        args.note(&format!(
            "length {length}: float32 logits differ from ONNX Runtime's by at most {apart:.1e}"
        ));
    }
    Ok(())
}
