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
    let model = model.clone().map(&mut OnlyThese { wanted: &estimates.keys().copied().collect::<Vec<_>>() });
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

struct OnlyThese<'a> {
    wanted: &'a [ParamId],
}

impl ModuleMapper for OnlyThese<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let wanted = self.wanted.contains(&param.id);
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
