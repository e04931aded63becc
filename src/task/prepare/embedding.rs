//! Prepares sentence embeddings from pairs, triplets and texts, and from sentence-transformers folders.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::builtin::Head;
use crate::params::sentence_modules::{PoolingMode, SentenceModules};
use crate::params::{BertConfig, cache};
use crate::schedule::ir::{Data, EmbeddingLoss, Model, Pooling};
use crate::task::data::cache::FeatureCache;
use crate::task::data::retrieval::{self, Retrieval};
use crate::task::data::sentence_rows::SentenceTexts;
use crate::task::data::sentences::{self, Row, Rows, Shape};
use crate::task::embedding::{DevSet, Embedding, RetrievalSet, Split};
use crate::text::Tokenizer;

use super::{Prepare, PrepareOptions, check_length, data_set, truncated_note};

/// The data, and the modules of a sentence-transformers folder.
pub struct Raw {
    train: Option<Rows>,
    dev: Dev,
    modules: Option<SentenceModules>,
}

/// What embeddings are evaluated on.
enum Dev {
    Rows(Rows),
    Retrieval(Retrieval),
}

impl Prepare for Embedding {
    type Raw = Raw;

    const TASK: &'static str = "sentence embeddings";
    const TRAINED_FOR: &'static str = "sentence embeddings";
    const EXAMPLES: &'static str = "rows";

    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Raw, Diagnostic> {
        let files = "train* and dev* tables (tsv, csv, jsonl, json, parquet) or texts (txt)";
        let set = data_set(options, "embeddings", files)?;
        let mut train = sentences::read_train(&set, sources, notes)?;
        let mut dev = match retrieval::folder(&set) {
            Some(folder) => Dev::Retrieval(retrieval::read(&folder, options.reading.split, sources)?),
            None => Dev::Rows(sentences::read_dev(&set, sources, notes)?),
        };
        if let Some(limit) = options.limit_examples {
            train.iter_mut().for_each(|rows| rows.rows.truncate(limit));
            match &mut dev {
                Dev::Rows(rows) => rows.rows.truncate(limit),
                // All documents are candidates of every query.
                Dev::Retrieval(data) => {
                    data.queries.truncate(limit);
                    data.relevant.truncate(limit);
                }
            }
        }
        let folder = match (options.model_folder, options.model) {
            (Some(folder), _) => Some(folder.to_owned()),
            (None, Model::Named(name)) => cache::local(Path::new(name)),
            (None, Model::NewBert(_)) => None,
        };
        let modules = folder.map(|folder| SentenceModules::read(&folder)).transpose()?.flatten();
        Ok(Raw { train, dev, modules })
    }

    fn head(_: &Raw, _: Option<&BertConfig>) -> Head {
        Head::Embedding
    }

    fn assemble(
        raw: Raw,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        _: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic> {
        let Data::Embeddings(settings) = options.data else {
            // invariant: the caller chose the task by the data.
            unreachable!("{:?} has no embeddings", options.data)
        };
        let saved = raw.modules;
        let max_length = settings.max_length;
        check_length(max_length, config)?;
        let pooling = match settings.pooling {
            Some(Pooling::Mean) => PoolingMode::Mean,
            Some(Pooling::Cls) => PoolingMode::Cls,
            Some(Pooling::Max) => PoolingMode::Max,
            Some(Pooling::Last) => PoolingMode::Last,
            None => saved.map_or(PoolingMode::Mean, |modules| modules.pooling),
        };
        let normalize = settings.normalize.or(saved.map(|modules| modules.normalize)).unwrap_or(true);
        let train = raw.train.unwrap_or(Rows { shape: Shape::Texts, rows: Vec::new() });
        if options.needs_labels && train.shape == Shape::Texts {
            let message = "a stage trains on single texts, which have no loss";
            return Err(Diagnostic::unlocated(Code::NotOfThisTask, message)
                .help("let it learn from a teacher: `distill from self { hardness: 1.0 }`, or give pairs"));
        }
        let loss = loss(settings.loss, &train)?;
        let mut split = |rows: Rows| {
            let texts: Vec<&[String]> = rows.rows.iter().map(|row| row.texts.as_slice()).collect();
            let inputs = SentenceTexts { rows: &texts, tokenizer, max_length };
            let features = feature_cache.features(&inputs)?;
            let truncated: usize = features.iter().map(|row| row.truncated).sum();
            if truncated > 0 {
                let texts = texts.iter().map(|texts| texts.len()).sum();
                feature_cache.notes.push(truncated_note(truncated, texts, max_length));
            }
            let scores = rows.rows.iter().map(|row| row.score).collect();
            Ok::<_, Diagnostic>(Split { shape: rows.shape, rows: features, scores })
        };
        let train = split(train)?;
        let dev = match raw.dev {
            Dev::Rows(rows) => DevSet::Rows(split(rows)?),
            Dev::Retrieval(Retrieval { documents, queries, relevant }) => {
                let mut texts = |list: Vec<String>| {
                    let rows = list.into_iter().map(|text| Row { texts: vec![text], score: 0.0 }).collect();
                    split(Rows { shape: Shape::Texts, rows }).map(|split| split.rows)
                };
                DevSet::Retrieval(RetrievalSet {
                    queries: texts(queries)?,
                    documents: texts(documents)?,
                    relevant,
                })
            }
        };
        Ok(Embedding {
            train,
            dev,
            loss,
            scale: settings.scale,
            modules: SentenceModules { pooling, normalize, max_length: Some(max_length) },
            hidden_dropout: options.dropout.unwrap_or(config.hidden_dropout_prob),
            attention_dropout: options.dropout.unwrap_or(config.attention_probs_dropout_prob),
        })
    }

    fn check_teacher(&self, folder: &Path) -> Result<(), String> {
        let read = SentenceModules::read(folder).map_err(|diagnostic| diagnostic.message)?;
        let shown = |modules: &SentenceModules| {
            let normalized = if modules.normalize { "normalized" } else { "not normalized" };
            format!("pooled by `{}` and {normalized}", modules.pooling.name())
        };
        match read.map(|modules| (shown(&modules), shown(&self.modules))) {
            Some((teacher, own)) if teacher != own => {
                Err(format!("gives embeddings {teacher}, the student {own}"))
            }
            _ => Ok(()),
        }
    }

    fn save_modules(&self, folder: &Path, config: &BertConfig) -> Result<(), Diagnostic> {
        self.modules.write(folder, config.hidden_size)
    }

    fn dev_examples(&self) -> usize {
        self.dev_rows()
    }
}

/// The loss: the one asked for, or CoSENT of scored pairs and in-batch negatives of others.
///
/// # Errors
/// A loss that the rows do not have, or scores that no cosine can equal.
fn loss(asked: Option<EmbeddingLoss>, train: &Rows) -> Result<EmbeddingLoss, Diagnostic> {
    let refused = |message: String, help: &str| {
        Err(Diagnostic::unlocated(Code::NotOfThisTask, message).help(help.to_owned()))
    };
    let is_scored = train.shape == Shape::Scored;
    let usual = if is_scored { EmbeddingLoss::Cosent } else { EmbeddingLoss::InBatch };
    let Some(asked) = asked.filter(|_| !train.rows.is_empty()) else { return Ok(usual) };
    match (train.shape, asked) {
        (Shape::Texts, _) => refused(
            "`loss` has no effect on single texts, which have no pairs".to_owned(),
            "leave it out; a model learns from texts by `distill`",
        ),
        (Shape::Scored, EmbeddingLoss::InBatch) => refused(
            "`in_batch` takes every pair for a similar one, and the pairs have scores".to_owned(),
            "use `loss: cosent`, or files without a column of scores",
        ),
        (Shape::Pairs | Shape::Triplets, EmbeddingLoss::Cosent | EmbeddingLoss::Cosine) => refused(
            "`cosent` and `cosine` need pairs with scores".to_owned(),
            "use `loss: in_batch`, or files with a column `score`",
        ),
        (Shape::Scored, EmbeddingLoss::Cosine)
            if train.rows.iter().any(|row| !(-1.0..=1.0).contains(&row.score)) =>
        {
            refused(
                "`cosine` needs scores in -1..=1, and some are outside".to_owned(),
                "divide them, as STS by 5, or use `loss: cosent`, which needs their order alone",
            )
        }
        _ => Ok(asked),
    }
}
