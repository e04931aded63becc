//! Mixed precision: matrix products in bfloat16 (`train { precision: bf16 }`), as PyTorch's autocast.
//!
//! Weights, optimizer moments, layer normalization, softmax and losses remain float32. The operands of a matrix
//! product are cast to bfloat16 and its result back to float32. bfloat16 has float32's range of exponents, so no
//! loss scaling is needed.

use std::cell::Cell;

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::op::is_cpu;

thread_local! {
    static CASTS: Cell<bool> = const { Cell::new(false) };
}

/// Whether a device multiplies in bfloat16. The CPU kernels compute in float32.
pub fn is_supported_on(device: &Device) -> bool {
    !is_cpu(device) && device.supports_dtype(DType::BF16)
}

/// Runs `forward`; if `casts`, [`matmul`] multiplies in bfloat16 on this thread meanwhile.
pub fn with<R>(casts: bool, forward: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            CASTS.set(self.0);
        }
    }
    let _back = Back(CASTS.replace(casts));
    forward()
}

/// The product of two float32 matrices or batches of matrices, in the precision chosen by [`with`].
pub fn matmul<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    if !CASTS.get() {
        return left.matmul(right);
    }
    left.cast(FloatDType::BF16).matmul(right.cast(FloatDType::BF16)).cast(FloatDType::F32)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn products_and_gradients_in_bfloat16_are_those_of_float32_to_its_eight_bits() {
        let device = Device::flex().autodiff();
        device.seed(7);
        let random = |rows, columns| {
            Tensor::<2>::random([rows, columns], Distribution::Normal(0.0, 1.0), &device).require_grad()
        };
        let (a, b) = (random(16, 40), random(40, 24));
        let computed = |casts: bool| {
            let product = with(casts, || matmul(a.clone(), b.clone()));
            assert_eq!(product.dtype(), DType::F32);
            let gradients = (product.clone() * product.clone()).sum().backward();
            let gradient = |t: &Tensor<2>| t.grad(&gradients).unwrap();
            [product.inner(), gradient(&a), gradient(&b)].map(|t| t.into_data().try_to_vec::<f32>().unwrap())
        };
        for (rounded, exact) in computed(true).iter().zip(computed(false)) {
            let largest = exact.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let error = rounded.iter().zip(&exact).fold(0.0f32, |m, (r, e)| m.max((r - e).abs()));
            assert!(error < 0.02 * largest, "{error} of {largest}");
            assert!(error > 1e-4 * largest, "nothing was rounded");
        }
    }

    #[test]
    fn a_forward_pass_that_panics_restores_float32() {
        let result = std::panic::catch_unwind(|| with(true, || panic!("on purpose")));
        assert!(result.is_err() && !CASTS.get());
    }

    #[test]
    fn the_cpu_computes_in_float32() {
        assert!(!is_supported_on(&Device::flex()));
    }
}
