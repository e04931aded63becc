//! Predictions for texts with a saved model.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::Error;
use super::{models, settings};
use crate::diag::{Code, Diagnostic, Sources};
use crate::infer::file::layout::Head;
use crate::infer::{Answering, Limits, NotReady, Precision, Predictor, pack};
use crate::params::Settings;

/// The inputs of [`predict`]. Every field is a flag of `obertc predict`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PredictConfig {
    /// A model folder, its name on the hub, or a file that `obertc pack --as engine` wrote.
    pub model: PathBuf,
    /// Whether the network is not used.
    pub offline: bool,
    /// The precision of a model folder; if `None`, INT8 for a model that was trained with quantization, else float32.
    pub precision: Option<Precision>,
    /// `max_length`, `doc_stride` and `max_answer_length`, in place of those that are saved with the model.
    pub settings: Settings,
    /// Whether texts that are longer than `max_length` are truncated; otherwise they are refused.
    pub truncate: bool,
    /// Maximum batch size in sequences.
    pub batch: usize,
    /// The number of answers for each question.
    pub top: usize,
    /// The number of threads; if `None`, the number of cores.
    pub threads: Option<usize>,
}

impl PredictConfig {
    /// The best answer for each request, with the settings that are saved with the model.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        PredictConfig {
            model: model.into(),
            offline: false,
            precision: None,
            settings: Settings::default(),
            truncate: false,
            batch: 16,
            top: 1,
            threads: None,
        }
    }
}

/// Opens a model for inference; [`Predictor::answer`] answers requests.
///
/// # Errors
/// A model that cannot be read, or that the runtime cannot run.
pub fn predict(config: &PredictConfig) -> Result<Predictor, Error> {
    let mut sources = Sources::new();
    let found = models::find(&config.model, config.offline, &mut |_, _, _| {}).map_err(Error::unlocated)?;
    let model = match pack::open(&found, config.precision, &mut sources) {
        Ok(model) => Arc::new(model),
        Err(diagnostics) => return Err(Error::new(diagnostics, sources)),
    };
    let used = ["--max-length", "--doc-stride", "--max-answer-length"];
    let idle = settings::only(&config.settings, &used, "predict");
    if !idle.is_empty() {
        return Err(Error::new(idle, sources));
    }
    let saved = match settings::saved(&found, &mut sources) {
        Ok(saved) => saved.unwrap_or_default().or(model.settings().cloned().unwrap_or_default()),
        Err(diagnostic) => return Err(Error::new(vec![diagnostic], sources)),
    };
    let settings = settings::resolve(&config.settings, saved);
    let positions = model.longest();
    // More memory than for 512 tokens is only allocated when asked for.
    let own = if *model.head() == Head::Answers { positions.min(384) } else { positions.min(512) };
    let length = settings.max_length.map_or(own, |n| n.min(positions));
    let limits = Limits {
        sequences: config.batch,
        length,
        threads: config.threads.unwrap_or(Limits::default().threads),
        ..Limits::default()
    };
    let answering = Answering {
        doc_stride: settings.doc_stride.unwrap_or(settings::DOC_STRIDE).min(length / 2),
        max_answer_length: settings.max_answer_length.unwrap_or(settings::MAX_ANSWER_LENGTH),
        top: config.top,
        truncate: config.truncate,
    };
    Predictor::new(model, limits, answering).map_err(|why| {
        let message = format!("cannot predict with `{}`: {why}", config.model.display());
        let (code, help) = match why {
            NotReady::Threads(_) => (
                Code::ResourcesRefused,
                "ask for fewer threads with `--threads`, or raise the system's limits",
            ),
            NotReady::Tokenizer(_) => {
                (Code::PackedUnsupported, "pack the model again from a folder that holds its tokenizer")
            }
        };
        Error::unlocated(Diagnostic::unlocated(code, message).help(help))
    })
}
