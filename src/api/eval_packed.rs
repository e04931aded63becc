//! Evaluating a packed model with the CPU runtime: an engine file, or a compressed-tensors folder in INT8.

use std::path::Path;
use std::sync::Arc;

use super::eval_config::{EvalConfig, EvalReport};
use super::models::with_features;
use super::{eval_settings, settings};
use crate::diag::{Code, Diagnostic, Sources};
use crate::engine::events::{Observer, Work};
use crate::infer::file::layout::Head;
use crate::infer::{Limits, Model, Sequence, Session};
use crate::output::export::compressed_model;
use crate::params::Settings;
use crate::schedule::ir::{self, Data};
use crate::task::classification::Classification;
use crate::task::data::cache;
use crate::task::data::splits::{Need, ReadOptions};
use crate::task::embedding::Embedding;
use crate::task::metric::Metrics;
use crate::task::prepare::{Prepare, PrepareOptions};
use crate::task::question_answering::QuestionAnswering;
use crate::task::scoring::Scoring;
use crate::task::token_classification::TokenClassification;
use crate::text::Tokenizer;

/// Batch size.
const BATCH: usize = 16;

/// Opens a packed model; `None` for a Hugging Face folder, which the engine evaluates.
///
/// # Errors
/// A file that cannot be read, or an ONNX file.
pub(super) fn open(path: &Path, sources: &mut Sources) -> Result<Option<Model>, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    if path.is_file() {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) {
            let message =
                format!("`{}` is an ONNX file, which obert writes and does not compute", path.display());
            return Err(one(Diagnostic::unlocated(Code::PackedUnsupported, message).help(
                "evaluate it with the Python package `onnxruntime`, or evaluate the model that it was packed from",
            )));
        }
        return Model::open(path).map(Some).map_err(one);
    }
    match compressed_model::is_folder(path) {
        true => compressed_model::open(path, sources).map(Some),
        false => Ok(None),
    }
}

/// Evaluates a packed model on its task.
pub(super) fn evaluate(
    config: &EvalConfig,
    path: &Path,
    model: Model,
    sources: &mut Sources,
    observer: &mut (impl Observer + Send),
) -> Result<EvalReport, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let saved = settings::saved(path, sources).map_err(one)?.or(model.settings().cloned());
    let known = saved.filter(|s| s.task.is_some()).unwrap_or_else(|| eval_settings::of_class(model.config()));
    let (data, settings) =
        eval_settings::of_eval(&config.settings, known, config.data.is_some(), model.longest())?;
    let packed = Packed { config, path, model: Arc::new(model), data, settings };
    match (&packed.data, packed.model.head()) {
        (Data::Mnli { .. } | Data::Qqp { .. } | Data::Classify(_), Head::Labels(_)) => {
            packed.evaluate::<Classification>(sources, observer)
        }
        (Data::Squad { .. } | Data::SquadV2 { .. } | Data::BuiltinReading { .. }, Head::Answers) => {
            packed.evaluate::<QuestionAnswering>(sources, observer)
        }
        (Data::ClassifyTokens(_), Head::Tokens(_)) => {
            packed.evaluate::<TokenClassification>(sources, observer)
        }
        (Data::Embeddings(_), Head::Embedding { .. }) => packed.evaluate::<Embedding>(sources, observer),
        (Data::Regression(_) | Data::Rerank(_), Head::Score) | (Data::MultiLabel(_), Head::Multilabel(_)) => {
            packed.evaluate::<Scoring>(sources, observer)
        }
        (_, head) => {
            let message = format!("`{}` {}, and the task is another", path.display(), head.task());
            Err(one(
                Diagnostic::unlocated(Code::FlagValue, message).help("give the task of the model: `--task`")
            ))
        }
    }
}

/// A packed model and the data of its evaluation.
struct Packed<'a> {
    config: &'a EvalConfig,
    path: &'a Path,
    model: Arc<Model>,
    data: Data,
    settings: Settings,
}

impl Packed<'_> {
    fn evaluate<T: Scored>(
        &self,
        sources: &mut Sources,
        observer: &mut (impl Observer + Send),
    ) -> Result<EvalReport, Vec<Diagnostic>> {
        let one = |d: Diagnostic| vec![d];
        let refused = |why: String| {
            let message = format!("cannot evaluate `{}`: {why}", self.path.display());
            Diagnostic::unlocated(Code::PackedUnsupported, message)
                .help("pack the model again from a folder that holds its tokenizer")
        };
        if self.config.device != "cpu" {
            let message =
                format!("`--device {}` has no effect: packed models run on CPUs", self.config.device);
            return Err(one(Diagnostic::unlocated(Code::FlagHasNoEffect, message).help("leave it out")));
        }
        let json =
            self.model.tokenizer().ok_or_else(|| one(refused("it was packed without a tokenizer".into())))?;
        let tokenizer = Tokenizer::from_json(json).map_err(|why| one(refused(why)))?;
        let places = PrepareOptions {
            model: &ir::Model::Named(self.path.display().to_string()),
            model_folder: None,
            data: &self.data,
            data_folder: self.config.data.as_deref(),
            reading: ReadOptions { split: self.config.split, skip_bad: self.config.skip_bad, dev: None },
            need: Need::Dev,
            limit_examples: self.config.limit_examples,
            dropout: None,
            may_have_new_head: false,
            distills: false,
            needs_labels: false,
            seed: self.settings.seed.unwrap_or(0),
        };
        let mut notes = Vec::new();
        let raw = T::read(&places, sources, &mut notes).map_err(one)?;
        let mut config = self.model.config().clone();
        if let Head::Labels(names) | Head::Multilabel(names) | Head::Tokens(names) = self.model.head() {
            config.set_labels(names);
        }
        let cache = if self.config.cache { cache::folder() } else { None };
        let mut task = with_features(cache, observer, |feature_cache| {
            T::assemble(raw, &tokenizer, &mut config, false, &places, feature_cache)
        })
        .map_err(one)?;
        task.apply(&self.settings);
        notes.iter().for_each(|note| observer.note(note));
        let metrics = task.score(&self.model, observer).map_err(|why| one(refused(why)))?;
        Ok(EvalReport { metrics, examples: task.dev_examples(), unit: T::EXAMPLES, new_head: false })
    }
}

/// A task whose metrics can be computed from the runtime's logits.
trait Scored: Prepare {
    /// Evaluates a packed model on the dev set.
    fn score(&self, model: &Arc<Model>, observer: &mut dyn Observer) -> Result<Metrics, String>;
}

impl Scored for QuestionAnswering {
    fn score(&self, model: &Arc<Model>, observer: &mut dyn Observer) -> Result<Metrics, String> {
        let windows: Vec<_> =
            self.dev.iter().map(|w| (w.window.ids.as_slice(), w.window.types.as_slice())).collect();
        let mut found = Vec::new();
        compute(model, &windows, observer, |logits, place| {
            let (start, end) = logits.answer(place);
            found.push((start.to_vec(), end.to_vec()));
        })?;
        Ok(self.metrics_of(found.into_iter()))
    }
}

impl Scored for Classification {
    fn score(&self, model: &Arc<Model>, observer: &mut dyn Observer) -> Result<Metrics, String> {
        let mut predicted = Vec::new();
        for (_, set) in &self.dev {
            let sequences: Vec<_> = set.iter().map(|s| (s.ids.as_slice(), s.types.as_slice())).collect();
            let mut own = Vec::new();
            compute(model, &sequences, observer, |logits, place| {
                own.push(logits.labels(place).collect::<Vec<f32>>());
            })?;
            predicted.push(own);
        }
        Ok(self.metrics_of(&predicted))
    }
}

impl Scored for Scoring {
    fn score(&self, model: &Arc<Model>, observer: &mut dyn Observer) -> Result<Metrics, String> {
        let sequences: Vec<_> = self.dev.iter().map(|s| (s.ids.as_slice(), s.types.as_slice())).collect();
        let mut outputs = Vec::new();
        compute(model, &sequences, observer, |logits, place| outputs.push(logits.labels(place).collect()))?;
        Ok(self.metrics_of(&outputs))
    }
}

impl Scored for TokenClassification {
    fn score(&self, model: &Arc<Model>, observer: &mut dyn Observer) -> Result<Metrics, String> {
        let types = no_types(self.dev.iter().map(|window| window.ids.len()));
        let windows: Vec<_> = self
            .dev
            .iter()
            .zip(&types)
            .map(|(window, types)| (window.ids.as_slice(), types.as_slice()))
            .collect();
        let mut found = Vec::new();
        compute(model, &windows, observer, |logits, place| {
            let by_label: Vec<&[f32]> = logits.tokens(place).collect();
            let tokens = by_label.first().map_or(0, |row| row.len());
            let of_token = |token: usize| by_label.iter().map(move |row| row[token]);
            found.push((0..tokens).flat_map(of_token).collect());
        })?;
        Ok(self.metrics_of(found.into_iter()))
    }
}

impl Scored for Embedding {
    fn score(&self, model: &Arc<Model>, observer: &mut dyn Observer) -> Result<Metrics, String> {
        let texts = self.dev_texts();
        let types = no_types(texts.iter().map(|ids| ids.len()));
        let sequences: Vec<_> =
            texts.iter().zip(&types).map(|(ids, types)| (*ids, types.as_slice())).collect();
        let mut found = Vec::new();
        compute(model, &sequences, observer, |logits, place| found.push(logits.embedding(place).collect()))?;
        Ok(self.metrics_of(&found))
    }
}

/// Token types of single texts: zeros.
fn no_types(lengths: impl Iterator<Item = usize>) -> Vec<Vec<u32>> {
    lengths.map(|length| vec![0; length]).collect()
}

/// Runs the sequences in batches, in their order; `each` receives the logits of a batch and an index in it.
fn compute(
    model: &Arc<Model>,
    sequences: &[(&[u32], &[u32])],
    observer: &mut dyn Observer,
    mut each: impl FnMut(&crate::infer::model::session::Logits, usize),
) -> Result<(), String> {
    let length = sequences.iter().map(|(ids, _)| ids.len()).max().unwrap_or(1);
    let limits = Limits { sequences: BATCH, length, ..Limits::default() };
    let mut session = Session::new(Arc::clone(model), limits).map_err(|e| e.to_string())?;
    let mut done = 0;
    for part in sequences.chunks(BATCH) {
        let batch: Vec<_> = part.iter().map(|(ids, types)| Sequence { ids, types }).collect();
        let logits = session.run(&batch).map_err(|e| e.to_string())?;
        (0..part.len()).for_each(|place| each(&logits, place));
        done += part.len();
        observer.progress(Work::Evaluating("eval"), done as u64, sequences.len() as u64);
    }
    Ok(())
}
