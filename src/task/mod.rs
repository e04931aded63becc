//! What is trained: models, data and metrics.
//!
//! The engine knows a [`Task`] only: it asks for batches, named outputs, a loss and metrics.
//! Three are built in, each a BERT with a head: [`question_answering`] finds answers in texts,
//! [`classification`] gives texts and pairs of texts a label, [`masked_language`] guesses hidden
//! tokens. [`prepare`] makes them from a schedule's model and data; [`states`] are what a teacher shows of
//! its inside, [`loss`] is what classifiers minimise, [`rounding`] what of a model is rounded to few bits.

pub mod classification;
pub mod data;
pub mod loss;
pub mod masked_language;
pub mod metric;
pub mod model;
pub mod parameters;
pub mod prepare;
pub mod question_answering;
pub mod rounding;
pub mod states;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use metric::Metrics;
pub use model::kernels::autocast;
use rounding::{Product, Rounding};
pub use states::{State, States};

/// A named output of a model: one row of logits for each thing that is decided.
#[derive(Clone, Debug)]
pub struct Output {
    /// The name by which recipes match it with a teacher's.
    pub name: &'static str,
    /// Logits, `[rows, choices]`; choices that do not exist have a large negative one.
    pub logits: Tensor<2>,
}

/// Something to train a model for.
pub trait Task {
    /// The model: any Burn module.
    type Model: Module + Clone;
    /// Examples arranged for a device.
    type Batch;

    /// How many training examples there are.
    fn examples(&self) -> usize;

    /// Arranges training examples for a device. The same examples in the same order make the same
    /// batch: a teacher reads what its student reads.
    fn batch(&self, examples: &[usize], device: &Device) -> Self::Batch;

    /// The model's outputs. `dropout` is a seed while training, `None` otherwise.
    fn outputs(&self, model: &Self::Model, batch: &Self::Batch, dropout: Option<u64>) -> Vec<Output>;

    /// The same outputs, and into `states` what modules inside the model give in the same pass, by their
    /// names: what `distill { hidden: … }` matches. Leave it out if no recipe of yours does.
    fn outputs_and_states(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        dropout: Option<u64>,
        _states: &mut States,
    ) -> Vec<Output> {
        self.outputs(model, batch, dropout)
    }

    /// The mean loss over the batch, `[1]`.
    fn loss(&self, outputs: &[Output], batch: &Self::Batch) -> Tensor<1>;

    /// The mean loss with labels that are softened by a share of `smoothing`, while training. `None` if this
    /// task cannot soften its labels: then a recipe with `label_smoothing` is refused before the first step.
    fn smoothed_loss(&self, _: &[Output], _: &Self::Batch, _smoothing: f64) -> Option<Tensor<1>> {
        None
    }

    /// How long a training example is, in tokens or any other unit: what `batches: bucketed` goes by. All
    /// are alike if it is left out.
    fn length(&self, _example: usize) -> usize {
        1
    }

    /// Whether the model multiplies by [`autocast::matmul`]. If not, a recipe with `train { precision: bf16 }`
    /// is refused before the first step.
    fn autocasts(&self) -> bool {
        false
    }

    /// The model with only these layers of its encoder, renumbered in this order. `None` if the model
    /// has no such layers.
    fn keep_layers(&self, _: Self::Model, _kept: &[usize]) -> Option<Self::Model> {
        None
    }

    /// What of the model is rounded to few bits, if anything is.
    fn rounding<'m>(&self, _: &'m Self::Model) -> Option<&'m Arc<Rounding>> {
        None
    }

    /// The model with another rounding, through which all its roundable tensors pass from now on. `None` if
    /// this task's model cannot be rounded: then a recipe with `quantize` is refused before the first step.
    fn set_rounding(&self, _: Self::Model, _: Option<Arc<Rounding>>) -> Option<Self::Model> {
        None
    }

    /// The products of two activations that the model rounds if it is told to: those of attention.
    fn products(&self, _: &Self::Model) -> Vec<Product> {
        Vec::new()
    }

    /// Measures a model on held-out data; `progress` hears how many of how many are done.
    fn evaluate(
        &self,
        model: &Self::Model,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics;
}
