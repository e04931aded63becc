//! The products of attention whose attention weights are rounded between them.
//!
//! Queries, keys and values come in as they are multiplied, rounded already. Of the attention weights
//! only those before dropout are kept for the backward pass, as without rounding.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::method::qat::fake_quant::Affine;
use crate::method::qat::{Channels, Phase, Quantizer};

use super::attention::{
    Attention, Sequences, Task, drop_weights, plain_products, softmax, softmax_backward, split,
};
use super::dropout::Dropout;
use super::fake_quant::{cut, fake_quantize, range, ranges, round_in_place, together};
use super::gemm::{Threads, View, ViewMut, multiply};
use super::op::{CpuOp, run};

/// `round(softmax(Q Kᵀ / √d)) V` of queries, keys and values `[tokens, hidden]`, before the output
/// projection. Attention weights are rounded after dropout, as in SparseML.
pub fn rounded_attention(
    states: [Tensor<2>; 3],
    heads: usize,
    sequences: &Sequences,
    dropout: Dropout,
    quantizer: Option<(Arc<Quantizer>, Phase)>,
) -> Tensor<2> {
    match sequences {
        Sequences::Padded { lengths, length } => {
            plain_products(states, heads, lengths, *length, dropout, |weights| {
                let qparams =
                    quantizer.and_then(|(q, phase)| q.pass(phase, || ranges(&weights, Channels::All)));
                match qparams {
                    Some(qparams) => fake_quantize(weights, &qparams, Channels::All),
                    None => weights,
                }
            })
        }
        Sequences::Packed(starts) => {
            let [tokens, hidden] = states[0].dims();
            let attention = Attention { tokens, hidden, heads, starts: starts.clone(), dropout };
            run(Rounded { attention, quantizer }, states.map(Into::into))
        }
    }
}

#[derive(Clone, Debug)]
struct Rounded {
    attention: Attention,
    quantizer: Option<(Arc<Quantizer>, Phase)>,
}

/// The attention weights before dropout, and how they were rounded after it.
#[derive(Clone, Debug)]
struct Saved {
    weights: Arc<Vec<f32>>,
    affine: Option<Affine>,
}

impl Rounded {
    /// The attention weights of a task after dropout.
    fn dropped(&self, weights: &[f32], task: Task) -> Vec<f32> {
        let mut dropped = weights.to_vec();
        if self.attention.dropout.is_active() {
            drop_weights(&mut dropped, self.attention.dropout, task.weights as u32);
        }
        dropped
    }

    /// How attention weights are rounded, once they are known.
    fn affine(&self, weights: &[f32], tasks: &[Task]) -> Option<Affine> {
        let (quantizer, phase) = self.quantizer.as_ref()?;
        let observed = || {
            let of_task = |task: &Task| {
                let part = &weights[task.weights..task.weights + task.length * task.length];
                range(&self.dropped(part, *task))
            };
            vec![together(tasks.par_iter().map(of_task).collect())]
        };
        quantizer.pass(*phase, observed).map(|qparams| qparams.affine(0))
    }
}

impl CpuOp<3> for Rounded {
    type Saved = Saved;

    fn forward(&self, [query, key, value]: [&[f32]; 3]) -> (Vec<f32>, Saved) {
        let at = &self.attention;
        let tasks = at.tasks();
        let squares = tasks.iter().map(|t| t.length * t.length);
        let mut weights = vec![0.0; squares.clone().sum()];
        let areas = split(&mut weights, squares);
        tasks.par_iter().zip(areas).for_each(|(task, weights)| {
            let n = task.length;
            let (q, k) = (at.rows(query, *task), at.rows(key, *task));
            multiply(ViewMut::new(weights, n, n), q, k.t(), at.scale(), false, Threads::One);
            softmax(weights, n);
        });
        let affine = self.affine(&weights, &tasks);
        let size = at.size();
        let mut context = vec![0.0; at.tokens * at.hidden];
        let outputs = split(&mut context, tasks.iter().map(|t| t.length * size));
        tasks.par_iter().zip(outputs).for_each(|(task, output)| {
            let n = task.length;
            let mut shares = self.dropped(&weights[task.weights..task.weights + n * n], *task);
            if let Some(affine) = affine {
                round_in_place(&mut shares, affine);
            }
            let values = at.rows(value, *task);
            multiply(
                ViewMut::new(output, n, size),
                View::new(&shares, n, n),
                values,
                1.0,
                false,
                Threads::One,
            );
        });
        (at.interleave(&context), Saved { weights: weights.into(), affine })
    }

    fn shape(&self) -> [usize; 2] {
        [self.attention.tokens, self.attention.hidden]
    }

    /// With P the weights, D dropout's factors, R = round(P∘D), I where that cuts nothing off and G the
    /// gradient of the output: dV = Rᵀ G, dP = (G Vᵀ)∘I∘D, the rest as without rounding.
    fn backward(
        &self,
        [query, key, value]: [&[f32]; 3],
        saved: &Saved,
        gradient: &[f32],
        wanted: [bool; 3],
    ) -> [Option<Vec<f32>>; 3] {
        let at = &self.attention;
        let tasks = at.tasks();
        let size = at.size();
        let buffer = || vec![0.0; at.tokens * at.hidden];
        let (mut dq, mut dk, mut dv) = (buffer(), buffer(), buffer());
        let lengths = tasks.iter().map(|t| t.length * size);
        let outputs: Vec<_> = split(&mut dq, lengths.clone())
            .into_iter()
            .zip(split(&mut dk, lengths.clone()))
            .zip(split(&mut dv, lengths))
            .collect();
        tasks.par_iter().zip(outputs).for_each(|(task, ((dq, dk), dv))| {
            let n = task.length;
            let weights = &saved.weights[task.weights..task.weights + n * n];
            let g = at.rows(gradient, *task);
            let mut ds = vec![0.0; n * n];
            multiply(ViewMut::new(&mut ds, n, n), g, at.rows(value, *task).t(), 1.0, false, Threads::One);
            let mut shares = self.dropped(weights, *task);
            if let Some(affine) = saved.affine {
                cut(&mut ds, &shares, affine);
                round_in_place(&mut shares, affine);
            }
            multiply(ViewMut::new(dv, n, size), View::new(&shares, n, n).t(), g, 1.0, false, Threads::One);
            if at.dropout.is_active() {
                drop_weights(&mut ds, at.dropout, task.weights as u32);
            }
            softmax_backward(&mut ds, weights, n);
            let (q, k) = (at.rows(query, *task), at.rows(key, *task));
            let ds = View::new(&ds, n, n);
            multiply(ViewMut::new(dq, n, size), ds, k, at.scale(), false, Threads::One);
            multiply(ViewMut::new(dk, n, size), ds.t(), q, at.scale(), false, Threads::One);
        });
        [(0, dq), (1, dk), (2, dv)].map(|(i, d): (usize, Vec<f32>)| wanted[i].then(|| at.interleave(&d)))
    }
}
