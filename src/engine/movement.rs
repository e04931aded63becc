//! Movement scores for `by: movement`, accumulated in training (Sanh et al., arXiv 2005.07683).

use std::borrow::Cow;
use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use crate::method::criterion::movement::accumulate;
use crate::schedule::ir::{Criterion, Stage};
use crate::task::parameters::{ModuleParameter, parameters, to_hugging_face};

use super::EngineError;
use super::snapshot::{CheckpointTensor, Restored};
use super::targets::Targets;

/// The scores of every parameter that is pruned by movement, in Burn's layout.
#[derive(Default)]
pub struct Movements {
    scores: HashMap<ParamId, Option<Tensor<1>>>,
    steps: u64,
}

impl Movements {
    /// Scores of zero for the targets of the stage's `prune` statements with `by: movement`.
    ///
    /// # Errors
    /// A selector that cannot be read or selects nothing.
    pub fn new<M: Module>(stage: &Stage, model: &M) -> Result<Self, EngineError> {
        let mut movements = Movements::default();
        for statement in stage.prune.iter().filter(|p| p.by == Criterion::Movement) {
            for target in Targets::select(model, statement, &stage.name)?.parameters {
                movements.scores.insert(target.id, None);
            }
        }
        Ok(movements)
    }

    /// Whether the stage prunes by movement and no step's scores have been accumulated yet.
    pub fn lacks_steps(&self) -> bool {
        !self.scores.is_empty() && self.steps == 0
    }

    /// The number of accumulated steps.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// All scores for a checkpoint, in Burn's layout.
    pub fn held<'a, M: Module>(&'a self, model: &M) -> Vec<CheckpointTensor<'a>> {
        let scored = parameters(model).into_iter().filter_map(|p| {
            let scores = self.scores.get(&p.id)?.as_ref()?;
            // invariant: scores are floats and can be converted to f32.
            let read = || {
                let data = scores.clone().into_data().convert::<f32>();
                Cow::Owned(data.try_to_vec().expect("f32 values"))
            };
            Some(CheckpointTensor::floats(
                format!("movement/{}", p.parameter.name),
                p.parameter.count(),
                read,
            ))
        });
        scored.collect()
    }

    /// Restores the scores of a checkpoint.
    ///
    /// # Errors
    /// Scores that do not fit a parameter.
    pub fn restore<M: Module>(
        &mut self,
        restored: &mut Restored,
        model: &M,
        device: &Device,
    ) -> Result<(), EngineError> {
        self.steps = restored.position.movement_steps;
        let mut values = restored.take("movement");
        for p in parameters(model) {
            let (Some(scores), Some(values)) = (self.scores.get_mut(&p.id), values.remove(&p.parameter.name))
            else {
                continue;
            };
            let count = p.parameter.count();
            if values.len() != count {
                let why = format!("its scores of `{}` do not fit", p.parameter.name);
                return Err(EngineError::Checkpoint(why));
            }
            *scores = Some(Tensor::from_data(TensorData::new(values, [count]), device));
        }
        Ok(())
    }

    /// Accumulates the scores of a step, from its gradients before clipping and its weights.
    pub fn add<M: Module>(&mut self, model: &M, gradients: &GradientsParams) {
        if !self.scores.is_empty() {
            self.steps += 1;
            model.visit(&mut Add { scores: &mut self.scores, gradients });
        }
    }

    /// A target's scores in the Hugging Face layout. `None` if it had no gradient yet.
    pub fn scores(&self, target: &ModuleParameter) -> Option<Vec<f32>> {
        let scores = self.scores.get(&target.id)?.clone()?;
        let [mut rows, mut columns] = match target.parameter.shape[..] {
            [rows, columns] => [rows, columns],
            _ => [1, target.parameter.count()],
        };
        if target.transposed {
            (rows, columns) = (columns, rows);
        }
        Some(to_hugging_face(scores.reshape([rows, columns]), target.transposed))
    }
}

struct Add<'a> {
    scores: &'a mut HashMap<ParamId, Option<Tensor<1>>>,
    gradients: &'a GradientsParams,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(scores) = self.scores.get_mut(&param.id) else { return };
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let count: usize = gradient.dims().iter().product();
        let gradient: Tensor<1> = gradient.reshape([count]);
        let weights = param.val().inner().reshape([count]);
        let before = scores.take().unwrap_or_else(|| gradient.zeros_like());
        *scores = Some(accumulate(before, weights, gradient));
    }
}
