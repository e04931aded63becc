//! Matrix products in bfloat16, while a stage asks for them: `train { precision: bf16 }`.
//!
//! As PyTorch's autocast does it: weights, their moments, normalisations, softmax and losses stay in 32
//! bits; the operands of each product are rounded to bfloat16, and its result goes back. bfloat16
//! has the exponents of float32, so losses need no scale.

use std::cell::Cell;

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::op::is_on_cpu;

thread_local! {
    static CASTS: Cell<bool> = const { Cell::new(false) };
}

/// Whether a device gains by it: it computes in bfloat16, and is none of the processor's, whose kernels
/// here are in 32 bits.
pub fn is_worth_it_on(device: &Device) -> bool {
    !is_on_cpu(&Tensor::zeros([1, 1], device)) && device.supports_dtype(DType::BF16)
}

/// While `forward` runs on this thread, [`matmul`] multiplies in bfloat16 if `casts` says so.
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

/// The product of two float32 matrices, or of two batches of them, in the precision that [`with`] says.
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
    fn a_forward_pass_that_panics_leaves_no_trace() {
        let result = std::panic::catch_unwind(|| with(true, || panic!("on purpose")));
        assert!(result.is_err() && !CASTS.get());
    }

    #[test]
    fn the_processor_computes_in_32_bits() {
        assert!(!is_worth_it_on(&Device::flex()));
    }
}
