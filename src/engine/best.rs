//! The weights of a stage's best measurement.

use std::borrow::Cow;
use std::sync::Arc;

use crate::schedule::Timeline;
use crate::task::metric::Metrics;
use crate::task::parameters::{self, Values};
use crate::task::rounding::Rounding;
use burn::module::Module;

use super::EngineError;
use super::results::{Kept, Measured};
use super::snapshot::{Held, Restored};

/// What its tensors are called in a checkpoint.
pub(super) const KIND: &str = "best";

/// The best measurement so far, with the weights that were measured.
pub struct Best<'a> {
    stage: &'a str,
    metric: &'a str,
    found: Option<Found>,
}

struct Found {
    measured: Measured,
    values: Values,
    rounding: Option<Arc<Rounding>>,
}

/// What is rounded of a model that was measured.
#[derive(Clone, Copy)]
pub struct Rounded<'a> {
    /// Its rounding.
    pub now: Option<&'a Arc<Rounding>>,
    /// Whether all is rounded that is going to be.
    pub is_complete: bool,
}

impl<'a> Best<'a> {
    /// The best of a stage by a metric.
    pub fn new(stage: &'a str, metric: &'a str) -> Self {
        Best { stage, metric, found: None }
    }

    /// Takes in what was measured before a step. It counts once nothing is left to prune, and everything is
    /// rounded that is going to be: a model is no better for being denser or finer. Of equal ones the later
    /// is kept.
    ///
    /// # Errors
    /// The metric was not measured.
    pub fn consider<M: Module>(
        &mut self,
        model: &M,
        step: u64,
        timeline: &Timeline,
        metrics: &Metrics,
        rounding: Rounded,
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
        if pruned && rounding.is_complete && better && !value.is_nan() {
            let kept = Kept { metric: self.metric.to_owned(), step, value };
            let measured = Measured { kept, metrics: metrics.clone() };
            let values = parameters::read(model, |_| true);
            let rounding = rounding.now.map(|rounding| Arc::new(rounding.copied()));
            self.found = Some(Found { measured, values, rounding });
        }
        Ok(())
    }

    /// The model with the best weights, how they are rounded, which ones they are, and how they were
    /// measured; `None` if no measurement counted.
    pub fn take<M: Module>(self, model: &M) -> Option<(M, Option<Arc<Rounding>>, Kept, Metrics)> {
        let Found { measured, values, rounding } = self.found?;
        Some((parameters::write(model.clone(), values), rounding, measured.kept, measured.metrics))
    }

    /// How the best weights so far are rounded, for a checkpoint.
    pub fn rounding(&self) -> Option<&Arc<Rounding>> {
        self.found.as_ref()?.rounding.as_ref()
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
            let rounding = restored.take_rounding(KIND, model)?;
            self.found = Some(Found { measured, values, rounding });
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
