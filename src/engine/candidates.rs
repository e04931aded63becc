//! The evaluation of candidate weights on evaluation batches: the training batches after those of the estimate, whose
//! examples are others unless the data has too few.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::method::obs::Measure;
use crate::task::parameters::{self, Values};
use crate::task::{Output, Task};

/// Maximum number of float32 values (256 MiB) of the unchanged model's outputs that are stored; outputs beyond that are
/// computed again.
const STORED: usize = 64 << 20;

/// Forward passes so far and planned, and outputs of the model itself on evaluation batches.
#[derive(Default)]
pub struct Candidates {
    done: u64,
    planned: u64,
    outputs: BTreeMap<usize, Vec<Output>>,
}

impl Candidates {
    /// Starts with a planned number of forward passes, which progress reports show.
    pub fn planned(planned: u64) -> Self {
        Candidates { planned, ..Candidates::default() }
    }

    /// A measure on each of some numbered evaluation batches, computed with these values in place of the model's
    /// weights. `progress` receives the forward passes so far and planned, and may break it off.
    pub fn evaluate<T: Task>(
        &mut self,
        task: &T,
        (model, reference): (&T::Model, &T::Model),
        values: Values,
        measure: Measure,
        batches: impl Iterator<Item = (usize, T::Batch)>,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> ControlFlow<(), Vec<f64>> {
        let measure = if task.has_loss() { measure } else { Measure::Divergence };
        let changed = parameters::write(model.clone(), values);
        let mut measures = Vec::new();
        for (number, batch) in batches {
            let outputs = task.outputs(&changed, &batch, None);
            measures.push(match measure {
                Measure::Loss => f64::from(task.loss(&outputs, &batch).into_scalar::<f32>()),
                Measure::Divergence => {
                    let stored = self.outputs.remove(&number);
                    let reference = stored.unwrap_or_else(|| task.outputs(reference, &batch, None));
                    let divergence = divergence(task, &outputs, &reference);
                    self.store(number, reference);
                    divergence
                }
            });
            self.done += 1;
            progress(self.done, self.planned.max(self.done))?;
        }
        ControlFlow::Continue(measures)
    }

    /// Stores the model's outputs on a batch, as far as they fit.
    fn store(&mut self, number: usize, outputs: Vec<Output>) {
        let values = |outputs: &[Output]| {
            outputs.iter().map(|o| o.logits.dims().iter().product::<usize>()).sum::<usize>()
        };
        let stored: usize = self.outputs.values().map(|outputs| values(outputs)).sum();
        if stored + values(&outputs) <= STORED {
            self.outputs.insert(number, outputs);
        }
    }
}

/// The mean divergence of outputs from those of a reference.
fn divergence<T: Task>(task: &T, outputs: &[Output], reference: &[Output]) -> f64 {
    let pairs = outputs.iter().zip(reference);
    let one = |(x, y): (&Output, &Output)| {
        let divergence = task.divergence(x.name).of(x.logits.clone(), y.logits.clone(), 1.0);
        f64::from(divergence.into_scalar::<f32>())
    };
    pairs.map(one).sum::<f64>() / outputs.len().max(1) as f64
}
