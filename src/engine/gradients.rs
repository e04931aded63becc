//! Gradients for the surgeon: of the task's loss, without dropout, at the present weights.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::method::obs::Estimate;
use crate::schedule::ir::Obs;
use crate::task::Task;
use crate::task::data::sampler::Sampler;
use crate::task::parameters::{ModuleParameter, to_hugging_face};

/// Collects one estimate for each of `targets`, in their order.
///
/// Each gradient is that of the mean loss of a batch. Batches are drawn without repetition while
/// the data lasts, in an order of their own that depends on `seed` alone.
pub fn collect<T: Task>(
    task: &T,
    model: &T::Model,
    targets: &[ModuleParameter],
    obs: &Obs,
    seed: u64,
    device: &Device,
    mut progress: impl FnMut(u64, u64),
) -> Vec<Estimate> {
    let mut estimates: HashMap<ParamId, (Estimate, bool)> = targets
        .iter()
        .map(|t| {
            let estimate = Estimate::new(t.parameter.count(), obs.block, obs.gradients, obs.chunk_rows());
            (t.id, (estimate, t.transposed))
        })
        .collect();
    // Gradients of other parameters are not computed.
    let model = trained_alone(model.clone(), |id| estimates.contains_key(&id));
    let mut sampler = Sampler::new(task.examples(), obs.batch, seed);
    for i in 0..obs.gradients as u64 {
        let batch = task.batch(&sampler.batch(i), device);
        let outputs = task.outputs(&model, &batch, None);
        let loss = task.loss(&outputs, &batch);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model.visit(&mut Add { gradients: &gradients, estimates: &mut estimates });
        progress(i + 1, obs.gradients as u64);
    }
    // invariant: every target got an estimate above.
    targets.iter().map(|t| estimates.remove(&t.id).expect("an estimate of each target").0).collect()
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

struct Add<'a> {
    gradients: &'a GradientsParams,
    estimates: &'a mut HashMap<ParamId, (Estimate, bool)>,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some((estimate, transposed)) = self.estimates.get_mut(&param.id) else { return };
        // A parameter that the loss does not reach has a zero gradient, which adds nothing.
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            estimate.add(&to_hugging_face(gradient, *transposed));
        }
    }
}
