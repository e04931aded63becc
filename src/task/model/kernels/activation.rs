//! The activations of feed-forward layers and heads, with their derivatives.

use burn::tensor::{Tensor, activation};
use pulp::{Arch, Simd};
use rayon::prelude::*;

use crate::params::Activation;

use super::math::{erf, exp};
use super::op::{CpuOp, is_on_cpu, run};

/// The activation of every element, `[rows, width]`.
pub fn activate(x: Tensor<2>, function: Activation) -> Tensor<2> {
    if !is_on_cpu(&x) {
        return plain_activate(x, function);
    }
    let shape = x.dims();
    run(Activate { shape, function }, [x.into()])
}

/// [`activate`] in Burn's operations: for other devices, and to test the fused form.
pub(super) fn plain_activate(x: Tensor<2>, function: Activation) -> Tensor<2> {
    match function {
        Activation::Gelu => activation::gelu(x),
        Activation::GeluTanh => {
            let cube = x.clone() * x.clone() * x.clone() * f64::from(CUBIC);
            let inner = (x.clone() + cube) * f64::from(SLOPE);
            x * (inner.tanh() + 1.0) * 0.5
        }
        Activation::Relu => activation::relu(x),
        Activation::Silu => activation::silu(x),
        Activation::Tanh => x.tanh(),
    }
}

/// The number of elements in a thread's unit of work.
const CHUNK: usize = 1 << 14;

/// √(2/π) and the factor of x³ in GELU by tanh.
const SLOPE: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

#[derive(Clone, Copy, Debug)]
struct Activate {
    shape: [usize; 2],
    function: Activation,
}

impl CpuOp<1> for Activate {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let mut y = vec![0.0; x.len()];
        let forward = forward_of(self.function);
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| forward(y, x));
        (y, ())
    }

    fn shape(&self) -> [usize; 2] {
        self.shape
    }

    fn backward(&self, [x]: [&[f32]; 1], _: &(), gradient: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        let mut dx = vec![0.0; x.len()];
        let backward = backward_of(self.function);
        dx.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .zip(gradient.par_chunks(CHUNK))
            .for_each(|((dx, x), g)| backward(dx, x, g));
        [Some(dx)]
    }
}

/// A gated activation `f(a) ∘ b` of the halves a and b of every row of `[rows, 2 width]`, `[rows, width]` (GeGLU with
/// f = GELU).
pub fn gated(x: Tensor<2>, function: Activation) -> Tensor<2> {
    let [rows, both] = x.dims();
    let width = both / 2;
    if !is_on_cpu(&x) {
        return plain_gated(x, function);
    }
    run(Gated { rows, width, function }, [x.into()])
}

/// [`gated`] in Burn's operations.
pub(super) fn plain_gated(x: Tensor<2>, function: Activation) -> Tensor<2> {
    let width = x.dims()[1] / 2;
    plain_activate(x.clone().narrow(1, 0, width), function) * x.narrow(1, width, width)
}

#[derive(Clone, Copy, Debug)]
struct Gated {
    rows: usize,
    width: usize,
    function: Activation,
}

impl CpuOp<1> for Gated {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let (width, forward) = (self.width, forward_of(self.function));
        let mut y = vec![0.0; self.rows * width];
        y.par_chunks_mut(width).zip(x.par_chunks(2 * width)).for_each(|(y, x)| {
            let (a, b) = x.split_at(width);
            forward(y, a);
            y.iter_mut().zip(b).for_each(|(y, b)| *y *= b);
        });
        (y, ())
    }

    fn shape(&self) -> [usize; 2] {
        [self.rows, self.width]
    }

    /// `da = g ∘ b ∘ f'(a)`, `db = g ∘ f(a)`.
    fn backward(&self, [x]: [&[f32]; 1], _: &(), gradient: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        let (width, forward, backward) = (self.width, forward_of(self.function), backward_of(self.function));
        let mut dx = vec![0.0; x.len()];
        let rows = dx.par_chunks_mut(2 * width).zip(x.par_chunks(2 * width));
        rows.zip(gradient.par_chunks(width)).for_each(|((dx, x), g)| {
            let (a, b) = x.split_at(width);
            let (da, db) = dx.split_at_mut(width);
            // `db` holds g ∘ b until `da` is computed.
            db.iter_mut().zip(g.iter().zip(b)).for_each(|(d, (g, b))| *d = g * b);
            backward(da, a, db);
            forward(db, a);
            db.iter_mut().zip(g).for_each(|(d, g)| *d *= g);
        });
        [Some(dx)]
    }
}

/// The loop over a function.
fn forward_of(function: Activation) -> fn(&mut [f32], &[f32]) {
    match function {
        Activation::Gelu => |y, x| gelu(y, x),
        Activation::GeluTanh => |y, x| gelu_tanh(y, x),
        Activation::Relu => |y, x| relu(y, x),
        Activation::Silu => |y, x| silu(y, x),
        Activation::Tanh => |y, x| tanh(y, x),
    }
}

/// The loop over the derivative of a function, times a gradient.
fn backward_of(function: Activation) -> fn(&mut [f32], &[f32], &[f32]) {
    match function {
        Activation::Gelu => |dx, x, g| gelu_backward(dx, x, g),
        Activation::GeluTanh => |dx, x, g| gelu_tanh_backward(dx, x, g),
        Activation::Relu => |dx, x, g| relu_backward(dx, x, g),
        Activation::Silu => |dx, x, g| silu_backward(dx, x, g),
        Activation::Tanh => |dx, x, g| tanh_backward(dx, x, g),
    }
}

/// Vectorized loops over a scalar function of `x` and over its derivative.
macro_rules! loops {
    ($forward:ident, $forward_simd:ident, $backward:ident, $backward_simd:ident, $f:ident, $derivative:ident) => {
        #[inline(always)]
        #[pulp::with_simd($forward = Arch::new())]
        fn $forward_simd<'a, S: Simd>(_simd: S, y: &'a mut [f32], x: &'a [f32]) {
            for (y, x) in y.iter_mut().zip(x) {
                *y = $f(*x);
            }
        }

        #[inline(always)]
        #[pulp::with_simd($backward = Arch::new())]
        fn $backward_simd<'a, S: Simd>(_simd: S, dx: &'a mut [f32], x: &'a [f32], g: &'a [f32]) {
            for ((dx, x), g) in dx.iter_mut().zip(x).zip(g) {
                *dx = g * $derivative(*x);
            }
        }
    };
}

loops!(gelu, gelu_simd, gelu_backward, gelu_backward_simd, gelu_of, gelu_slope);
loops!(gelu_tanh, gelu_tanh_simd, gelu_tanh_backward, gelu_tanh_backward_simd, gelu_tanh_of, gelu_tanh_slope);
loops!(relu, relu_simd, relu_backward, relu_backward_simd, relu_of, relu_slope);
loops!(silu, silu_simd, silu_backward, silu_backward_simd, silu_of, silu_slope);
loops!(tanh, tanh_simd, tanh_backward, tanh_backward_simd, tanh_of, tanh_slope);

#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    /// 1 / √(2π).
    const DENSITY: f32 = 0.398_942_3;
    let cumulative = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
    let density = DENSITY * exp(-0.5 * x * x);
    x.mul_add(density, cumulative)
}

#[inline(always)]
fn gelu_tanh_of(x: f32) -> f32 {
    0.5 * x * (1.0 + tanh_of(SLOPE * x * (CUBIC * x).mul_add(x, 1.0)))
}

#[inline(always)]
fn gelu_tanh_slope(x: f32) -> f32 {
    let t = tanh_of(SLOPE * x * (CUBIC * x).mul_add(x, 1.0));
    let inner = SLOPE * (3.0 * CUBIC * x).mul_add(x, 1.0);
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
}

#[inline(always)]
fn relu_of(x: f32) -> f32 {
    if x > 0.0 { x } else { 0.0 }
}

#[inline(always)]
fn relu_slope(x: f32) -> f32 {
    if x > 0.0 { 1.0 } else { 0.0 }
}

#[inline(always)]
fn silu_of(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

#[inline(always)]
fn silu_slope(x: f32) -> f32 {
    let sigmoid = 1.0 / (1.0 + exp(-x));
    sigmoid * (1.0 + x * (1.0 - sigmoid))
}

/// `tanh(x)` as `1 - 2 / (1 + e²ˣ)`.
#[inline(always)]
fn tanh_of(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

#[inline(always)]
fn tanh_slope(x: f32) -> f32 {
    let t = tanh_of(x);
    1.0 - t * t
}
