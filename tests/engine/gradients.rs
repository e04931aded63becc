//! A gradient that is no number while the loss is one.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use obert::internals::diag::{Code, Diagnostic};
use obert::internals::engine::Interpreter;
use obert::internals::engine::events::Unwatched;
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::task::metric::Metrics;
use obert::internals::task::{Output, Task};

/// One weight, which is zero.
#[derive(Module, Debug)]
struct Point {
    weight: Param<Tensor<2>>,
}

/// The square root of the square of a weight: zero where the weight is, with no gradient there.
struct Cusp;

impl Task for Cusp {
    type Model = Point;
    type Batch = ();

    fn examples(&self) -> usize {
        4
    }

    fn batch(&self, _: &[usize], _: &Device) {}

    fn outputs(&self, model: &Point, (): &(), _: Option<u64>) -> Vec<Output> {
        vec![Output { name: "logits", logits: (model.weight.val() * model.weight.val()).sqrt() }]
    }

    fn loss(&self, outputs: &[Output], (): &()) -> Tensor<1> {
        outputs[0].logits.clone().mean()
    }

    fn evaluate(&self, _: &Point, _: &Device, _: &mut dyn FnMut(usize, usize)) -> Metrics {
        Metrics::new()
    }
}

#[test]
fn a_gradient_that_is_not_finite_stops_the_run_although_the_loss_is() {
    let recipe = "edition 2026
recipe cusp for 1 epoch {
  model: \"point\"
  data: own
  batch: 2
  lr { 0..1 epochs: 1e-3 }
}
";
    let compiled = compile("cusp.obert", recipe, &NoFiles, Options::default());
    let schedule = compiled.schedule.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    let device = Device::flex();
    let model = Point { weight: Param::from_tensor(Tensor::zeros([1, 1], &device)) };
    let error = Interpreter::new(&Cusp, &schedule, device).run(model, &mut Unwatched).unwrap_err();
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.code, Code::GradientNotFinite, "{}", diagnostic.message);
    assert!(diagnostic.message.contains("at step 0 of `cusp`"), "{}", diagnostic.message);
}
