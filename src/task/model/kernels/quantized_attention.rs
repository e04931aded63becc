//! Attention with fake-quantized attention weights, for quantization-aware training.
//!
//! Queries, keys and values are fake-quantized by the caller. As without quantization, only the attention weights
//! before dropout are saved for the backward pass.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::method::qat::fake_quant::Affine;
use crate::method::qat::{Channels, Phase, Quantizer};

use super::attention::{
    Attention, HeadSequence, Sequences, drop_weights, plain_products, softmax, softmax_backward, split,
};
use super::dropout::Dropout;
use super::fake_quant::{fake_quantize, quantize_in_place, range, ranges, straight_through, union};
use super::gemm::{Threads, View, ViewMut, multiply};
use super::op::{CpuOp, run};

/// `quantize(dropout(softmax(Q Kᵀ / √d))) V` of queries, keys and values `[tokens, hidden]`, without the output
/// projection. Attention weights are quantized after dropout, as by SparseML's `QATMatMul`.
pub fn quantized_attention(
    projected: [Tensor<2>; 3],
    heads: usize,
    sequences: &Sequences,
    dropout: Dropout,
    quantizer: Option<(Arc<Quantizer>, Phase)>,
) -> Tensor<2> {
    match sequences {
        Sequences::Padded { lengths, length } => {
            plain_products(projected, heads, lengths, *length, dropout, |weights| {
                let qparams =
                    quantizer.and_then(|(q, phase)| q.pass(phase, || ranges(&weights, Channels::All)));
                match qparams {
                    Some(qparams) => fake_quantize(weights, &qparams, Channels::All),
                    None => weights,
                }
            })
        }
        Sequences::Packed(starts) => {
            let [tokens, hidden] = projected[0].dims();
            let attention = Attention { tokens, hidden, heads, starts: starts.clone(), dropout };
            run(QuantizedAttention { attention, quantizer }, projected.map(Into::into))
        }
    }
}

/// The fused operation on packed sequences.
#[derive(Clone, Debug)]
struct QuantizedAttention {
    attention: Attention,
    quantizer: Option<(Arc<Quantizer>, Phase)>,
}

/// The attention weights before dropout, and the scale and zero point with which they were quantized after it.
#[derive(Clone, Debug)]
struct Saved {
    weights: Arc<Vec<f32>>,
    affine: Option<Affine>,
}

impl QuantizedAttention {
    /// The attention weights of a head and a sequence after dropout.
    fn dropped(&self, weights: &[f32], unit: HeadSequence) -> Vec<f32> {
        let mut dropped = weights.to_vec();
        if self.attention.dropout.is_active() {
            drop_weights(&mut dropped, self.attention.dropout, unit.weights as u32);
        }
        dropped
    }

    /// Observes the range of the attention weights if the quantizer observes in this phase (training or calibration).
    /// Returns their scale and zero point; `None` without fake quantization.
    fn affine(&self, weights: &[f32], units: &[HeadSequence]) -> Option<Affine> {
        let (quantizer, phase) = self.quantizer.as_ref()?;
        let observed = || {
            let of_task = |unit: &HeadSequence| {
                let part = &weights[unit.weights..unit.weights + unit.length * unit.length];
                range(&self.dropped(part, *unit))
            };
            vec![union(units.par_iter().map(of_task).collect())]
        };
        quantizer.pass(*phase, observed).map(|qparams| qparams.affine(0))
    }
}

impl CpuOp<3> for QuantizedAttention {
    type Saved = Saved;

    fn forward(&self, [query, key, value]: [&[f32]; 3]) -> (Vec<f32>, Saved) {
        let at = &self.attention;
        let units = at.units();
        let squares = units.iter().map(|t| t.length * t.length);
        let mut weights = vec![0.0; squares.clone().sum()];
        let areas = split(&mut weights, squares);
        units.par_iter().zip(areas).for_each(|(unit, weights)| {
            let n = unit.length;
            let (q, k) = (at.rows(query, *unit), at.rows(key, *unit));
            multiply(ViewMut::new(weights, n, n), q, k.t(), at.scale(), false, Threads::One);
            softmax(weights, n);
        });
        let affine = self.affine(&weights, &units);
        let size = at.size();
        let mut context = vec![0.0; at.tokens * at.hidden];
        let outputs = split(&mut context, units.iter().map(|t| t.length * size));
        units.par_iter().zip(outputs).for_each(|(unit, output)| {
            let n = unit.length;
            let mut quantized = self.dropped(&weights[unit.weights..unit.weights + n * n], *unit);
            if let Some(affine) = affine {
                quantize_in_place(&mut quantized, affine);
            }
            let values = at.rows(value, *unit);
            multiply(
                ViewMut::new(output, n, size),
                View::new(&quantized, n, n),
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

    /// With the attention weights P, the factors of dropout D, `R = quantize(P∘D)`, the straight-through
    /// estimator I (1 inside the range, 0 where values are clipped) and the gradient of the output G: `dV = Rᵀ G`,
    /// `dP = (G Vᵀ)∘I∘D`; dS, dQ and dK as without quantization.
    fn backward(
        &self,
        [query, key, value]: [&[f32]; 3],
        saved: &Saved,
        gradient: &[f32],
        wanted: [bool; 3],
    ) -> [Option<Vec<f32>>; 3] {
        let at = &self.attention;
        let units = at.units();
        let size = at.size();
        let buffer = || vec![0.0; at.tokens * at.hidden];
        let (mut dq, mut dk, mut dv) = (buffer(), buffer(), buffer());
        let lengths = units.iter().map(|t| t.length * size);
        let outputs: Vec<_> = split(&mut dq, lengths.clone())
            .into_iter()
            .zip(split(&mut dk, lengths.clone()))
            .zip(split(&mut dv, lengths))
            .collect();
        units.par_iter().zip(outputs).for_each(|(unit, ((dq, dk), dv))| {
            let n = unit.length;
            let weights = &saved.weights[unit.weights..unit.weights + n * n];
            let g = at.rows(gradient, *unit);
            let mut ds = vec![0.0; n * n];
            multiply(ViewMut::new(&mut ds, n, n), g, at.rows(value, *unit).t(), 1.0, false, Threads::One);
            let mut quantized = self.dropped(weights, *unit);
            if let Some(affine) = saved.affine {
                straight_through(&mut ds, &quantized, affine);
                quantize_in_place(&mut quantized, affine);
            }
            multiply(ViewMut::new(dv, n, size), View::new(&quantized, n, n).t(), g, 1.0, false, Threads::One);
            if at.dropout.is_active() {
                drop_weights(&mut ds, at.dropout, unit.weights as u32);
            }
            softmax_backward(&mut ds, weights, n);
            let (q, k) = (at.rows(query, *unit), at.rows(key, *unit));
            let ds = View::new(&ds, n, n);
            multiply(ViewMut::new(dq, n, size), ds, k, at.scale(), false, Threads::One);
            multiply(ViewMut::new(dk, n, size), ds.t(), q, at.scale(), false, Threads::One);
        });
        [(0, dq), (1, dk), (2, dv)].map(|(i, d): (usize, Vec<f32>)| wanted[i].then(|| at.interleave(&d)))
    }
}
