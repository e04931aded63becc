//! What the handlers share: the models, the limits and the counters.

use std::sync::Arc;

use axum::Json;
use serde_json::Value;

use crate::infer;
use crate::serve::config::RequestLimits;
use crate::serve::metrics::Metrics;
use crate::serve::model::ServedModel;
use crate::serve::queue::Predictions;
use crate::serve::reply::Failure;

/// What handlers share.
pub struct Shared {
    /// The models; the first is the default.
    pub models: Vec<Arc<ServedModel>>,
    /// The limits of requests.
    pub limits: RequestLimits,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// The description of the paths, as OpenAPI 3.1.
    pub document: Value,
    /// The same as a page.
    pub page: String,
}

/// A handler's result.
pub type Reply<T> = Result<Json<T>, Failure>;

impl Shared {
    /// The model of this name; without a name the first.
    pub fn model(&self, name: Option<&str>) -> Result<&Arc<ServedModel>, Failure> {
        let found = match name {
            None => self.models.first(),
            Some(name) => self.models.iter().find(|model| model.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
            Failure::unknown(format!("there is no such model; there are {}", names.join(", ")))
        })
    }

    /// The model of this name, or the only one: clients of OpenAI's interface must name a model.
    pub fn named_or_only(&self, name: Option<&str>) -> Result<&Arc<ServedModel>, Failure> {
        self.model(name.filter(|_| self.models.len() > 1))
    }

    /// Counts tokens on another thread, since that takes as long as the texts are.
    pub fn count_tokens(
        &self,
        model: &ServedModel,
        texts: Vec<String>,
    ) -> impl Future<Output = usize> + use<> {
        let about = model.about();
        let count = tokio::task::spawn_blocking(move || about.count_tokens(&texts));
        async { count.await.unwrap_or_default() }
    }

    /// Refuses a field without texts or with too many.
    pub fn check_count(&self, field: &str, count: usize) -> Result<(), Failure> {
        let most = self.limits.texts;
        match count {
            0 => Err(Failure::invalid(format!("`{field}` is empty"))),
            n if n > most => {
                Err(Failure::too_large(format!("`{field}` has {n} texts; at most {most} are allowed")))
            }
            _ => Ok(()),
        }
    }

    /// The predictions of a model for some texts. A model whose head `path` does not support is refused.
    pub async fn predictions(
        &self,
        model: &ServedModel,
        path: &str,
        texts: Vec<infer::Request>,
    ) -> Result<Predictions, Failure> {
        let about = model.about();
        if !about.paths().contains(&path) {
            return Err(Failure::other_head(&about));
        }
        Ok(model.queue.predict(texts).await?)
    }
}
