//! A served model: its queue, what is known of it, and its replacement when its file is replaced.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::config::RequestLimits;
use super::metrics::Metrics;
use super::queue::Queue;
use crate::api::{Error, PredictConfig, predict};
use crate::diag::{Code, Diagnostic};
use crate::infer::Predictor;
use crate::infer::file::layout::Head;
use crate::text::Tokenizer;

/// How often the file of a model is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The number of candidate answers computed for each question, of which a response has the best: the `n_best_size` of
/// BERT's `run_squad.py`.
pub const BEST_ANSWERS: usize = 20;

/// A model that answers requests.
pub struct ServedModel {
    /// The name by which requests choose it.
    pub name: String,
    /// The requests that wait for it.
    pub queue: Queue,
    config: PredictConfig,
    about: RwLock<Arc<About>>,
    metrics: Arc<Metrics>,
}

/// What responses need to know of a model.
pub struct About {
    /// What it does.
    pub head: Head,
    /// The number of values of an embedding.
    pub width: usize,
    /// The maximum sequence length in tokens.
    pub max_length: usize,
    /// The largest number of sequences of that length in a batch.
    pub batch: usize,
    /// `model_type` of its configuration.
    pub model_type: String,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
}

impl About {
    fn of(predictor: &Predictor) -> About {
        let (model, limits) = (predictor.model(), predictor.limits());
        About {
            head: model.head().clone(),
            width: model.width(),
            max_length: limits.length,
            batch: limits.sequences,
            model_type: model.config().model_type.clone(),
            tokenizer: Arc::clone(predictor.tokenizer()),
        }
    }

    /// The endpoints that the model's head supports, besides `/` and `/tokenize`.
    pub fn paths(&self) -> &'static [&'static str] {
        match self.head {
            Head::Answers => &["/answer"],
            Head::Labels(_) | Head::Multilabel(_) => &["/predict"],
            Head::Score => &["/rerank", "/v1/rerank", "/predict"],
            Head::Tokens(_) => &["/entities"],
            Head::Embedding { .. } => &["/embed", "/similarity", "/v1/embeddings"],
        }
    }

    /// The number of tokens of texts, with `[CLS]` and `[SEP]`, as far as the model reads them.
    pub fn count_tokens(&self, texts: &[String]) -> usize {
        let tokens = |text: &String| self.tokenizer.encode(text).map_or(0, |e| e.ids.len() + 2);
        texts.iter().map(|text| tokens(text).min(self.max_length)).sum()
    }
}

/// A file by which a replaced model is noticed, with its size and time of modification.
type Stamp = Option<(u64, SystemTime)>;

impl ServedModel {
    /// Opens a model and starts its thread.
    ///
    /// # Errors
    /// A model that cannot be opened, or a thread that cannot be started.
    pub fn open(
        name: &str,
        config: &PredictConfig,
        limits: RequestLimits,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let config = PredictConfig { top: BEST_ANSWERS, ..config.clone() };
        let predictor = predict(&config)?;
        let about = RwLock::new(Arc::new(About::of(&predictor)));
        let queue = Queue::start(name, predictor, (limits.waiting, limits.delay), Arc::clone(&metrics));
        let queue = queue.map_err(|e| {
            let message = format!("cannot start a thread for `{name}`: {e}");
            Error::unlocated(
                Diagnostic::unlocated(Code::ResourcesRefused, message).help("serve fewer models"),
            )
        })?;
        Ok(ServedModel { name: name.to_owned(), queue, config, about, metrics })
    }

    /// Properties of the model that is served at present.
    pub fn about(&self) -> Arc<About> {
        Arc::clone(&self.about.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the model again whenever its file has changed, and lets it answer the requests that come then. If it cannot
    /// be opened, the one before goes on answering.
    pub async fn reload_when_replaced(self: Arc<Self>) {
        let path = watched(&self.config.model);
        let mut known = stamp(&path);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamp(&path);
            if now == known || now.is_none() {
                continue;
            }
            // A file that is still being written changes again.
            tokio::time::sleep(LOOK).await;
            if stamp(&path) != now {
                continue;
            }
            known = now;
            let config = self.config.clone();
            match tokio::task::spawn_blocking(move || predict(&config)).await {
                Ok(Ok(predictor)) => {
                    let about = Arc::new(About::of(&predictor));
                    self.queue.replace(predictor);
                    *self.about.write().unwrap_or_else(PoisonError::into_inner) = about;
                    self.metrics.reloaded(true);
                    tracing::info!(model = self.name, "the model was replaced");
                }
                Ok(Err(error)) => {
                    self.metrics.reloaded(false);
                    let why = error.diagnostics().first().map_or(String::new(), |d| d.message.clone());
                    tracing::warn!(model = self.name, why, "the replaced model cannot be opened");
                }
                Err(error) => tracing::error!(model = self.name, %error, "opening the model failed"),
            }
        }
    }
}

/// The file whose change means that a model was replaced: the packed file, or a folder's weights.
fn watched(model: &Path) -> PathBuf {
    if model.is_dir() { model.join("model.safetensors") } else { model.to_owned() }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
