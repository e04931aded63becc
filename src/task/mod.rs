//! Tasks: a model, its data and its metrics.
//!
//! The engine trains any [`Task`], which provides batches, named outputs, a loss and metrics. Tasks of BERT models
//! are built in: extractive question answering ([`question_answering`]), sequence classification ([`classification`]),
//! token classification ([`token_classification`]), scores and several labels ([`scoring`]), sentence embeddings
//! ([`embedding`], with [`pooling`] and their losses) and masked language modelling ([`masked_language`]). [`prepare`] loads the model and the data
//! that a schedule names. [`data`] reads data sets, [`metric`] computes metrics, [`loss`] is cross-entropy,
//! [`evaluation`] makes batches of a dev set, [`hidden_states`] collects hidden states for distillation, [`quantizers`] are those of a model, [`input_recorder`] records the inputs of its layers, and
//! [`parameters`] reads and writes parameters by their Hugging Face names.

/// The methods of [`Task`] that depend on the model alone, for a [`BertModel`](model::BertModel).
macro_rules! bert_methods {
    ($model:ty) => {
        fn outputs(
            &self,
            model: &$model,
            batch: &Self::Batch,
            dropout: Option<u64>,
        ) -> Vec<crate::task::Output> {
            self.outputs_with_hidden_states(model, batch, dropout, &mut crate::task::HiddenStates::none())
        }

        fn autocasts(&self) -> bool {
            true
        }

        fn keep_layers(&self, model: $model, kept: &[usize]) -> Option<$model> {
            Some(crate::task::model::BertModel::keep_layers(model, kept))
        }

        fn quantizers<'m>(
            &self,
            model: &'m $model,
        ) -> Option<&'m std::sync::Arc<crate::task::quantizers::Quantizers>> {
            crate::task::model::BertModel::quantizers(model)
        }

        fn set_quantizers(
            &self,
            model: $model,
            quantizers: Option<std::sync::Arc<crate::task::quantizers::Quantizers>>,
        ) -> Option<$model> {
            Some(crate::task::model::BertModel::with_quantizers(model, quantizers))
        }

        fn activation_matmuls(&self, model: &$model) -> Vec<crate::task::quantizers::ActivationMatMul> {
            crate::task::model::BertModel::activation_matmuls(model)
        }
    };
}

pub mod classification;
pub mod data;
pub mod embedding;
pub mod evaluation;
pub mod hidden_states;
pub mod input_recorder;
pub mod loss;
pub mod masked_language;
pub mod metric;
pub mod model;
pub mod parameters;
pub mod pooling;
pub mod prepare;
pub mod quantizers;
pub mod question_answering;
pub mod scoring;
pub mod token_classification;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use crate::method::distill::Divergence;
pub use hidden_states::{HiddenState, HiddenStates};
use metric::Metrics;
pub use model::kernels::autocast;
use quantizers::{ActivationMatMul, Quantizers};

/// A named output of a model: logits, with one softmax over the classes of each row unless the task's
/// [`divergence`](Task::divergence) says otherwise.
#[derive(Clone, Debug)]
pub struct Output {
    /// The name, such as `start_logits`, by which distillation matches it with the teacher's output.
    pub name: &'static str,
    /// Logits or other values, `[rows, classes]`; classes that do not exist in a row, such as padding, have a large negative logit.
    pub logits: Tensor<2>,
}

impl Output {
    /// The logits on the host, row by row.
    pub fn into_values(self) -> Vec<f32> {
        // invariant: logits are floats and can be converted to f32.
        self.logits.into_data().convert::<f32>().try_to_vec().expect("f32 logits")
    }

    /// The rows of the logits on the host.
    pub fn into_rows(self) -> Vec<Vec<f32>> {
        let width = self.logits.dims()[1].max(1);
        self.into_values().chunks(width).map(<[f32]>::to_vec).collect()
    }
}

/// A task that a model is trained and evaluated for.
pub trait Task {
    /// The model, any Burn module.
    type Model: Module + Clone;
    /// A batch of examples on a device.
    type Batch;

    /// The number of training examples.
    fn examples(&self) -> usize;

    /// Creates a batch of training examples, given by their indices. It must depend on the examples and their order
    /// alone, as student and teacher get the same batch.
    fn batch(&self, examples: &[usize], device: &Device) -> Self::Batch;

    /// The forward pass. `dropout` is the seed of dropout in training, and `None` in evaluation.
    fn outputs(&self, model: &Self::Model, batch: &Self::Batch, dropout: Option<u64>) -> Vec<Output>;

    /// The forward pass, with the outputs of modules inside the model added to the hidden states by module name, for
    /// `distill { hidden: … }`. A task needs to implement it only for recipes with that setting.
    fn outputs_with_hidden_states(
        &self,
        model: &Self::Model,
        batch: &Self::Batch,
        dropout: Option<u64>,
        _states: &mut HiddenStates,
    ) -> Vec<Output> {
        self.outputs(model, batch, dropout)
    }

    /// The mean loss over the batch, `[1]`.
    fn loss(&self, outputs: &[Output], batch: &Self::Batch) -> Tensor<1>;

    /// The loss whose gradients OBS takes, `[1]`. By default the task's loss; a task whose data has no labels needs another
    /// one. `seed` differs from batch to batch.
    fn pruning_loss(&self, outputs: &[Output], batch: &Self::Batch, _seed: u64) -> Tensor<1> {
        self.loss(outputs, batch)
    }

    /// Whether the task's data has a loss. Without one, candidate weights of pruning are evaluated by their divergence from
    /// the unpruned model.
    fn has_loss(&self) -> bool {
        true
    }

    /// How distillation compares an output with the teacher's.
    fn divergence(&self, _output: &str) -> Divergence {
        Divergence::Softmax
    }

    /// The mean training loss with label smoothing, `[1]`. `None` if the task has none: a recipe with
    /// `label_smoothing` is then refused before the first step.
    fn smoothed_loss(&self, _: &[Output], _: &Self::Batch, _smoothing: f64) -> Option<Tensor<1>> {
        None
    }

    /// The length of a training example, in tokens or another unit, by which `batches: bucketed` groups examples.
    fn length(&self, _example: usize) -> usize {
        1
    }

    /// Whether the model uses [`autocast::matmul`] for its matrix products. If not, a recipe with
    /// `train { precision: bf16 }` is refused before the first step.
    fn autocasts(&self) -> bool {
        false
    }

    /// The model with only these encoder layers, renumbered in this order (`keep layers […]`). `None` if layers
    /// cannot be dropped.
    fn keep_layers(&self, _: Self::Model, _kept: &[usize]) -> Option<Self::Model> {
        None
    }

    /// The model's quantizers, if it has any.
    fn quantizers<'m>(&self, _: &'m Self::Model) -> Option<&'m Arc<Quantizers>> {
        None
    }

    /// The model with these quantizers, with which it fake-quantizes its tensors from now on. `None` if the model does
    /// not support quantization: a recipe with `quantize` is then refused before the first step.
    fn set_quantizers(&self, _: Self::Model, _: Option<Arc<Quantizers>>) -> Option<Self::Model> {
        None
    }

    /// The matrix products of two activations that the model can quantize, such as those of attention.
    fn activation_matmuls(&self, _: &Self::Model) -> Vec<ActivationMatMul> {
        Vec::new()
    }

    /// Evaluates a model on the dev set. `progress` receives the number of evaluated examples and of all.
    fn evaluate(
        &self,
        model: &Self::Model,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Metrics;
}
