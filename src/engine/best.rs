//! The best checkpoint of a stage: the weights with the best metric (`load_best_model_at_end` of `transformers`).

use std::borrow::Cow;
use std::sync::Arc;

use crate::schedule::Timeline;
use crate::task::metric::{Metrics, less_is_better};
use crate::task::parameters::{self, Values};
use crate::task::quantizers::Quantizers;
use burn::module::Module;

use super::EngineError;
use super::results::{BestEvaluation, BestStep};
use super::snapshot::{CheckpointTensor, Restored};

/// The prefix of the names of the best weights in a checkpoint.
pub(super) const KIND: &str = "best";

/// The best evaluation so far, with the weights that were evaluated.
pub struct Best {
    metric: String,
    found: Option<Found>,
}

struct Found {
    evaluation: BestEvaluation,
    values: Values,
    quantizers: Option<Arc<Quantizers>>,
}

/// The quantization of a model that was evaluated.
#[derive(Clone, Copy)]
pub struct QuantizationState<'a> {
    /// The model's quantizers.
    pub quantizers: Option<&'a Arc<Quantizers>>,
    /// Whether all tensors that the stage quantizes are quantized.
    pub is_complete: bool,
}

impl Best {
    /// Starts without an evaluation; evaluations will be compared by `metric`.
    pub fn new(metric: &str) -> Self {
        Best { metric: metric.to_owned(), found: None }
    }

    /// Considers the evaluation before a step. It counts only after the last pruning event and when quantization is
    /// complete, as a denser or unquantized model has better metrics. Of equal evaluations the latest is best.
    ///
    /// # Errors
    /// The metric is not computed.
    pub fn consider<M: Module>(
        &mut self,
        model: &M,
        stage: &str,
        step: u64,
        timeline: &Timeline,
        metrics: &Metrics,
        quantization: QuantizationState,
    ) -> Result<(), EngineError> {
        let Some(value) = metrics.get(&self.metric).copied() else {
            return Err(EngineError::MetricMissing {
                stage: stage.to_owned(),
                metric: self.metric.clone(),
                known: metrics.keys().cloned().collect::<Vec<_>>().join(", "),
            });
        };
        let pruned = timeline.prunes().iter().all(|event| event.step <= step);
        let better = self.found.as_ref().is_none_or(|found| match less_is_better(&self.metric) {
            true => value <= found.evaluation.best.value,
            false => value >= found.evaluation.best.value,
        });
        if pruned && quantization.is_complete && better && !value.is_nan() {
            let best = BestStep { metric: self.metric.clone(), step, value };
            let evaluation = BestEvaluation { best, metrics: metrics.clone() };
            let values = parameters::read(model, |_| true);
            let quantizers = quantization.quantizers.map(|all| Arc::new(all.copied()));
            self.found = Some(Found { evaluation, values, quantizers });
        }
        Ok(())
    }

    /// The model with the best weights, their quantizers, their step, and their metrics; `None` if no evaluation counted.
    pub fn take<M: Module>(self, model: &M) -> Option<(M, Option<Arc<Quantizers>>, BestStep, Metrics)> {
        let Found { evaluation, values, quantizers } = self.found?;
        Some((parameters::write(model.clone(), values), quantizers, evaluation.best, evaluation.metrics))
    }

    /// The quantizers of the best weights so far, for a checkpoint.
    pub fn quantizers(&self) -> Option<&Arc<Quantizers>> {
        self.found.as_ref()?.quantizers.as_ref()
    }

    /// The best evaluation so far, for a checkpoint.
    pub fn evaluation(&self) -> Option<&BestEvaluation> {
        self.found.as_ref().map(|found| &found.evaluation)
    }

    /// The weights of the best evaluation so far, for a checkpoint.
    pub fn held(&self) -> impl Iterator<Item = CheckpointTensor<'_>> {
        self.found.iter().flat_map(|found| &found.values).map(|(name, values)| {
            CheckpointTensor::floats(format!("{KIND}/{name}"), values.len(), move || {
                Cow::Borrowed(values.as_slice())
            })
        })
    }

    /// Restores the best weights of a checkpoint.
    ///
    /// # Errors
    /// Weights that are not the model's.
    pub fn restore<M: Module>(&mut self, restored: &mut Restored, model: &M) -> Result<(), EngineError> {
        if let Some(evaluation) = restored.position.best.take() {
            let values = restored.take_model(KIND, model)?;
            let quantizers = restored.take_quantizers(KIND, model)?;
            self.found = Some(Found { evaluation, values, quantizers });
        }
        Ok(())
    }
}
