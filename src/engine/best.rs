//! The weights of a stage's best measurement.

use std::borrow::Cow;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::schedule::Timeline;
use crate::task::metric::Metrics;
use crate::task::parameters::{self, Values};

use super::EngineError;
use super::results::figures;
use super::snapshot::{Held, Restored};

/// What its tensors are called in a checkpoint.
const KIND: &str = "best";

/// The best measurement so far, with the weights that were measured.
pub struct Best<'a> {
    stage: &'a str,
    metric: &'a str,
    found: Option<Found>,
}

struct Found {
    measured: Measured,
    values: Values,
}

/// Which weights are the best so far, and how they were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which weights.
    pub kept: Kept,
    /// Their figures.
    #[serde(deserialize_with = "figures")]
    pub metrics: Metrics,
}

/// Which weights a stage ends with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The metric that decided.
    pub metric: String,
    /// The weights are those before this step; the stage's number of steps for its end.
    pub step: u64,
    /// The metric's value of them.
    pub value: f64,
}

impl<'a> Best<'a> {
    /// The best of a stage by a metric.
    pub fn new(stage: &'a str, metric: &'a str) -> Self {
        Best { stage, metric, found: None }
    }

    /// Takes in what was measured before a step. It counts once nothing is left to prune: a model is no
    /// better for being denser. Of equal ones the later is kept.
    ///
    /// # Errors
    /// The metric was not measured.
    pub fn consider<M: Module>(
        &mut self,
        model: &M,
        step: u64,
        timeline: &Timeline,
        metrics: &Metrics,
    ) -> Result<(), EngineError> {
        let Some(value) = metrics.get(self.metric).copied() else {
            return Err(EngineError::MetricMissing {
                stage: self.stage.to_owned(),
                metric: self.metric.to_owned(),
                known: metrics.keys().cloned().collect::<Vec<_>>().join(", "),
            });
        };
        let pruned = timeline.prunes().iter().all(|event| event.step <= step);
        let better = self.found.as_ref().is_none_or(|best| match less_is_better(self.metric) {
            true => value <= best.measured.kept.value,
            false => value >= best.measured.kept.value,
        });
        if pruned && better && !value.is_nan() {
            let kept = Kept { metric: self.metric.to_owned(), step, value };
            let measured = Measured { kept, metrics: metrics.clone() };
            self.found = Some(Found { measured, values: parameters::read(model, |_| true) });
        }
        Ok(())
    }

    /// The model with the best weights, which ones they are, and how they were measured; the model as it is
    /// if no measurement counted.
    pub fn take<M: Module>(self, model: M, last: Metrics) -> (M, Option<Kept>, Metrics) {
        match self.found {
            None => (model, None, last),
            Some(Found { measured, values }) => {
                (parameters::write(model, values), Some(measured.kept), measured.metrics)
            }
        }
    }

    /// Which weights are the best so far, for a checkpoint.
    pub fn measured(&self) -> Option<&Measured> {
        self.found.as_ref().map(|found| &found.measured)
    }

    /// Those weights, for a checkpoint.
    pub fn held(&self) -> impl Iterator<Item = Held<'_>> {
        self.found.iter().flat_map(|found| &found.values).map(|(name, values)| {
            Held::floats(format!("{KIND}/{name}"), values.len(), move || Cow::Borrowed(values.as_slice()))
        })
    }

    /// Takes up what a checkpoint holds of the best so far.
    ///
    /// # Errors
    /// Weights that are not the model's.
    pub fn restore<M: Module>(&mut self, restored: &mut Restored, model: &M) -> Result<(), EngineError> {
        if let Some(measured) = restored.position.best.take() {
            let values = restored.take_model(KIND, model)?;
            self.found = Some(Found { measured, values });
        }
        Ok(())
    }
}

/// Losses and perplexities fall; everything else that is measured rises.
fn less_is_better(metric: &str) -> bool {
    ["loss", "perplexity"].iter().any(|word| metric.split('_').any(|part| part == *word))
}

#[cfg(test)]
mod tests {
    use super::less_is_better;

    #[test]
    fn losses_fall_and_the_rest_rises() {
        assert!(["loss", "perplexity", "loss_mm"].iter().all(|m| less_is_better(m)));
        assert!(["f1", "em", "accuracy_mm", "glossiness"].iter().all(|m| !less_is_better(m)));
    }
}
