//! `LayerNorm(residual + dropout(x))`, the end of every attention and feed-forward block.

use burn::tensor::{Tensor, TensorData};
use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::dropout::Dropout;
use super::math::{dot, sum, sum_squares};
use super::op::{CpuOp, is_on_cpu, run};

/// The parameters of a layer normalization of `[rows, width]` over its rows.
#[derive(Clone, Debug)]
pub struct NormParams {
    /// The scale, `[width]`.
    pub gamma: Tensor<1>,
    /// The shift, `[width]`.
    pub beta: Tensor<1>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// `LayerNorm(residual + dropout(x))`, all `[rows, width]`.
pub fn add_norm(x: Tensor<2>, residual: Tensor<2>, norm: NormParams, dropout: Dropout) -> Tensor<2> {
    if !is_on_cpu(&x) {
        return plain_add_norm(x, residual, norm, dropout);
    }
    let [rows, width] = x.dims();
    let op = AddNorm { rows, width, epsilon: norm.epsilon as f32, dropout };
    run(op, [x.into(), residual.into(), norm.gamma.into(), norm.beta.into()])
}

/// Applies dropout to `[rows, width]`.
pub fn dropout(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    if !dropout.is_active() {
        return x;
    }
    let [rows, width] = x.dims();
    x.clone() * factors(dropout, rows, width, &x)
}

/// [`add_norm`] in Burn's operations: for other devices, and to test the fused form.
pub fn plain_add_norm(x: Tensor<2>, residual: Tensor<2>, norm: NormParams, dropout: Dropout) -> Tensor<2> {
    let [rows, width] = x.dims();
    let x = if dropout.is_active() { x.clone() * factors(dropout, rows, width, &x) } else { x };
    let z = x + residual;
    let centred = z.clone() - z.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    let normal = centred / (variance + norm.epsilon).sqrt();
    normal * norm.gamma.unsqueeze() + norm.beta.unsqueeze()
}

/// The factors of dropout as a constant tensor, `[rows, width]`, on the device of `like`.
fn factors(dropout: Dropout, rows: usize, width: usize, like: &Tensor<2>) -> Tensor<2> {
    let values: Vec<f32> = (0..(rows * width) as u32).map(|i| dropout.factor(i)).collect();
    Tensor::from_data(TensorData::new(values, [rows, width]), &like.device())
}

#[derive(Clone, Copy, Debug)]
struct AddNorm {
    rows: usize,
    width: usize,
    epsilon: f32,
    dropout: Dropout,
}

/// The normalized rows before scale and shift, and each row's 1/σ.
#[derive(Clone, Debug)]
struct Normal {
    values: std::sync::Arc<Vec<f32>>,
    inverse: std::sync::Arc<Vec<f32>>,
}

/// Rows in a thread's unit of work, which fixes the order of partial sums.
const ROWS: usize = 32;

impl CpuOp<4> for AddNorm {
    type Saved = Normal;

    fn forward(&self, [x, residual, gamma, beta]: [&[f32]; 4]) -> (Vec<f32>, Normal) {
        let size = self.rows * self.width;
        let mut y = vec![0.0; size];
        let mut values = vec![0.0; size];
        let mut inverse = vec![0.0; self.rows];
        let chunk = ROWS * self.width;
        y.par_chunks_mut(chunk)
            .zip(values.par_chunks_mut(chunk))
            .zip(inverse.par_chunks_mut(ROWS))
            .zip(x.par_chunks(chunk).zip(residual.par_chunks(chunk)))
            .enumerate()
            .for_each(|(i, (((y, normal), inverse), (x, residual)))| {
                let first = (i * chunk) as u32;
                forward(*self, first, [x, residual, gamma, beta], y, normal, inverse);
            });
        (y, Normal { values: values.into(), inverse: inverse.into() })
    }

    fn shape(&self) -> [usize; 2] {
        [self.rows, self.width]
    }

    fn backward(
        &self,
        [_, _, gamma, _]: [&[f32]; 4],
        saved: &Normal,
        gradient: &[f32],
        wanted: [bool; 4],
    ) -> [Option<Vec<f32>>; 4] {
        let size = self.rows * self.width;
        let mut dx = vec![0.0; size];
        let mut residual = vec![0.0; size];
        let chunk = ROWS * self.width;
        let partial: Vec<Vec<f32>> = dx
            .par_chunks_mut(chunk)
            .zip(residual.par_chunks_mut(chunk))
            .zip(saved.values.par_chunks(chunk).zip(saved.inverse.par_chunks(ROWS)))
            .zip(gradient.par_chunks(chunk))
            .enumerate()
            .map(|(i, (((dx, residual), (normal, inverse)), g))| {
                let mut sums = vec![0.0; 2 * self.width];
                let first = (i * chunk) as u32;
                backward(*self, first, [normal, inverse, gamma, g], dx, residual, &mut sums);
                sums
            })
            .collect();
        let mut sums = vec![0.0; 2 * self.width];
        for part in &partial {
            for (sum, p) in sums.iter_mut().zip(part) {
                *sum += p;
            }
        }
        let beta = sums.split_off(self.width);
        [
            wanted[0].then_some(dx),
            wanted[1].then_some(residual),
            wanted[2].then_some(sums),
            wanted[3].then_some(beta),
        ]
    }
}

#[inline(always)]
#[pulp::with_simd(forward = Arch::new())]
fn forward_simd<'a, S: Simd>(
    _simd: S,
    op: AddNorm,
    first: u32,
    inputs: [&'a [f32]; 4],
    y: &'a mut [f32],
    normal: &'a mut [f32],
    inverse: &'a mut [f32],
) {
    let [x, residual, gamma, beta] = inputs;
    let width = op.width;
    for (row, inverse) in inverse.iter_mut().enumerate() {
        let at = row * width..(row + 1) * width;
        let (x, residual) = (&x[at.clone()], &residual[at.clone()]);
        let (y, z) = (&mut y[at.clone()], &mut normal[at.clone()]);
        if op.dropout.is_active() {
            let index = first + (row * width) as u32;
            for (i, ((z, x), r)) in z.iter_mut().zip(x).zip(residual).enumerate() {
                *z = r + x * op.dropout.factor(index.wrapping_add(i as u32));
            }
        } else {
            for ((z, x), r) in z.iter_mut().zip(x).zip(residual) {
                *z = r + x;
            }
        }
        let mean = sum(z) / width as f32;
        let variance = sum_squares(z, mean) / width as f32;
        *inverse = 1.0 / (variance + op.epsilon).sqrt();
        for (((y, z), g), b) in y.iter_mut().zip(z).zip(gamma).zip(beta) {
            *z = (*z - mean) * *inverse;
            *y = z.mul_add(*g, *b);
        }
    }
}

/// `dz = (ĝ - mean(ĝ) - n mean(ĝ n)) / σ` with `ĝ = g γ` and the normalized row `n`; `dγ = Σ g n`, `dβ = Σ g`.
#[inline(always)]
#[pulp::with_simd(backward = Arch::new())]
fn backward_simd<'a, S: Simd>(
    _simd: S,
    op: AddNorm,
    first: u32,
    inputs: [&'a [f32]; 4],
    dx: &'a mut [f32],
    residual: &'a mut [f32],
    sums: &'a mut [f32],
) {
    let [normal, inverse, gamma, gradient] = inputs;
    let width = op.width;
    let (dgamma, dbeta) = sums.split_at_mut(width);
    for (row, inverse) in inverse.iter().enumerate() {
        let at = row * width..(row + 1) * width;
        let (n, g) = (&normal[at.clone()], &gradient[at.clone()]);
        let (dx, dz) = (&mut dx[at.clone()], &mut residual[at.clone()]);
        for ((((dz, dgamma), dbeta), (n, g)), gamma) in
            dz.iter_mut().zip(dgamma.iter_mut()).zip(dbeta.iter_mut()).zip(n.iter().zip(g)).zip(gamma)
        {
            *dgamma = n.mul_add(*g, *dgamma);
            *dbeta += g;
            *dz = g * gamma;
        }
        let mean = sum(dz) / width as f32;
        let along = dot(dz, n) / width as f32;
        for (dz, n) in dz.iter_mut().zip(n) {
            *dz = (*dz - mean - n * along) * inverse;
        }
        if op.dropout.is_active() {
            let index = first + (row * width) as u32;
            for (i, (dx, dz)) in dx.iter_mut().zip(dz.iter()).enumerate() {
                *dx = dz * op.dropout.factor(index.wrapping_add(i as u32));
            }
        } else {
            dx.copy_from_slice(dz);
        }
    }
}
