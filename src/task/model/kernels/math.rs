//! Scalar functions that the compiler vectorizes, and sums in a fixed order.
//!
//! Every function is `inline(always)`, so that it is compiled for the instruction set of the kernel that calls it
//! (see [`pulp`]). Sums use [`LANES`] accumulators in a fixed order, so that results depend neither on the
//! machine's vector width nor on the number of threads.

// Coefficients are written as they were fitted.
#![allow(clippy::approx_constant, clippy::excessive_precision)]

/// The number of accumulators of a sum.
pub const LANES: usize = 16;

/// `e^x`, within 2 ulp for `x` in -87..=88; clamped outside.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let n = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = n.mul_add(-0.693_145_75, x);
    let r = n.mul_add(-1.428_606_8e-6, r);
    let mut p = 1.388_888_9e-3;
    p = r.mul_add(p, 8.333_333e-3);
    p = r.mul_add(p, 4.166_666_6e-2);
    p = r.mul_add(p, 1.666_666_7e-1);
    p = r.mul_add(p, 0.5);
    p = r.mul_add(p, 1.0);
    p = r.mul_add(p, 1.0);
    let scale = f32::from_bits(((n as i32 + 127) << 23) as u32);
    p * scale
}

/// The error function, by a rational approximation in x², within 5e-7.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let x = x.clamp(-3.92, 3.92);
    let s = x * x;
    let mut p = 2.034_731_4e-6;
    p = s.mul_add(p, 2.874_804_4e-4);
    p = s.mul_add(p, 3.868_364_1e-3);
    p = s.mul_add(p, 5.306_059_4e-2);
    p = s.mul_add(p, 1.927_648_9e-1);
    p = s.mul_add(p, 1.128_379);
    let mut q = 3.807_066e-5;
    q = s.mul_add(q, 1.188_124_5e-3);
    q = s.mul_add(q, 1.517_236_9e-2);
    q = s.mul_add(q, 1.150_849_65e-1);
    q = s.mul_add(q, 5.041_651e-1);
    q = s.mul_add(q, 1.0);
    (x * p / q).clamp(-1.0, 1.0)
}

/// The sum of a slice.
#[inline(always)]
pub fn sum(values: &[f32]) -> f32 {
    fold(values, |v| v)
}

/// `Σ (v - mean)²`.
#[inline(always)]
pub fn sum_squares(values: &[f32], mean: f32) -> f32 {
    fold(values, |v| (v - mean) * (v - mean))
}

/// `Σ f(v)`.
#[inline(always)]
pub fn fold(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += f(*v);
        }
    }
    for (lane, v) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane += f(*v);
    }
    reduce(lanes)
}

/// The dot product of two slices of equal length.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut a_chunks = a.chunks_exact(LANES);
    let mut b_chunks = b.chunks_exact(LANES);
    for (a, b) in (&mut a_chunks).zip(&mut b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_chunks.remainder()).zip(b_chunks.remainder()) {
        *lane = a.mul_add(*b, *lane);
    }
    reduce(lanes)
}

/// The maximum of a slice; `f32::MIN` for an empty one.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::MIN; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = if *v > *lane { *v } else { *lane };
        }
    }
    for (lane, v) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = lane.max(*v);
    }
    lanes.iter().copied().fold(f32::MIN, f32::max)
}

#[inline(always)]
fn reduce(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_erf_agree_with_double_precision() {
        let mut worst_exp = 0.0f64;
        let mut worst_erf = 0.0f64;
        for i in -40_000..=40_000 {
            let x = i as f32 / 2000.0;
            let e = (x as f64).exp();
            worst_exp = worst_exp.max((exp(x) as f64 - e).abs() / e);
            worst_erf = worst_erf.max((erf(x) as f64 - erf_reference(x as f64)).abs());
        }
        assert!(worst_exp < 3e-7, "{worst_exp}");
        assert!(worst_erf < 6e-7, "{worst_erf}");
        assert_eq!(exp(-1e9), exp(-87.0));
        assert_eq!(erf(50.0), 1.0);
    }

    /// Simpson's rule over 2/√π e^(-t²).
    fn erf_reference(x: f64) -> f64 {
        let n = 400;
        let x = x.clamp(-6.0, 6.0);
        let h = x / n as f64;
        let f = |t: f64| (-t * t).exp();
        let inner: f64 = (1..n).map(|i| f(h * i as f64) * if i % 2 == 0 { 2.0 } else { 4.0 }).sum();
        (f(0.0) + inner + f(x)) * h / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn sums_do_not_depend_on_a_tail() {
        let values: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum(&values), 666.0);
        assert_eq!(dot(&values, &values), 16206.0);
        assert_eq!(max(&values), 36.0);
        assert_eq!(max(&[]), f32::MIN);
    }
}
