//! Evaluating a saved model.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::models::{find_model, with_features};
use super::settings;
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::device;
use crate::engine::events::{Observer, Work};
use crate::params::{Settings, folder};
use crate::schedule::ir::{Data, Model};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::splits::{Need, ReadOptions, Split};
use crate::task::masked_language::MaskedLanguage;
use crate::task::metric::Metrics;
use crate::task::model::checkpoint;
use crate::task::prepare::{self, Places, Prepare, Prepared};
use crate::task::question_answering::QuestionAnswering;

/// Which model is evaluated, and on what. Every field is a flag of `obertc eval`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalConfig {
    /// The model: its folder, or its name on the hub.
    pub model: PathBuf,
    /// The folder of data files, or a file; none where the model was made with generated data.
    pub data: Option<PathBuf>,
    /// The split of the folder that is evaluated.
    pub split: Split,
    /// Whether rows that cannot be used are left out and counted; otherwise they are refused.
    pub skip_bad: bool,
    /// Task, lengths and columns, in place of those that are saved with the model.
    pub settings: Settings,
    /// The greatest number of examples.
    pub limit_examples: Option<usize>,
    /// Whether a model that lacks the task's head is evaluated with a new one, whose weights are random; otherwise it
    /// is refused.
    pub new_head: bool,
    /// Whether tokenized texts are read from the cache and saved in it.
    pub cache: bool,
    /// Whether the network is forbidden.
    pub offline: bool,
    /// `cpu`, `wgpu` or `cuda`, the latter two in a build with that feature.
    pub device: String,
}

impl EvalConfig {
    /// The evaluation of a model on the dev files of a folder, with the settings that are saved with the model.
    pub fn new(model: impl Into<PathBuf>, data: Option<PathBuf>) -> Self {
        EvalConfig {
            model: model.into(),
            data,
            split: Split::Dev,
            skip_bad: false,
            settings: Settings::default(),
            limit_examples: None,
            new_head: false,
            cache: true,
            offline: false,
            device: "cpu".to_owned(),
        }
    }
}

/// How good a model is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EvalReport {
    /// Metrics by name: `exact_match` and `f1` in percent, `accuracy` in percent, `loss` in nats.
    pub metrics: Metrics,
    /// The number of examples.
    pub examples: usize,
    /// What they are called: `questions`, `examples`, `sequences`.
    pub unit: &'static str,
    /// Whether the head of the model is new, with random weights.
    pub new_head: bool,
}

/// Evaluates a saved model on dev data.
///
/// Of a run's folder the metrics are those of the run, to the last digit: how inputs are made is saved with the
/// model, and a model that was trained with quantization is evaluated with it.
///
/// # Errors
/// A model or data that cannot be read or do not fit, and settings that are neither saved nor given.
pub fn eval(config: &EvalConfig, observer: &mut (impl Observer + Send)) -> Result<EvalReport, Error> {
    let mut sources = Sources::new();
    let folder = find_model(&config.model, config.offline, observer).map_err(Error::unlocated)?;
    let evaluated = describe(config, &folder, &mut sources).and_then(|subject| match &subject.data {
        Data::MaskedText { .. } => evaluate::<MaskedLanguage>(config, &subject, &mut sources, observer),
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
    let saved = settings::saved(folder, sources).map_err(|d| vec![d])?;
    let mut settings = settings::resolve(&config.settings, saved);
    if config.data.is_some() && settings.task == Some(crate::params::settings::TaskName::BuiltinReading) {
        // Generated data has the form of SQuAD's.
        settings.task = Some(crate::params::settings::TaskName::Squad);
    }
    let positions = folder::read_config(folder, &mut Sources::new()).map_or(512, |c| c.longest());
    let data = settings::data(&config.settings, &settings, positions);
    let generated = matches!(data, Ok(Data::BuiltinReading { .. }));
    let no_data = (config.data.is_none() && !generated).then(|| {
        Diagnostic::unlocated(Code::FlagMissing, "the data to evaluate on is not given")
            .help("give the folder of its dev* files: `--data DIR`")
    });
    match (data, no_data) {
        (Ok(data), None) => Ok(Subject { folder, data, settings }),
        (data, no_data) => Err(data.err().into_iter().flatten().chain(no_data).collect()),
    }
}

fn evaluate<T: Prepare>(
    config: &EvalConfig,
    subject: &Subject,
    sources: &mut Sources,
    observer: &mut (impl Observer + Send),
) -> Result<EvalReport, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let device = device::open(&config.device).map_err(one)?;
    let places = Places {
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
        seed: subject.settings.seed.unwrap_or(0),
    };
    let cache = if config.cache { cache::folder() } else { None };
    let prepared: Prepared<T> =
        with_features(cache, observer, |making| prepare::prepare(&places, &device, sources, making))
            .map_err(with_the_flag)?;
    for note in &prepared.notes {
        observer.note(note);
    }
    // A model that was trained with quantization is evaluated with it.
    let model = checkpoint::with_scales(prepared.model, subject.folder).map_err(one)?;
    let metrics = prepared.task.evaluate(&model, &device, &mut |done, total| {
        observer.progress(Work::Evaluating("eval"), done as u64, total as u64);
    });
    let new_head = !prepared.new_head.is_empty();
    Ok(EvalReport { metrics, examples: prepared.task.held_out(), unit: T::EXAMPLES, new_head })
}

/// Adds the flag that evaluates a model without a head all the same.
fn with_the_flag(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for diagnostic in diagnostics.iter_mut().filter(|d| d.code == Code::HeadMissing) {
        diagnostic.help =
            diagnostic.help.take().map(|help| format!("{help}; `--new-head` evaluates a random one"));
    }
    diagnostics
}
