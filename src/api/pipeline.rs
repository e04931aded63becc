//! A model that answers from several threads, with one method for each kind of output.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::error::Error;
use super::predict::{PredictConfig, predict};
use crate::diag::{Code, Diagnostic};
use crate::infer::file::layout::Head;
use crate::infer::predictor::{Answer, Entity};
use crate::infer::{Predictor, Request, Response};

/// A model with its tokenizer, for programs that call it from several threads: tokenization, batches, the forward pass
/// and postprocessing, as `pipeline` of `transformers` does.
///
/// Calls take turns: each computes with all threads of [`PredictConfig::threads`]. An error of one of several inputs has its
/// index ([`Error::input`]).
#[derive(Debug)]
pub struct Pipeline {
    predictor: Mutex<Predictor>,
    head: Head,
    dimension: usize,
    max_length: usize,
    prompts: BTreeMap<String, String>,
    model: PathBuf,
}

/// The output of a classifier or of regression for a text or a pair.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// The probabilities of all labels, the most probable first.
    Labels {
        /// The labels with their probabilities.
        labels: Vec<(String, f32)>,
        /// Whether one label holds, and not any number of them.
        single: bool,
    },
    /// The score of regression.
    Score(f32),
}

/// The answers to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Distinct spans of the context, the best first.
    pub answers: Vec<Answer>,
    /// The null score: the least sum of start and end logit of `[CLS]` over the windows of the context.
    pub no_answer: f32,
}

impl Pipeline {
    /// Opens a model. Whether texts are truncated is said in each call, and not by [`PredictConfig::truncate`].
    ///
    /// # Errors
    /// A model that cannot be read, or that the runtime cannot run.
    pub fn open(config: &PredictConfig) -> Result<Self, Error> {
        let predictor = predict(&PredictConfig { truncate: true, ..config.clone() })?;
        let model = predictor.model();
        Ok(Pipeline {
            head: model.head().clone(),
            dimension: model.config().hidden_size,
            max_length: predictor.limits().length,
            prompts: model.settings().and_then(|s| s.prompts.clone()).unwrap_or_default(),
            model: config.model.clone(),
            predictor: Mutex::new(predictor),
        })
    }

    /// The task head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The name of the method that computes what the model's head gives.
    pub fn method(&self) -> &'static str {
        match self.head {
            Head::Answers => "answer",
            Head::Labels(_) | Head::Multilabel(_) => "predict",
            Head::Score => "predict` or `rerank",
            Head::Tokens(_) => "entities",
            Head::Embedding { .. } => "embed",
        }
    }

    /// The number of values of an embedding, the hidden size of the encoder.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The maximum sequence length in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The prompts of a sentence-transformers model by their names.
    pub fn prompts(&self) -> &BTreeMap<String, String> {
        &self.prompts
    }

    /// The labels of a classifier of texts or tokens, in the order of the model's outputs.
    pub fn labels(&self) -> &[String] {
        match &self.head {
            Head::Labels(names) | Head::Multilabel(names) | Head::Tokens(names) => names,
            _ => &[],
        }
    }

    /// Computes embeddings, `[texts, dimension]` in row-major order. Longer texts than the maximum length are truncated
    /// if `truncate`, else refused.
    ///
    /// # Errors
    /// A model with another head, or a text that is refused.
    pub fn embed<S: AsRef<str>>(&self, texts: &[S], truncate: bool) -> Result<Vec<f32>, Error> {
        self.check_head("embed", matches!(self.head, Head::Embedding { .. }))?;
        let mut values = Vec::with_capacity(texts.len() * self.dimension);
        for response in self.compute(&requests(texts), truncate)? {
            if let Response::Embedding { embedding, .. } = response {
                values.extend(embedding);
            }
        }
        Ok(values)
    }

    /// Computes the labels or the score of texts or pairs.
    ///
    /// # Errors
    /// A model with another head, or an input that is refused.
    pub fn predict(
        &self,
        inputs: Vec<(String, Option<String>)>,
        truncate: bool,
    ) -> Result<Vec<Prediction>, Error> {
        self.check_head("predict", matches!(self.head, Head::Labels(_) | Head::Multilabel(_) | Head::Score))?;
        let requests: Vec<Request> =
            inputs.into_iter().map(|(text, pair)| Request::Text { text, pair }).collect();
        let responses = self.compute(&requests, truncate)?.into_iter();
        let predictions = responses.filter_map(|response| match response {
            Response::Labels { labels, single, .. } => Some(Prediction::Labels { labels, single }),
            Response::Score { score, .. } => Some(Prediction::Score(score)),
            _ => None,
        });
        Ok(predictions.collect())
    }

    /// Computes the scores of documents for a query, in the order of the documents: the logistic function of the
    /// model's scores, as a cross-encoder of sentence-transformers gives, or these themselves if `raw`.
    ///
    /// # Errors
    /// A model with another head, or a pair that is refused.
    pub fn rerank<S: AsRef<str>>(
        &self,
        query: &str,
        documents: &[S],
        raw: bool,
        truncate: bool,
    ) -> Result<Vec<f32>, Error> {
        self.check_head("rerank", matches!(self.head, Head::Score))?;
        let pair =
            |document: &S| Request::Text { text: query.to_owned(), pair: Some(document.as_ref().to_owned()) };
        let requests: Vec<Request> = documents.iter().map(pair).collect();
        let responses = self.compute(&requests, truncate)?.into_iter();
        let scores = responses.filter_map(|response| match response {
            Response::Score { score, .. } if raw => Some(score),
            Response::Score { score, .. } => Some(1.0 / (1.0 + (-score).exp())),
            _ => None,
        });
        Ok(scores.collect())
    }

    /// Finds the entities of texts, of each in its order.
    ///
    /// # Errors
    /// A model with another head, or a text that is refused.
    pub fn entities<S: AsRef<str>>(&self, texts: &[S], truncate: bool) -> Result<Vec<Vec<Entity>>, Error> {
        self.check_head("entities", matches!(self.head, Head::Tokens(_)))?;
        let responses = self.compute(&requests(texts), truncate)?.into_iter();
        let found = responses.filter_map(|response| match response {
            Response::Entities { entities, .. } => Some(entities),
            _ => None,
        });
        Ok(found.collect())
    }

    /// Answers questions, each about its context, with the `top` best answers. Long contexts are read in windows.
    ///
    /// # Errors
    /// A model with another head, or a question that is refused.
    pub fn answer(&self, questions: Vec<(String, String)>, top: usize) -> Result<Vec<Answers>, Error> {
        self.check_head("answer", matches!(self.head, Head::Answers))?;
        let requests: Vec<Request> = questions
            .into_iter()
            .map(|(question, context)| Request::Question { question, context })
            .collect();
        let mut predictor = self.lock();
        predictor.answering().top = top;
        let responses = predictor.answer(&requests);
        drop(predictor);
        let one = |(index, response): (usize, Result<Response, String>)| match response {
            Ok(Response::Answers { answers, no_answer }) => Some(Ok(Answers { answers, no_answer })),
            Ok(_) => None,
            Err(why) => Some(Err(refused(index, &why, "give a question and a context that fit the model"))),
        };
        responses.into_iter().enumerate().filter_map(one).collect()
    }

    /// Computes the responses to texts.
    fn compute(&self, requests: &[Request], truncate: bool) -> Result<Vec<Response>, Error> {
        let responses = self.lock().answer(requests);
        let one = |(index, response): (usize, Result<Response, String>)| {
            let response =
                response.map_err(|why| refused(index, &why, "give a text that the model takes"))?;
            if response.is_truncated() && !truncate {
                let why =
                    format!("the text has more than {} tokens, the maximum sequence length", self.max_length);
                return Err(refused(index, &why, "allow truncation (`truncate`), or split the text"));
            }
            Ok(response)
        };
        responses.into_iter().enumerate().map(one).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Predictor> {
        // Poisoned only by a panic; a session keeps nothing of a call.
        self.predictor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_head(&self, method: &str, is_right: bool) -> Result<(), Error> {
        if is_right {
            return Ok(());
        }
        let message =
            format!("`{method}` has no answer: the model `{}` {}", self.model.display(), self.head.task());
        let help = format!("call `{}`", self.method());
        Err(Error::unlocated(Diagnostic::unlocated(Code::OtherHead, message).help(help)))
    }
}

fn requests<S: AsRef<str>>(texts: &[S]) -> Vec<Request> {
    texts.iter().map(|text| Request::Text { text: text.as_ref().to_owned(), pair: None }).collect()
}

fn refused(index: usize, why: &str, help: &str) -> Error {
    Error::unlocated(Diagnostic::unlocated(Code::InputRefused, why).help(help)).of_input(index)
}
