//! `POST /`: the bodies and responses of `transformers`' pipelines over HTTP, as `huggingface_hub`'s `InferenceClient`
//! sends and reads them. The model's head determines the pipeline.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{self, Question};
use super::body::{Body, Object, OneOrMany};
use super::embed::{self, EmbedRequest, SimilarityRequest};
use super::entities::{self, EntitiesRequest};
use super::predict::{self, Inputs};
use super::rerank::{self, RerankRequest};
use super::shared::Shared;
use crate::infer::file::layout::Head;
use crate::serve::reply::Failure;

/// A request: the fields of the endpoint for the model's head (such as `/embed`), and `parameters`.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it is read by the head of the model, and only described here")]
pub struct PipelineRequest {
    /// What the model reads; `query` and `texts` instead for reranking.
    inputs: Option<Value>,
    /// Those of the task in `huggingface_hub`'s `InferenceClient`.
    parameters: Option<Map<String, Value>>,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

/// What is asked of a model, by its head.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "I: DeserializeOwned, P: DeserializeOwned"))]
struct Asked<I, P> {
    inputs: I,
    parameters: Option<Object<P>>,
    model: Option<String>,
}

/// The parameters of text classification.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Classification {
    top_k: Option<usize>,
    function_to_apply: Option<String>,
    truncate: bool,
}

/// The parameters of token classification.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tagging {
    aggregation_strategy: Option<String>,
    ignore_labels: Vec<String>,
    truncate: bool,
}

/// The parameters of question answering.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Answering {
    top_k: Option<usize>,
    handle_impossible_answer: bool,
}

/// An answer with the keys of the question answering pipeline.
#[derive(Debug, Serialize)]
struct Answered {
    answer: String,
    /// The softmax over the scores of the best answers, as BERT's `run_squad.py` computes it.
    score: f32,
    start: usize,
    end: usize,
}

/// Handles a request.
pub async fn answer(State(shared): State<Arc<Shared>>, Body(body): Body<Value>) -> Result<Response, Failure> {
    let model = shared.model(body.get("model").and_then(Value::as_str))?;
    let shared = State(Arc::clone(&shared));
    Ok(match &model.about().head {
        Head::Embedding { .. } if body["inputs"].is_object() => {
            embed::similarity(shared, Body(read::<SimilarityRequest>(body)?)).await?.into_response()
        }
        Head::Embedding { .. } => {
            embed::embed(shared, Body(read::<EmbedRequest>(body)?)).await?.into_response()
        }
        Head::Score if body.get("query").is_some() => {
            rerank::rerank(shared, Body(read::<RerankRequest>(body)?)).await?.into_response()
        }
        head @ (Head::Labels(_) | Head::Multilabel(_) | Head::Score) => {
            classify(shared, head, read(body)?).await?.into_response()
        }
        Head::Tokens(_) => tag(shared, read(body)?).await?.into_response(),
        Head::Answers => find(shared, read(body)?).await?.into_response(),
    })
}

/// Parses the body that a head has.
fn read<T: DeserializeOwned>(body: Value) -> Result<T, Failure> {
    let read = serde_json::from_value(body).map_err(|e| Failure::invalid(e.to_string()));
    read.map(|Object(body)| body)
}

/// The most probable labels: a list for each input, also for one.
async fn classify(
    State(shared): State<Arc<Shared>>,
    head: &Head,
    asked: Asked<Inputs, Classification>,
) -> Result<Json<Vec<Vec<predict::Label>>>, Failure> {
    let parameters = asked.parameters.unwrap_or_default().0;
    let applied = match head {
        Head::Labels(_) => "softmax",
        Head::Multilabel(_) => "sigmoid",
        _ => "none",
    };
    only("function_to_apply", parameters.function_to_apply.as_deref(), applied)?;
    let (inputs, _) = asked.inputs.into_list();
    let mut all = predict::labels(&shared, asked.model.as_deref(), inputs, parameters.truncate).await?;
    let most = at_least_one(parameters.top_k)?.unwrap_or(usize::MAX);
    all.iter_mut().for_each(|labels| labels.truncate(most));
    Ok(Json(all))
}

/// The entities: a list for a text, and a list of lists for a list of texts.
async fn tag(
    shared: State<Arc<Shared>>,
    asked: Asked<OneOrMany<String>, Tagging>,
) -> Result<Json<OneOrMany<Vec<entities::Entity>>>, Failure> {
    let parameters = asked.parameters.unwrap_or_default().0;
    only("aggregation_strategy", parameters.aggregation_strategy.as_deref(), "first")?;
    let request = EntitiesRequest { inputs: asked.inputs, truncate: parameters.truncate, model: asked.model };
    let Json(mut found) = entities::entities(shared, Body(request)).await?;
    let keep = |list: &mut Vec<entities::Entity>| {
        list.retain(|e| !parameters.ignore_labels.contains(&e.entity_group))
    };
    match &mut found {
        OneOrMany::One(list) => keep(list),
        OneOrMany::Many(lists) => lists.iter_mut().for_each(keep),
    }
    Ok(Json(found))
}

/// The best answer to a question; with `top_k` above 1 a list of answers.
async fn find(
    State(shared): State<Arc<Shared>>,
    asked: Asked<Object<Question>, Answering>,
) -> Result<Json<OneOrMany<Answered>>, Failure> {
    let parameters = asked.parameters.unwrap_or_default().0;
    let most = at_least_one(parameters.top_k)?.unwrap_or(1);
    let found = answer::answers(&shared, asked.model.as_deref(), vec![asked.inputs]).await?;
    let mut best: Vec<Answered> = Vec::new();
    for answers in found {
        best.extend(answers.answers.into_iter().map(|span| Answered {
            answer: span.text,
            score: span.score,
            start: span.start,
            end: span.end,
        }));
        if parameters.handle_impossible_answer {
            best.push(Answered { answer: String::new(), score: answers.no_answer, start: 0, end: 0 });
        }
    }
    best.sort_by(|a, b| b.score.total_cmp(&a.score));
    let highest = best.first().map_or(0.0, |answer| answer.score);
    best.iter_mut().for_each(|answer| answer.score = (answer.score - highest).exp());
    let total: f32 = best.iter().map(|answer| answer.score).sum();
    best.iter_mut().for_each(|answer| answer.score /= total);
    best.truncate(most);
    Ok(Json(OneOrMany::of(best, most > 1)))
}

/// Refuses a value of a parameter other than the one that the model computes.
fn only(name: &str, asked: Option<&str>, computed: &str) -> Result<(), Failure> {
    match asked {
        Some(asked) if asked != computed => {
            Err(Failure::invalid(format!("`{name}` is `{computed}` for this model; leave it out")))
        }
        _ => Ok(()),
    }
}

fn at_least_one(count: Option<usize>) -> Result<Option<usize>, Failure> {
    match count {
        Some(0) => Err(Failure::invalid("`top_k` is 0; it must be at least 1")),
        count => Ok(count),
    }
}
