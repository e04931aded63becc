//! `obertc bench`.

use super::{ERRORS, FINE, eprint};
use crate::api::{Error, settings};
use crate::diag::{Sources, counted};
use crate::infer::Limits;
use crate::infer::simd::Isa;

mod args;
mod models;
mod point;
mod results;
mod rival;

pub use args::BenchArgs;
use args::Failure;
use models::{Candidate, Candidates};
use results::Point;
use rival::Rival;

pub fn run(args: &BenchArgs) -> Result<i32, Error> {
    let mut sources = Sources::new();
    match measure(args, &mut sources) {
        Ok(()) => Ok(FINE),
        Err(Failure::Diagnosed(diagnostics)) => Err(Error::new(diagnostics, sources)),
        Err(Failure::Other(why)) => {
            eprint(&format!("cannot measure: {why}\n"));
            Ok(ERRORS)
        }
    }
}

fn measure(args: &BenchArgs, sources: &mut Sources) -> Result<(), Failure> {
    let cores = Limits::default().threads as u64;
    let threads = if args.threads.is_empty() { vec![cores] } else { args.threads.clone() };
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let Candidates { models, folder } = models::open(args, scratch.path(), sources)?;
    let lengths = lengths(args, &models)?;
    for Candidate { name, model, opened, answered } in &models {
        let mebibytes = model.size() as f64 / f64::from(1 << 20);
        let [opened, answered] = [opened, answered].map(|time| time.as_secs_f64() * 1e3);
        args.note(&format!(
            "{name}: {mebibytes:.1} MiB, opened in {opened:.1} ms, first answer after {answered:.1} ms"
        ));
    }
    let mut rivals = Vec::new();
    for program in &args.against {
        let started = match &folder {
            None => Err("it needs a model folder, not a packed file".to_owned()),
            Some(folder) => Rival::start(*program, folder, lengths[0]),
        };
        match started {
            Ok(rival) => {
                args.note(&rival.described());
                rivals.push(rival);
            }
            Err(why) => args.note(&format!("{} is skipped: {why}", program.name())),
        }
    }
    args.note(&format!("{}, {}", Isa::best().name(), counted(cores, "core", "cores")));
    for threads in &threads {
        for batch in &args.batch {
            for length in &lengths {
                let point = Point { threads: *threads, batch: *batch, length: *length };
                point::measure(args, &models, point, &mut rivals)?;
            }
        }
    }
    Ok(())
}

/// The sequence lengths: those given, else the maximum sequence length that is saved with the model.
fn lengths(args: &BenchArgs, models: &[Candidate]) -> Result<Vec<u64>, Failure> {
    let given = args.settings.settings();
    let idle = settings::only(&given, &["--max-length"], "bench");
    if !idle.is_empty() {
        return Err(idle.into());
    }
    if !args.seq.is_empty() {
        return Ok(args.seq.clone());
    }
    let saved = models.first().and_then(|m| m.model.settings()).and_then(|s| s.max_length);
    Ok(vec![given.max_length.or(saved).unwrap_or(128) as u64])
}
