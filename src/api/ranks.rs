//! Several processes that compute one run: joining them, comparing them, and what only rank 0 reads.

use std::io::Write;
use std::path::Path;

use sysinfo::System;

use super::error::Error;
use super::resume::Change;
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::events::{Event, Observer, Work};
use crate::engine::machine::BURN;
use crate::engine::snapshot::Restored;
use crate::infer::simd::Isa;
use crate::output::checkpoints::Identity;
use crate::output::checkpoints::file::{self, Header};
use crate::output::checkpoints::identity::FileIdentity;
use crate::ranks::{self, NoMpi, Ranks};
use crate::schedule::Schedule;

/// Joins the processes that `mpirun` or `srun` started together with this one; alone if there is none.
///
/// # Errors
/// Several processes, in a build without the feature `mpi`.
pub(crate) fn join() -> Result<Ranks, Error> {
    ranks::start().map_err(|NoMpi { processes }| {
        let message = format!("{processes} processes were started, and this obertc is built without MPI");
        Diagnostic::unlocated(Code::NoRanks, message)
            .help("build it with `--features mpi`, or start it without `mpirun` or `srun`")
            .into()
    })
}

/// Refuses several processes for a command that one computes.
///
/// # Errors
/// Several processes.
pub(crate) fn refuse(command: &str) -> Result<(), Error> {
    match ranks::processes() {
        None | Some(1) => Ok(()),
        Some(processes) => {
            let message = format!("{processes} processes were started, and one computes `obertc {command}`");
            let help = "start it without `mpirun` or `srun`; several compute `run`, `oneshot` and `sweep`";
            Err(Diagnostic::unlocated(Code::NoRanks, message).help(help).into())
        }
    }
}

/// A rank as it appears in messages.
fn named(rank: usize, host: &str) -> String {
    format!("rank {rank} on `{host}`")
}

/// Compares the programs of all ranks, and the instruction sets for which their kernels are chosen: replicas of the
/// model stay equal only where all ranks compute the same bits.
///
/// # Errors
/// The first rank that differs from rank 0.
pub(crate) fn compare_builds(ranks: &Ranks) -> Result<(), Error> {
    if ranks.is_alone() {
        return Ok(());
    }
    let program = std::env::current_exe().ok().and_then(|path| FileIdentity::of("program", &path).ok());
    let program = program.map_or_else(|| "unknown".to_owned(), |file| file.xxh3);
    let own = [
        ("version", env!("CARGO_PKG_VERSION"), "install the same obertc on every host"),
        ("Burn", BURN, "install the same obertc on every host"),
        ("build (XXH3 of the program)", &*program, "copy one obertc to every host"),
        ("instruction set", Isa::best().name(), "use hosts with the same kind of processor"),
    ];
    let mut shown: Vec<String> = vec![System::host_name().unwrap_or_else(|| "unknown".to_owned())];
    shown.extend(own.iter().map(|(_, value, _)| (*value).to_owned()));
    let all = ranks.all_gather(&serde_json::to_vec(&shown).unwrap_or_default());
    let all: Vec<Vec<String>> =
        all.iter().map(|bytes| serde_json::from_slice(bytes).unwrap_or_default()).collect();
    for (rank, of_rank) in all.iter().enumerate() {
        for (i, (what, _, help)) in own.iter().enumerate() {
            let (first, other) = (all[0].get(i + 1), of_rank.get(i + 1));
            if first != other {
                let host = |of: &[String]| of.first().cloned().unwrap_or_default();
                let value = |of: Option<&String>| of.cloned().unwrap_or_else(|| "unknown".to_owned());
                let message = format!(
                    "{} has another {what}: {}; {} has {}",
                    named(rank, &host(of_rank)),
                    value(other),
                    named(0, &host(&all[0])),
                    value(first)
                );
                return Err(Diagnostic::unlocated(Code::RanksDiffer, message).help(*help).into());
            }
        }
    }
    Ok(())
}

/// Compares the inputs of all ranks: schedule, data, model, teachers and flags. `settings` are further ones, as text.
///
/// # Errors
/// A diagnostic for the first rank that differs from rank 0, and the differences, line by line.
pub(super) fn compare_inputs(
    ranks: &Ranks,
    own: &Identity,
    settings: &str,
) -> Result<(), (Diagnostic, String)> {
    if ranks.is_alone() {
        return Ok(());
    }
    let host = System::host_name().unwrap_or_else(|| "unknown".to_owned());
    let all = ranks.all_gather(&serde_json::to_vec(&(host, settings, own)).unwrap_or_default());
    let all: Vec<(String, String, Identity)> =
        all.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    let Some((first_host, first_settings, first)) = all.first() else { return Ok(()) };
    for (rank, (host, settings, other)) in all.iter().enumerate() {
        let changes = Change::all(first, other);
        let mut what: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
        what.dedup();
        if settings != first_settings {
            what.push("settings");
        }
        if what.is_empty() {
            continue;
        }
        let (other, first) = (named(rank, host), named(0, first_host));
        let message = format!("{other} has another {} than {first}", what.join(", "));
        let shown: Vec<&str> = changes.iter().map(|change| change.shown.as_str()).collect();
        let diagnostic = Diagnostic::unlocated(Code::RanksDiffer, message)
            .help("give every rank the same recipe, flags and files; paths may differ");
        return Err((diagnostic, format!("from rank 0 to rank {rank}:\n{}", shown.join("\n"))));
    }
    Ok(())
}

/// Sends the checkpoint that rank 0 resumes from to the other ranks, which may have no access to its file. `None` if
/// rank 0 begins a new run.
///
/// # Errors
/// A file that cannot be read or written.
pub(super) fn share_checkpoint(
    ranks: &Ranks,
    path: Option<&Path>,
) -> Result<Option<(Header, Restored)>, Diagnostic> {
    let failed = |why: String| {
        Diagnostic::unlocated(Code::CheckpointNotUsable, format!("a checkpoint cannot be shared: {why}"))
            .help("is there space for temporary files?")
    };
    let bytes = match path {
        Some(path) => std::fs::read(path).map_err(|e| failed(e.to_string()))?,
        None => Vec::new(),
    };
    let bytes = ranks.broadcast(&bytes);
    if ranks.is_first() || bytes.is_empty() {
        return Ok(None);
    }
    let written = tempfile::NamedTempFile::new().and_then(|mut file| {
        file.write_all(&bytes)?;
        Ok(file)
    });
    let copy = written.map_err(|e| failed(e.to_string()))?;
    file::read(copy.path()).map(Some).map_err(failed)
}

/// A note where a stage accumulates fewer batches than there are ranks.
pub(super) fn idle_ranks(schedule: &Schedule, ranks: &Ranks) -> Option<String> {
    let size = ranks.size();
    let trained = schedule.stages.iter().filter(|stage| !stage.length.is_zero());
    let least = trained.min_by_key(|stage| stage.train.accumulate)?;
    let (name, batches) = (&least.name, least.train.accumulate);
    (batches < size).then(|| {
        format!(
            "{} of {size} ranks compute no gradients in `{name}`, which accumulates {batches} in each step; with \
             `train {{ accumulate: {size} }}` and a smaller `batch` all do",
            size - batches
        )
    })
}

/// The observer of a rank other than 0, which reports nothing and may be asked to stop.
pub(super) struct OtherRank<'a, O>(pub(super) &'a mut O);

impl<O: Observer> Observer for OtherRank<'_, O> {
    fn event(&mut self, _: &Event) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}

    fn planned(&mut self, schedule: &Schedule, limit_steps: Option<u64>) {
        self.0.planned(schedule, limit_steps);
    }

    fn important_note(&mut self, _: &str) {}

    fn warnings(&mut self, _: &[Diagnostic], _: &Sources) {}

    fn wants_to_stop(&self) -> bool {
        self.0.wants_to_stop()
    }
}
