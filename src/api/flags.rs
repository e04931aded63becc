//! Flags that change a schedule.

use std::path::Path;

use super::run_config::RunConfig;
use crate::diag::{Code, Diagnostic};
use crate::schedule::Schedule;
use crate::schedule::ir::{Data, Teacher};

/// Applies the flags of `run` to the schedule. Returns a diagnostic for each flag that is missing or has no effect.
pub(super) fn apply(config: &RunConfig, schedule: &mut Schedule) -> Vec<Diagnostic> {
    if let Some(seed) = config.seed {
        schedule.seed = seed;
    }
    let mut wrong = Vec::new();
    let (length, stride) = (config.settings.max_length, config.settings.doc_stride);
    wrong.extend(set_lengths(&mut schedule.data, length, stride).err());
    wrong.extend(data_flag(&schedule.data, config.data.as_deref()).err());
    wrong.extend(config.data.is_none().then(|| data_missing(&schedule.data)).flatten());
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

/// Replaces the maximum sequence length, and the overlap of windows (`doc_stride`).
pub(crate) fn set_lengths(
    data: &mut Data,
    length: Option<usize>,
    stride: Option<usize>,
) -> Result<(), Diagnostic> {
    match data {
        Data::Squad { max_length, doc_stride, .. } | Data::SquadV2 { max_length, doc_stride, .. } => {
            // Each window must begin after the one before it.
            let most = length.map_or(usize::MAX, |n| n / 2);
            *doc_stride = stride.unwrap_or((*doc_stride).min(most));
            *max_length = length.unwrap_or(*max_length);
            return Ok(());
        }
        Data::ClassifyTokens(columns) => {
            let most = length.map_or(usize::MAX, |n| n / 2);
            columns.doc_stride = stride.unwrap_or(columns.doc_stride.min(most));
            columns.max_length = length.unwrap_or(columns.max_length);
            return Ok(());
        }
        Data::Mnli { max_length } | Data::Qqp { max_length } | Data::MaskedText { max_length } => {
            *max_length = length.unwrap_or(*max_length);
        }
        Data::Classify(columns) => columns.max_length = length.unwrap_or(columns.max_length),
        Data::Regression(columns) | Data::Rerank(columns) => {
            columns.max_length = length.unwrap_or(columns.max_length)
        }
        Data::MultiLabel(columns) => columns.max_length = length.unwrap_or(columns.max_length),
        Data::Embeddings(settings) => settings.max_length = length.unwrap_or(settings.max_length),
        Data::Own | Data::BuiltinReading { .. } if length.is_some() => {
            return Err(no_effect("--max-length", "the built-in texts have one length"));
        }
        Data::Own | Data::BuiltinReading { .. } => {}
    }
    match stride {
        Some(_) => Err(no_effect("--doc-stride", "the recipe's data has no windows of long contexts")),
        None => Ok(()),
    }
}

/// Refuses `--data` for a recipe that generates its data.
pub(crate) fn data_flag(data: &Data, folder: Option<&Path>) -> Result<(), Diagnostic> {
    match (data, folder) {
        (Data::BuiltinReading { .. }, Some(_)) => Err(no_effect("--data", "the recipe generates its data")),
        _ => Ok(()),
    }
}

/// The diagnostic for a recipe whose data is read from files, and none are given.
pub(super) fn data_missing(data: &Data) -> Option<Diagnostic> {
    let (name, files) = match data {
        Data::Squad { .. } => ("squad", "train* and dev* files (json, parquet)"),
        Data::SquadV2 { .. } => ("squad_v2", "train* and dev* files (json, parquet)"),
        Data::Mnli { .. } => ("mnli", "train* and dev* tables (tsv, csv, jsonl, parquet)"),
        Data::Qqp { .. } => ("qqp", "train* and dev* tables (tsv, csv, jsonl, parquet)"),
        Data::Classify(_) => ("classify(…)", "train* and dev* tables (tsv, csv, jsonl, parquet)"),
        Data::Regression(_) => ("regression(…)", "train* and dev* tables (tsv, csv, jsonl, parquet)"),
        Data::Rerank(_) => ("rerank", "train* and dev* tables (tsv, csv, jsonl, parquet)"),
        Data::MultiLabel(_) => ("multi_label(…)", "train* and dev* tables (tsv, csv, jsonl, parquet)"),
        Data::Embeddings(_) => {
            ("embeddings", "train* and dev* tables (tsv, csv, jsonl, parquet) or texts (txt)")
        }
        Data::ClassifyTokens(_) => {
            ("classify_tokens", "train* and dev* CoNLL files (txt, conll) or tables (jsonl, parquet)")
        }
        Data::MaskedText { .. } => ("masked_text", "train* and dev* texts (txt, jsonl, parquet)"),
        Data::Own | Data::BuiltinReading { .. } => return None,
    };
    let message = format!("`data: {name}` needs files");
    let help = format!("give the folder of {files}: `--data DIR`");
    Some(Diagnostic::unlocated(Code::FlagMissing, message).help(help))
}

/// Whether the data is read from files.
pub(super) fn reads_files(data: &Data) -> bool {
    !matches!(data, Data::BuiltinReading { .. } | Data::Own)
}

/// The diagnostic for a recipe with custom data (`data: own`), which only the library can run.
pub(crate) fn data_of_a_program() -> Diagnostic {
    Diagnostic::unlocated(Code::DataNotFound, "the recipe's data is custom: `data: own`")
        .help("run it through the library, or name a data set such as `squad`")
}
