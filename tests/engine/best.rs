//! Which weights a stage ends with: the last, or those of the best measurement.

use std::cell::Cell;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use obert::internals::diag::{Code, Diagnostic};
use obert::internals::engine::events::Event;
use obert::internals::engine::{EngineError, StageResult};
use obert::internals::task::metric::Metrics;
use obert::internals::task::{Output, Task, parameters};

use super::learning::{run, schedule};

/// A linear layer that is to give nothing, measured by a figure that a test makes up.
struct Measured {
    /// Figures in the order of the measurements, and how many were taken.
    figures: Vec<f64>,
    taken: Cell<usize>,
    metric: &'static str,
}

#[derive(Module, Debug)]
pub struct Line {
    line: Linear,
}

impl Measured {
    fn new(metric: &'static str, figures: &[f64]) -> (Self, Line) {
        let device = Device::flex();
        let model = Line { line: LinearConfig::new(8, 2).init(&device) };
        (Measured { figures: figures.to_vec(), taken: Cell::new(0), metric }, model)
    }
}

impl Task for Measured {
    type Model = Line;
    type Batch = Tensor<2>;

    fn examples(&self) -> usize {
        8
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Tensor<2> {
        let values: Vec<f32> =
            examples.iter().flat_map(|e| (0..8).map(move |i| ((e * 8 + i) as f32).sin())).collect();
        Tensor::from_data(TensorData::new(values, [examples.len(), 8]), device)
    }

    fn outputs(&self, model: &Line, batch: &Tensor<2>, _: Option<u64>) -> Vec<Output> {
        vec![Output { name: "logits", logits: model.line.forward(batch.clone()) }]
    }

    fn loss(&self, outputs: &[Output], _: &Tensor<2>) -> Tensor<1> {
        outputs[0].logits.clone().square().mean()
    }

    fn evaluate(&self, _: &Line, _: &Device, _: &mut dyn FnMut(usize, usize)) -> Metrics {
        let index = self.taken.replace(self.taken.get() + 1);
        Metrics::from([(self.metric.to_owned(), self.figures[index])])
    }
}

/// Four epochs of four steps, measured before steps 4, 8, 12 and at the end, 16.
pub fn kept(
    metric: &'static str,
    figures: &[f64],
    statements: &str,
) -> Result<(Line, Vec<StageResult>, Vec<Event>), EngineError> {
    let (task, model) = Measured::new(metric, figures);
    let statements = format!("  lr {{ 0..4 epochs: 1e-2 }}\n{statements}");
    run(&task, &schedule("for 4 epochs", &statements), model)
}

#[test]
fn the_best_measurement_decides_and_its_weights_are_the_result() {
    let best = "  evaluate every 1 epoch { keep: best(score) }";
    let (_, results, events) = kept("score", &[3.0, 7.0, 5.0, 6.0], best).unwrap();
    let of_result = results[0].best.clone().unwrap();
    assert_eq!((of_result.step, of_result.value), (8, 7.0));
    assert_eq!(results[0].metrics["score"], 7.0);
    assert!(events.iter().any(|e| matches!(e, Event::Kept(kept) if kept.step == 8 && kept.value == 7.0)));
    // The weights are those before step 8: a run that is measured and stops there has the same.
    let (task, model) = Measured::new("score", &[3.0, 7.0, 5.0, 6.0]);
    let long = schedule("for 4 epochs", &format!("  lr {{ 0..4 epochs: 1e-2 }}\n{best}"));
    let (whole, ..) = run(&task, &long, model.clone()).unwrap();
    let half = schedule("for 2 epochs", "  lr { 0..2 epochs: 1e-2 }");
    let (task, _) = Measured::new("score", &[0.0]);
    let (stopped, ..) = run(&task, &half, model.clone()).unwrap();
    let weights = |model: &Line| parameters::read(model, |_| true);
    assert_eq!(weights(&whole), weights(&stopped));
    let last = schedule("for 4 epochs", "  lr { 0..4 epochs: 1e-2 }\n  evaluate every 1 epoch");
    let (task, _) = Measured::new("score", &[3.0, 7.0, 5.0, 6.0]);
    let (end, results, _) = run(&task, &last, model).unwrap();
    assert_ne!(weights(&end), weights(&stopped));
    assert_eq!(
        (results[0].metrics["score"], &results[0].best),
        (6.0, &None),
        "the last ones are the default"
    );
}

#[test]
fn of_losses_the_least_is_best_of_equals_the_later_and_what_is_no_number_never_is() {
    let step = |metric: &'static str, figures: &[f64]| {
        let best = format!("  evaluate every 1 epoch {{ keep: best({metric}) }}");
        let (_, results, _) = kept(metric, figures, &best).unwrap();
        results[0].best.as_ref().map(|k| k.step)
    };
    assert_eq!(step("loss", &[3.0, 1.0, 2.0, 4.0]), Some(8));
    assert_eq!(step("score", &[3.0, 5.0, 5.0, 4.0]), Some(12));
    assert_eq!(step("score", &[f64::NAN, 5.0, f64::NAN, f64::NAN]), Some(8));
    assert_eq!(step("score", &[f64::NAN; 4]), None, "the last weights then");
}

#[test]
fn with_pruning_only_what_was_measured_at_the_final_sparsity_counts() {
    let statements = "  evaluate every 1 epoch { keep: best(score) }
  prune params(\"line.weight\") over 1..3 epochs every 1 epoch {
    by: magnitude, sparsity: 25% -> 75% linear
  }";
    // The dense model is the best by far; the first measurement that counts is before step 12.
    let (model, results, _) = kept("score", &[90.0, 80.0, 40.0, 30.0], statements).unwrap();
    assert_eq!(results[0].best.as_ref().unwrap().step, 12);
    let zeros = parameters::read(&model, |n| n.ends_with("weight"))["line.weight"]
        .iter()
        .filter(|w| **w == 0.0)
        .count();
    assert_eq!(zeros, 12, "three quarters of sixteen");
}

#[test]
fn what_a_task_does_not_measure_or_cannot_do_is_refused() {
    let best = "  evaluate every 1 epoch { keep: best(f1) }";
    let error = kept("score", &[1.0; 4], best).unwrap_err();
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.code, Code::MetricMissing);
    assert!(diagnostic.message.contains("there are score"), "{}", diagnostic.message);
    let error = kept("score", &[1.0; 4], "  train { label_smoothing: 10% }").unwrap_err();
    assert_eq!(Diagnostic::from(error).code, Code::NotOfThisTask);
    let error = kept("score", &[1.0; 4], "  train { precision: bf16 }").unwrap_err();
    assert_eq!(Diagnostic::from(error).code, Code::NotOfThisTask);
}
