//! Running a recipe.

use std::time::Instant;

use super::error::{Error, RunError};
use super::execute::{Start, execute};
use super::flags::{self, data_of_a_program};
use super::memory_check;
use super::ranks::OtherRank;
use super::resolve::{Request, Resolved, resolve};
use super::run_config::RunConfig;
use super::run_report::RunReport;
use crate::diag::Severity;
use crate::engine::events::Observer;
use crate::ranks::Ranks;
use crate::schedule::Schedule;
use crate::schedule::ir::Data;
use crate::task::classification::Classification;
use crate::task::embedding::Embedding;
use crate::task::masked_language::MaskedLanguage;
use crate::task::question_answering::QuestionAnswering;
use crate::task::scoring::Scoring;
use crate::task::token_classification::TokenClassification;

/// Runs a recipe: compiles it, reads model and data, trains, prunes, quantizes and evaluates, and writes the model, the
/// log and the report into a folder.
///
/// The observer receives events as they happen, progress, notes and warnings, and may stop the run.
///
/// # Errors
/// A recipe with errors, a model or data that cannot be read or do not fit, a folder that cannot be written, and
/// everything that stops training, such as a loss that is not finite.
pub fn run(config: &RunConfig, observer: &mut (impl Observer + Send)) -> Result<RunReport, RunError> {
    run_on(&Ranks::alone(), config, observer)
}

/// [`run`] on several ranks, which compute it together. Rank 0 reports to its observer and writes the folder; the
/// reports of the others have none.
pub(crate) fn run_on(
    ranks: &Ranks,
    config: &RunConfig,
    observer: &mut (impl Observer + Send),
) -> Result<RunReport, RunError> {
    match ranks.is_first() {
        true => compile_and_execute(ranks, config, observer),
        false => compile_and_execute(ranks, config, &mut OtherRank(observer)),
    }
}

fn compile_and_execute(
    ranks: &Ranks,
    config: &RunConfig,
    observer: &mut (impl Observer + Send),
) -> Result<RunReport, RunError> {
    let begin = Instant::now();
    let apply = |schedule: &mut Schedule| flags::apply(config, schedule);
    let (recipe, options) = (&config.recipe, &config.options);
    let request =
        Request { recipe, options, data: config.data.as_deref(), offline: config.offline, apply: &apply };
    let Resolved { schedule, compiled, model } = resolve(&request, observer)?;
    let recipe = compiled.sources.get(compiled.main).text.clone();
    let mut sources = compiled.sources;
    if config.device == "cpu"
        && let Some(shortage) = memory_check::check(&schedule, compiled.parameters.as_ref(), model.as_deref())
    {
        if shortage.severity == Severity::Error {
            return Err(Error::new(vec![shortage], sources));
        }
        observer.warnings(&[shortage], &sources);
    }
    let start = Start { ranks, config, begin, schedule, recipe, model };
    let done = match &start.schedule.data {
        Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. } => {
            execute::<QuestionAnswering>(&start, &mut sources, observer)
        }
        Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
            execute::<Classification>(&start, &mut sources, observer)
        }
        Data::Regression(_) | Data::Rerank(_) | Data::MultiLabel(_) => {
            execute::<Scoring>(&start, &mut sources, observer)
        }
        Data::Embeddings(_) => execute::<Embedding>(&start, &mut sources, observer),
        Data::ClassifyTokens(_) => execute::<TokenClassification>(&start, &mut sources, observer),
        Data::MaskedText { .. } => execute::<MaskedLanguage>(&start, &mut sources, observer),
        Data::Own => Err(data_of_a_program().into()),
    };
    done.map_err(|refused| Error::new(refused.diagnostics, sources).with_details(refused.details))
}
