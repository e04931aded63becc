//! exp and activation functions, for sixteen lanes.

// Coefficients are those of the fit, near known constants or not.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

use crate::infer::simd::Simd;

/// eˣ with a relative error below 2e-7, for x clamped to -87..=88.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.max(x, simd.splat(-87.0)), simd.splat(88.0));
    let y = simd.mul(x, simd.splat(std::f32::consts::LOG2_E));
    let whole = simd.round(y);
    // The fraction of x · log₂e, exact with a fused multiply-add.
    let rest = simd.fma(x, simd.splat(std::f32::consts::LOG2_E), simd.sub(simd.splat(0.0), whole));
    let mut power = simd.splat(1.326_472_6e-3);
    for coefficient in [9.671_513e-3, 5.550_733_6e-2, 2.402_224_2e-1, 6.931_47e-1, 1.0] {
        power = simd.fma(power, rest, simd.splat(coefficient));
    }
    simd.scale(power, whole)
}

/// 2ˣ for x ≤ 127, with a relative error below 1e-7 besides that of x.
#[inline(always)]
pub fn exp2<S: Simd>(simd: S, x: S::F) -> S::F {
    let whole = simd.round(x);
    let rest = simd.sub(x, whole);
    let mut power = simd.splat(1.327_648_7e-3);
    for coefficient in [9.675_546_7e-3, 5.550_713_3e-2, 2.402_212e-1, 6.931_469_7e-1, 1.0] {
        power = simd.fma(power, rest, simd.splat(coefficient));
    }
    simd.scale(power, whole)
}

/// GELU, `x/2 (1 + erf(x/√2))` (`torch.nn.functional.gelu`), with an absolute error of erf below 5e-7.
#[inline(always)]
pub fn gelu<S: Simd>(simd: S, x: S::F) -> S::F {
    let half = simd.mul(x, simd.splat(0.5));
    simd.fma(half, erf(simd, simd.mul(x, simd.splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// The error function by a rational approximation in x², with an absolute error below 5e-7.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::F) -> S::F {
    let x = simd.min(simd.max(x, simd.splat(-3.92)), simd.splat(3.92));
    let s = simd.mul(x, x);
    let mut p = simd.splat(2.034_731_4e-6);
    for c in [2.874_804_4e-4, 3.868_364_1e-3, 5.306_059_4e-2, 1.927_648_9e-1, 1.128_379] {
        p = simd.fma(s, p, simd.splat(c));
    }
    let mut q = simd.splat(3.807_066e-5);
    for c in [1.188_124_5e-3, 1.517_236_9e-2, 1.150_849_65e-1, 5.041_651e-1, 1.0] {
        q = simd.fma(s, q, simd.splat(c));
    }
    simd.min(simd.max(simd.div(simd.mul(x, p), q), simd.splat(-1.0)), simd.splat(1.0))
}

/// GELU before quantization to int8, without a division. The absolute error is below 4e-5 for |x| ≤ 4, and proportional
/// to |x| beyond; the quantization scale of activations is some hundred times larger.
#[inline(always)]
pub fn gelu_for_bytes<S: Simd>(simd: S, x: S::F) -> S::F {
    let near = simd.min(simd.max(x, simd.splat(-4.0)), simd.splat(4.0));
    // Φ(x) − ½ is approximated by an odd polynomial, x p(u) with u = x²/8 − 1, in which the coefficients are small.
    let u = simd.fma(simd.mul(near, near), simd.splat(0.125), simd.splat(-1.0));
    let mut p = simd.splat(-2.729_006_6e-3);
    for c in [
        8.211_279e-3,
        -1.325_999e-2,
        2.162_171_3e-2,
        -3.649_537_6e-2,
        5.605_081e-2,
        -8.435_747e-2,
        1.759_477_6e-1,
    ] {
        p = simd.fma(p, u, simd.splat(c));
    }
    simd.mul(x, simd.fma(near, p, simd.splat(0.5)))
}

/// SiLU, `x / (1 + e⁻ˣ)` (`torch.nn.functional.silu`).
#[inline(always)]
pub fn silu<S: Simd>(simd: S, x: S::F) -> S::F {
    x_sigmoid(simd, x, x)
}

/// The tanh form of GELU, `x/2 (1 + tanh(y)) = x σ(2y)` with `y = √(2/π) (x + 0.044715 x³)`.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(simd: S, x: S::F) -> S::F {
    // 2 √(2/π).
    let root = simd.splat(1.595_769_1);
    let cube = simd.fma(simd.mul(x, x), simd.splat(0.044_715), simd.splat(1.0));
    x_sigmoid(simd, x, simd.mul(simd.mul(x, root), cube))
}

/// `max(x, 0)`.
#[inline(always)]
pub fn relu<S: Simd>(simd: S, x: S::F) -> S::F {
    simd.max(x, simd.splat(0.0))
}

/// `x σ(z) = x / (1 + e⁻ᶻ)`.
#[inline(always)]
fn x_sigmoid<S: Simd>(simd: S, x: S::F, z: S::F) -> S::F {
    simd.div(x, simd.add(simd.splat(1.0), exp(simd, simd.sub(simd.splat(0.0), z))))
}
