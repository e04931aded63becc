//! What is given beside a recipe, applied to its schedule.

use std::path::Path;

use super::run_config::RunConfig;
use crate::diag::{Code, Diagnostic};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Teacher};

/// Puts what is given in place of something in the recipe. Everything that is missing or has no effect is returned
/// together.
pub(super) fn apply(config: &RunConfig, schedule: &mut Schedule) -> Vec<Diagnostic> {
    if let Some(seed) = config.seed {
        schedule.seed = seed;
    }
    let mut wrong = Vec::new();
    wrong.extend(set_length(&mut schedule.data, config.settings.max_length.map(|n| n as u64)).err());
    wrong.extend(data_flag(&schedule.data, config.data.as_deref()).err());
    let wants_teacher =
        schedule.stages.iter().any(|s| s.distill.as_ref().is_some_and(|d| d.from == Teacher::Flag));
    match (wants_teacher, &config.teacher) {
        (false, Some(_)) => {
            wrong.push(no_effect("--teacher", "the recipe does not say `distill from teacher`"));
        }
        (true, None) => wrong.push(
            Diagnostic::unlocated(Code::FlagMissing, "the recipe says `distill from teacher`")
                .help("give the teacher's folder: `--teacher DIR`"),
        ),
        _ => {}
    }
    wrong
}

fn no_effect(flag: &str, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::FlagHasNoEffect, format!("`{flag}` has no effect: {why}"))
        .help("leave it out")
}

/// Gives the data another length of sequences.
pub(crate) fn set_length(data: &mut Data, length: Option<u64>) -> Result<(), Diagnostic> {
    match (data, length) {
        (
            Data::Mnli { max_length } | Data::Qqp { max_length } | Data::MaskedText { max_length },
            Some(length),
        ) => *max_length = length as usize,
        (Data::Classify(columns), Some(length)) => columns.max_length = length as usize,
        (
            Data::Squad { max_length, doc_stride, .. } | Data::SquadV2 { max_length, doc_stride, .. },
            Some(length),
        ) => {
            *max_length = length as usize;
            // A shorter length must still move on from window to window.
            *doc_stride = (*doc_stride).min(*max_length / 2);
        }
        (_, Some(_)) => return Err(no_effect("--max-seq-len", "the built-in texts have one length")),
        _ => {}
    }
    Ok(())
}

/// Refuses `--data` where the recipe generates its own.
pub(crate) fn data_flag(data: &Data, folder: Option<&Path>) -> Result<(), Diagnostic> {
    match (data, folder) {
        (Data::BuiltinReading { .. }, Some(_)) => Err(no_effect("--data", "the recipe generates its data")),
        _ => Ok(()),
    }
}

/// Whether data is read from files.
pub(super) fn reads_files(data: &Data) -> bool {
    !matches!(data, Data::BuiltinReading { .. } | Data::Own)
}

/// A recipe whose data no file holds.
pub(crate) fn data_of_a_program() -> Diagnostic {
    Diagnostic::unlocated(Code::DataNotFound, "the recipe's data is that of a program: `data: own`")
        .help("run it through the library, or name a data set such as `squad`")
}
