//! The weights of a stage's best measurement.

use burn::module::Module;

use crate::schedule::Timeline;
use crate::task::metric::Metrics;
use crate::task::parameters::{self, Values};

use super::EngineError;

/// The best measurement so far, with the weights that were measured.
pub struct Best<'a> {
    stage: &'a str,
    metric: &'a str,
    found: Option<Found>,
}

struct Found {
    kept: Kept,
    metrics: Metrics,
    values: Values,
}

/// Which weights a stage ends with.
#[derive(Clone, Debug, PartialEq)]
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
            true => value <= best.kept.value,
            false => value >= best.kept.value,
        });
        if pruned && better && !value.is_nan() {
            let kept = Kept { metric: self.metric.to_owned(), step, value };
            self.found =
                Some(Found { kept, metrics: metrics.clone(), values: parameters::read(model, |_| true) });
        }
        Ok(())
    }

    /// The model with the best weights, which ones they are, and how they were measured; the model as it is
    /// if no measurement counted.
    pub fn take<M: Module>(self, model: M, last: Metrics) -> (M, Option<Kept>, Metrics) {
        match self.found {
            None => (model, None, last),
            Some(Found { kept, metrics, values }) => (parameters::write(model, values), Some(kept), metrics),
        }
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
