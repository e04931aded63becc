//! Measuring all programs of `obertc bench` with one number of threads, batch size and sequence length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::{BenchArgs, Failure};
use super::models::Candidate;
use super::results::{Measured, Point, show};
use super::rival::Rival;
use crate::diag::{Code, Diagnostic};
use crate::infer::model::session::Logits;
use crate::infer::simd::Isa;
use crate::infer::{Limits, Sequence, Session};

/// The precisions in which another program is measured.
const KINDS: [&str; 2] = ["f32", "int8"];

/// Turns in which the programs are measured one after the other.
const TURNS: u32 = 6;

/// Measures all programs in turns, so that other load of the machine slows all of them alike, and prints the results.
pub(super) fn measure(
    args: &BenchArgs,
    models: &[Candidate],
    point: Point,
    rivals: &mut [Rival],
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
    let mut of_rivals: Vec<[Vec<f64>; 2]> = rivals.iter().map(|_| Default::default()).collect();
    for rival in rivals.iter_mut() {
        let outputs = rival.run(KINDS[0], threads, &ids, 0.0, true)?.outputs;
        compare_outputs(args, models, &sequences[..1], &outputs, rival)?;
    }
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
        for (rival, times) in rivals.iter_mut().zip(&mut of_rivals) {
            for (kind, times) in KINDS.iter().zip(times).filter(|(_, times)| !enough(times)) {
                let reply = rival.run(kind, threads, &ids, if turn == 0 { 0.0 } else { slice }, false)?;
                times.extend(reply.times.iter().filter(|time| counts(**time)));
            }
        }
    }
    let mut measured = Vec::new();
    for (candidate, (session, times)) in models.iter().zip(sessions) {
        let memory = Some((candidate.model.size() + session.memory()) as u64);
        measured.push(Measured { program: format!("obert {}", candidate.name), times, memory });
    }
    for (rival, times) in rivals.iter().zip(of_rivals) {
        for (kind, times) in KINDS.iter().zip(times) {
            let program = format!("{} dense {kind}", rival.program.name());
            measured.push(Measured { program, times, memory: rival.memory() });
        }
    }
    let programs: Vec<_> = rivals.iter().map(|rival| rival.program).collect();
    show(args.format, point, &measured, &programs);
    Ok(())
}

/// Prints the largest difference between the float model's outputs and those of another program, which show that both
/// compute the same model.
fn compare_outputs(
    args: &BenchArgs,
    models: &[Candidate],
    sequence: &[Sequence<'_>],
    theirs: &[f32],
    rival: &Rival,
) -> Result<(), Failure> {
    let Some(candidate) = models.iter().find(|m| m.name.contains("f32")) else { return Ok(()) };
    let length = sequence[0].ids.len();
    let limits = Limits { sequences: 1, length, threads: 1, isa: Isa::best() };
    let mut session = Session::new(Arc::clone(&candidate.model), limits).map_err(|e| e.to_string())?;
    let ours = outputs(&session.run(sequence).map_err(|e| e.to_string())?);
    if ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return Err(format!("{} gives {theirs} outputs, obert {ours}", rival.program.name()).into());
    }
    let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let name = rival.program.name();
    args.note(&format!("length {length}: float32 outputs differ from {name}'s by at most {apart:.1e}"));
    Ok(())
}

/// The outputs of the first sequence, in the order of an ONNX file.
fn outputs(logits: &Logits<'_>) -> Vec<f32> {
    let (start, end) = logits.answer(0);
    let by_label: Vec<&[f32]> = logits.tokens(0).collect();
    let tokens = by_label.first().map_or(0, |row| row.len());
    let of_tokens = (0..tokens).flat_map(|token| by_label.iter().map(move |row| row[token]));
    let answers = start.iter().chain(end).copied();
    answers.chain(of_tokens).chain(logits.labels(0)).chain(logits.embedding(0)).collect()
}
