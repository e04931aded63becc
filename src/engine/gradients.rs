//! Gradients for the surgeon: of the task's loss, without dropout, at the present weights.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::task::Task;
use crate::task::data::sampler::Sampler;
use crate::task::parameters::{self, ModuleParameter, to_hugging_face};

/// What takes in gradients.
pub trait Sink {
    /// One gradient, of the target of this index; `transposed` says whether Burn's layout differs from
    /// Hugging Face's.
    fn take<const D: usize>(&mut self, index: usize, gradient: Tensor<D>, transposed: bool);
}

/// A sink on the host, which takes values in the Hugging Face layout.
pub struct OnHost<F>(pub F);

impl<F: FnMut(usize, &[f32])> Sink for OnHost<F> {
    fn take<const D: usize>(&mut self, index: usize, gradient: Tensor<D>, transposed: bool) {
        (self.0)(index, &to_hugging_face(gradient, transposed));
    }
}

/// Computes the gradients of these numbers, counted from the first of an estimate, and hands each to
/// `sink` with the index of its target.
///
/// Each gradient is that of the mean loss of a batch. Batches are drawn without repetition while
/// the data lasts, in an order of their own that depends on `seed` alone: another call gives the
/// same gradients again. `progress` hears of each gradient and says whether the next is wanted.
pub fn each<T: Task>(
    task: &T,
    model: &T::Model,
    targets: &[&ModuleParameter],
    draw: &Draw,
    numbers: Range<usize>,
    sink: &mut impl Sink,
    mut progress: impl FnMut() -> ControlFlow<()>,
) -> ControlFlow<()> {
    let places: HashMap<ParamId, (usize, bool)> =
        targets.iter().enumerate().map(|(i, t)| (t.id, (i, t.transposed))).collect();
    // Gradients of other parameters are not computed.
    let model = trained_alone(model.clone(), |id| places.contains_key(&id));
    let mut sampler = draw.sampler(task.examples());
    for i in numbers {
        let batch = task.batch(&sampler.batch(i as u64), draw.device);
        let outputs = task.outputs(&model, &batch, None);
        let loss = task.loss(&outputs, &batch);
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        model.visit(&mut Hand { gradients: &mut gradients, places: &places, sink });
        progress()?;
    }
    ControlFlow::Continue(())
}

/// Where the batches of an estimate come from, and where they are computed.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The device, with autodiff.
    pub device: &'a Device,
    /// The seed of the batches.
    pub seed: u64,
    /// Examples in a batch.
    pub batch: usize,
}

impl Draw<'_> {
    /// The batches in their order: first those of the gradients, then those that no gradient saw.
    pub fn sampler(&self, examples: usize) -> Sampler {
        Sampler::new(examples, self.batch, self.seed)
    }
}

/// The model with gradients: a copy on the autodiff device of the same kind.
pub fn to_training<M: Module>(model: M, device: &Device) -> M {
    let values = parameters::read(&model, |_| true);
    let moved = model.fork(&device.clone().autodiff());
    parameters::write(moved, values).train()
}

/// The model with gradients for the `wanted` parameters and no others.
pub fn trained_alone<M: Module>(model: M, wanted: impl Fn(ParamId) -> bool) -> M {
    model.map(&mut OnlyThese { wanted })
}

/// Whether any parameter has gradients.
pub fn any_trained<M: Module>(model: &M) -> bool {
    let mut any = AnyTrained(false);
    model.visit(&mut any);
    any.0
}

struct AnyTrained(bool);

impl ModuleVisitor for AnyTrained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.val().is_require_grad();
    }
}

struct OnlyThese<F> {
    wanted: F,
}

impl<F: Fn(ParamId) -> bool> ModuleMapper for OnlyThese<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let wanted = (self.wanted)(param.id);
        param.map(|tensor| tensor.detach().set_require_grad(wanted))
    }
}

struct Hand<'a, S> {
    gradients: &'a mut GradientsParams,
    places: &'a HashMap<ParamId, (usize, bool)>,
    sink: &'a mut S,
}

impl<S: Sink> ModuleVisitor for Hand<'_, S> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some((index, transposed)) = self.places.get(&param.id) else { return };
        // A parameter that the loss does not reach has a zero gradient, which adds nothing.
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.sink.take(*index, gradient, *transposed);
        }
    }
}
