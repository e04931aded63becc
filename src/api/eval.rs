//! Evaluating a saved model.

use std::path::Path;

use super::error::Error;
use super::eval_config::{EvalConfig, EvalReport};
use super::models::{find_model, with_features};
use super::{eval_packed, eval_settings, settings};
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::device;
use crate::engine::events::{Observer, Work};
use crate::params::sentence_modules::SentenceModules;
use crate::params::settings::TaskName;
use crate::params::{Settings, folder};
use crate::schedule::ir::{Data, Model};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::splits::{Need, ReadOptions};
use crate::task::embedding::Embedding;
use crate::task::masked_language::MaskedLanguage;
use crate::task::model::checkpoint;
use crate::task::prepare::{self, Prepare, PrepareOptions, Prepared};
use crate::task::question_answering::QuestionAnswering;
use crate::task::scoring::Scoring;
use crate::task::token_classification::TokenClassification;

/// Evaluates a saved model on dev data.
///
/// For the folder of a run the metrics equal those of the run exactly: the preprocessing settings are saved with the
/// model, and a model from quantization-aware training is evaluated with its quantizers.
///
/// # Errors
/// A model or data that cannot be read or do not fit, and settings that are neither saved nor given.
pub fn eval(config: &EvalConfig, observer: &mut (impl Observer + Send)) -> Result<EvalReport, Error> {
    let mut sources = Sources::new();
    let folder = find_model(&config.model, config.offline, observer).map_err(Error::unlocated)?;
    let packed = match eval_packed::open(&folder, &mut sources) {
        Ok(packed) => packed,
        Err(diagnostics) => return Err(Error::new(diagnostics, sources)),
    };
    if let Some(model) = packed {
        let evaluated = eval_packed::evaluate(config, &folder, model, &mut sources, observer);
        return evaluated.map_err(|diagnostics| Error::new(diagnostics, sources));
    }
    let evaluated = describe(config, &folder, &mut sources).and_then(|subject| match &subject.data {
        Data::MaskedText { .. } => evaluate::<MaskedLanguage>(config, &subject, &mut sources, observer),
        Data::Regression(_) | Data::Rerank(_) | Data::MultiLabel(_) => {
            evaluate::<Scoring>(config, &subject, &mut sources, observer)
        }
        Data::Embeddings(_) => evaluate::<Embedding>(config, &subject, &mut sources, observer),
        Data::ClassifyTokens(_) => evaluate::<TokenClassification>(config, &subject, &mut sources, observer),
        Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_) => {
            evaluate::<Classification>(config, &subject, &mut sources, observer)
        }
        _ => evaluate::<QuestionAnswering>(config, &subject, &mut sources, observer),
    });
    evaluated.map_err(|diagnostics| Error::new(diagnostics, sources))
}

/// A model and what it is evaluated on.
struct Subject<'a> {
    folder: &'a Path,
    data: Data,
    settings: Settings,
}

fn describe<'a>(
    config: &EvalConfig,
    folder: &'a Path,
    sources: &mut Sources,
) -> Result<Subject<'a>, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    // A folder without a configuration is reported with everything else that is wrong with it.
    let read = folder::read_config(folder, &mut Sources::new()).ok();
    let saved = settings::saved(folder, sources).map_err(one)?;
    let mut known = saved.or(read.as_ref().map(eval_settings::of_class)).unwrap_or_default();
    if known.task == Some(TaskName::Embeddings) && known.max_length.is_none() {
        known.max_length = SentenceModules::read(folder).map_err(one)?.and_then(|modules| modules.max_length);
    }
    let positions = read.map_or(512, |c| c.longest());
    let has_data = config.data.is_some();
    let (data, settings) = eval_settings::of_eval(&config.settings, known, has_data, positions)?;
    Ok(Subject { folder, data, settings })
}

fn evaluate<T: Prepare>(
    config: &EvalConfig,
    subject: &Subject,
    sources: &mut Sources,
    observer: &mut (impl Observer + Send),
) -> Result<EvalReport, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let device = device::open(&config.device).map_err(one)?;
    let places = PrepareOptions {
        model: &Model::Named(subject.folder.display().to_string()),
        model_folder: Some(subject.folder),
        data: &subject.data,
        data_folder: config.data.as_deref(),
        reading: ReadOptions { split: config.split, skip_bad: config.skip_bad, dev: None },
        need: Need::Dev,
        limit_examples: config.limit_examples,
        dropout: None,
        may_have_new_head: config.new_head,
        distills: false,
        needs_labels: false,
        seed: subject.settings.seed.unwrap_or(0),
    };
    let cache = if config.cache { cache::folder() } else { None };
    let prepared: Prepared<T> = with_features(cache, observer, |feature_cache| {
        prepare::prepare(&places, &device, sources, feature_cache)
    })
    .map_err(with_the_flag)?;
    for note in &prepared.notes {
        observer.note(note);
    }
    // A model that was trained with quantization is evaluated with it.
    let model = checkpoint::with_scales(prepared.model, subject.folder).map_err(one)?;
    let new_head = !prepared.new_head.is_empty();
    let mut task = prepared.task;
    task.apply(&subject.settings);
    let metrics = task.evaluate(&model, &device, &mut |done, total| {
        observer.progress(Work::Evaluating("eval"), done as u64, total as u64);
    });
    Ok(EvalReport { metrics, examples: task.dev_examples(), unit: T::EXAMPLES, new_head })
}

/// Adds `--new-head`, which evaluates a model without a head, to the help of the diagnostic for a missing head.
fn with_the_flag(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for diagnostic in diagnostics.iter_mut().filter(|d| d.code == Code::HeadMissing) {
        diagnostic.help =
            diagnostic.help.take().map(|help| format!("{help}; `--new-head` evaluates a random one"));
    }
    diagnostics
}
