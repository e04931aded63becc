//! Gradients for a pruning event: of the mean task loss of batches, without dropout, at the current weights.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::method::obs::{Gradient, GradientSource, Measure, Phase, Place, Sharding};
use crate::task::Task;
use crate::task::data::sampler::Sampler;
use crate::task::parameters::{self, ModuleParameter, flat_hugging_face, to_hugging_face};

use super::candidates::Candidates;
use super::events::{Observer, Work, goes_on};
use super::exchange;

/// The gradients of a task's loss for some parameters of a model.
///
/// Each gradient is that of the mean loss of a batch. Batches are drawn without replacement within an epoch, in an order
/// that depends on the seed alone, so that gradient i can be computed again.
pub struct TaskGradients<'a, T: Task> {
    /// The task.
    pub task: &'a T,
    /// The model, with autodiff.
    pub model: &'a T::Model,
    /// The model before the event, from whose outputs the divergence of candidates is measured.
    pub unpruned: &'a T::Model,
    /// The parameters of the event.
    pub targets: &'a [ModuleParameter],
    /// The batches: of gradients, and after `first_evaluation` of them those on which candidates are evaluated.
    pub draw: Draw<'a>,
    /// The number of the first evaluation batch.
    pub first_evaluation: usize,
    /// The stage, for progress.
    pub stage: &'a str,
    /// The number of gradients computed before, for progress.
    pub done: u64,
    /// The planned number of gradients of the event, for progress.
    pub total: u64,
    /// Evaluates candidate weights, and counts the forward passes.
    pub candidates: Candidates,
    /// Receives progress, and may stop the event.
    pub observer: &'a mut dyn Observer,
    /// The ranks that share the batches, and which of them takes the gradients of each parameter.
    pub sharding: Sharding<'a>,
}

impl<T: Task> GradientSource for TaskGradients<'_, T> {
    fn gradients(
        &mut self,
        parameters: Range<usize>,
        numbers: Range<usize>,
        place: Place,
        take: &mut dyn FnMut(usize, Gradient),
    ) -> ControlFlow<()> {
        let indices: HashMap<ParamId, usize> = parameters.map(|i| (self.targets[i].id, i)).collect();
        // Other parameters get no gradients.
        let model = trained_alone(self.model.clone(), |id| indices.contains_key(&id));
        let ranks = self.sharding.ranks;
        // Between ranks gradients pass through host memory.
        let place = if ranks.is_alone() { place } else { Place::Host };
        let mut sampler = self.draw.sampler(self.task.examples());
        let end = numbers.end;
        for first in numbers.step_by(ranks.size()) {
            let number = first + ranks.rank();
            let mut own = Vec::new();
            if number < end {
                let batch = self.task.batch(&sampler.batch(number as u64), self.draw.device);
                let outputs = self.task.outputs(&model, &batch, None);
                let loss = self.task.pruning_loss(&outputs, &batch, self.draw.seed ^ number as u64);
                let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
                let (targets, gradients) = (self.targets, &mut gradients);
                let mut collect = |i, gradient| own.push((i, gradient));
                let take: &mut dyn FnMut(usize, Gradient) =
                    if ranks.is_alone() { &mut *take } else { &mut collect };
                model.visit(&mut HandOver { gradients, indices: &indices, targets, place, take });
            }
            let computed = ranks.size().min(end - first);
            self.done += computed as u64;
            self.observer.progress(Work::Gradients(self.stage), self.done, self.total.max(self.done));
            if ranks.any(self.observer.wants_to_stop()) {
                return ControlFlow::Break(());
            }
            if !ranks.is_alone() {
                exchange::gradients(&self.sharding, self.targets, own, take);
            }
        }
        ControlFlow::Continue(())
    }

    fn evaluate(
        &mut self,
        measure: Measure,
        batches: Range<usize>,
        weights: Vec<(usize, Vec<f32>)>,
    ) -> ControlFlow<(), f64> {
        let (task, first, plain) = (self.task, self.first_evaluation, self.draw.plain);
        let name = |i: usize| self.targets[i].parameter.name.clone();
        let values = weights.into_iter().map(|(i, weights)| (name(i), weights)).collect();
        let mut sampler = self.draw.sampler(task.examples());
        let (ranks, count) = (self.sharding.ranks, batches.len());
        let own = batches.skip(ranks.rank()).step_by(ranks.size());
        let own = own.map(|number| (number, task.batch(&sampler.batch((first + number) as u64), plain)));
        let (work, size) = (Work::Candidates(self.stage), ranks.size() as u64);
        let models = (&self.model.valid(), &self.unpruned.valid());
        let own = self.candidates.evaluate(task, models, values, measure, own, &mut |done, total| {
            self.observer.progress(work, (done * size).min(total), total);
            goes_on(self.observer)
        });
        let measures = exchange::in_turns(ranks, own, count)?;
        ControlFlow::Continue(measures.iter().fold(0.0, |sum, measure| sum + measure) / count.max(1) as f64)
    }

    fn progress(&mut self, phase: Phase, done: usize, total: usize) -> ControlFlow<()> {
        let work = match phase {
            Phase::Scoring => Work::Scoring(self.stage),
            Phase::Updating => Work::Updating(self.stage),
        };
        self.observer.progress(work, done as u64, total as u64);
        goes_on(self.observer)
    }
}

/// The batches of an estimate.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The device, with autodiff.
    pub device: &'a Device,
    /// The device without autodiff, for evaluations.
    pub plain: &'a Device,
    /// The seed of the batches.
    pub seed: u64,
    /// The batch size.
    pub batch: usize,
}

impl Draw<'_> {
    /// The batches in order: those of the gradients, then those for the step size.
    pub fn sampler(&self, examples: usize) -> Sampler {
        Sampler::new(examples, self.batch, self.seed)
    }
}

/// A copy of the model on the device with autodiff.
pub fn to_training<M: Module>(model: M, device: &Device) -> M {
    let values = parameters::read(&model, |_| true);
    let moved = model.fork(&device.clone().autodiff());
    parameters::write(moved, values).train()
}

/// The model with gradients for the `wanted` parameters alone (`requires_grad`).
pub fn trained_alone<M: Module>(model: M, wanted: impl Fn(ParamId) -> bool) -> M {
    model.map(&mut OnlyThese { wanted })
}

/// Whether any parameter requires gradients.
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

struct HandOver<'a> {
    gradients: &'a mut GradientsParams,
    indices: &'a HashMap<ParamId, usize>,
    targets: &'a [ModuleParameter],
    place: Place,
    take: &'a mut dyn FnMut(usize, Gradient),
}

impl ModuleVisitor for HandOver<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(index) = self.indices.get(&param.id) else { return };
        // A parameter that the loss does not depend on has a zero gradient.
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let transposed = self.targets[*index].transposed;
        let gradient = match self.place {
            Place::Host => Gradient::Values(to_hugging_face(gradient, transposed)),
            Place::Device => Gradient::Tensor(flat_hugging_face(gradient, transposed)),
        };
        (self.take)(*index, gradient);
    }
}
