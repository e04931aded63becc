//! The linear layer `y = x W + b`.

use burn::tensor::Tensor;
use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::autocast;
use super::gemm::{Threads, View, ViewMut, multiply, product};
use super::op::{CpuOp, is_on_cpu, run};

/// Applies a linear layer: `[rows, in]` times a weight `[in, out]` plus a bias `[out]` gives `[rows, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    if !is_on_cpu(&x) {
        return autocast::matmul(x, weight) + bias.unsqueeze();
    }
    let [rows, inputs] = x.dims();
    let [_, outputs] = weight.dims();
    run(Linear { rows, inputs, outputs }, [x.into(), weight.into(), bias.into()])
}

#[derive(Clone, Copy, Debug)]
struct Linear {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl CpuOp<3> for Linear {
    type Saved = ();

    fn forward(&self, [x, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        (affine(x, weight, bias, self.rows, self.inputs, self.outputs), ())
    }

    fn shape(&self) -> [usize; 2] {
        [self.rows, self.outputs]
    }

    fn backward(
        &self,
        [x, weight, _]: [&[f32]; 3],
        _: &(),
        gradient: &[f32],
        wanted: [bool; 3],
    ) -> [Option<Vec<f32>>; 3] {
        let Linear { rows, inputs, outputs } = *self;
        let dx = wanted[0].then(|| {
            let (g, w) = (View::new(gradient, rows, outputs), View::new(weight, inputs, outputs));
            product(g, w.t(), Threads::All)
        });
        let dw = wanted[1].then(|| weight_gradient(x, gradient, rows, inputs, outputs));
        let db = wanted[2].then(|| column_sums(gradient, outputs));
        [dx, dw, db]
    }
}

/// `x W + b` on slices.
pub fn affine(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    rows: usize,
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let mut y = Vec::with_capacity(rows * outputs);
    for _ in 0..rows {
        y.extend_from_slice(bias);
    }
    let out = ViewMut::new(&mut y, rows, outputs);
    multiply(out, View::new(x, rows, inputs), View::new(weight, inputs, outputs), 1.0, true, Threads::All);
    y
}

/// `xᵀ g`, the gradient of a weight `[in, out]`.
pub fn weight_gradient(x: &[f32], gradient: &[f32], rows: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let (x, g) = (View::new(x, rows, inputs), View::new(gradient, rows, outputs));
    product(x.t(), g, Threads::All)
}

/// The sum of every column, in a fixed order: over 64 rows at a time, then over the partial sums.
pub fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let partial: Vec<Vec<f32>> = values
        .par_chunks(64 * columns)
        .map(|rows| {
            let mut sums = vec![0.0; columns];
            add_rows(&mut sums, rows);
            sums
        })
        .collect();
    let mut sums = vec![0.0; columns];
    for part in partial {
        add_rows(&mut sums, &part);
    }
    sums
}

#[inline(always)]
#[pulp::with_simd(add_rows = Arch::new())]
fn add_rows_simd<'a, S: Simd>(_simd: S, sums: &'a mut [f32], rows: &'a [f32]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += *v;
        }
    }
}
