//! The exact GELU, `x Φ(x)` with the normal distribution function Φ (not the tanh approximation).

use burn::tensor::{Tensor, activation};
use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::math::{erf, exp};
use super::op::{CpuOp, is_on_cpu, run};

/// GELU of every element, `[rows, width]`.
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    if !is_on_cpu(&x) {
        return activation::gelu(x);
    }
    let shape = x.dims();
    run(Gelu { shape }, [x.into()])
}

/// Elements in a thread's unit of work.
const CHUNK: usize = 1 << 14;

#[derive(Clone, Copy, Debug)]
struct Gelu {
    shape: [usize; 2],
}

impl CpuOp<1> for Gelu {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| forward(y, x));
        (y, ())
    }

    fn shape(&self) -> [usize; 2] {
        self.shape
    }

    fn backward(&self, [x]: [&[f32]; 1], _: &(), gradient: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        let mut dx = vec![0.0; x.len()];
        dx.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|((dx, x), g)| backward(dx, x, g));
        [Some(dx)]
    }
}

#[inline(always)]
#[pulp::with_simd(forward = Arch::new())]
fn forward_simd<'a, S: Simd>(_simd: S, y: &'a mut [f32], x: &'a [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

#[inline(always)]
#[pulp::with_simd(backward = Arch::new())]
fn backward_simd<'a, S: Simd>(_simd: S, dx: &'a mut [f32], x: &'a [f32], g: &'a [f32]) {
    /// 1 / √(2π).
    const DENSITY: f32 = 0.398_942_3;
    for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
        let cumulative = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        let density = DENSITY * exp(-0.5 * x * x);
        *dx = g * x.mul_add(density, cumulative);
    }
}
