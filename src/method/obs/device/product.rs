//! `Σ g gᵀ` of a chunk of gradients, block by block.
//!
//! CUDA's tensor cores round the operands of a float32 product to TF32, 11 significant bits, with errors like those of
//! bfloat16 gradients. A product with a known result detects that; then each operand is split into its upper 11 bits,
//! and a rest of up to 12 bits, which TF32 rounds in its last bit.

use std::collections::HashMap;

use burn::tensor::Tensor;

/// The value of the probe's entries, which TF32 cannot represent: it has 13 significant bits.
const PROBE: f64 = 1.0 + 1.0 / 4096.0;
/// The relative error of the probe's product above which its operands were rounded.
const ROUNDED: f64 = 1.0 / 16384.0;
/// Splits a float32 into its upper 11 bits and the rest (Veltkamp splitting): `2¹³ + 1`.
const CUT: f32 = 8193.0;

/// Gram matrices of chunks on one device.
#[derive(Clone, Debug, Default)]
pub struct Products {
    /// Whether operands are rounded, for each shape, since the choice of a kernel depends on the shape.
    rounds: HashMap<[usize; 3], bool>,
}

impl Products {
    /// `Σ g gᵀ` of every block, `[blocks][B][B]`, from gradients `[k][blocks · B]`.
    pub fn gram(&mut self, rows: Tensor<2>, block: usize) -> Tensor<3> {
        let [count, width] = rows.dims();
        if block == 1 {
            return rows.square().sum_dim(0).reshape([width, 1, 1]);
        }
        let shape = [count, width / block, block];
        let rounds = *self.rounds.entry(shape).or_insert_with(|| {
            let probe = || Tensor::full(shape, PROBE, &rows.device());
            let product = multiply(probe(), probe()).slice([0..1, 0..1, 0..1]);
            let expected = count as f64 * PROBE * PROBE;
            let error = f64::from(product.into_scalar::<f32>()) / expected - 1.0;
            error.is_nan() || error.abs() > ROUNDED
        });
        gram(rows.reshape(shape), rounds, multiply)
    }
}

/// `aᵀb` of every block, `[blocks][B][B]`, from two tensors `[k][blocks][B]` (`torch.einsum("kni,knj->nij")`).
fn multiply(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    a.permute([1, 2, 0]).matmul(b.permute([1, 0, 2]))
}

/// `gᵀg`; on devices that round, with g = h + l: `hᵀh + hᵀl + lᵀh`. The omitted `lᵀl` is of the order of float32's
/// rounding error.
fn gram(rows: Tensor<3>, rounds: bool, multiply: impl Fn(Tensor<3>, Tensor<3>) -> Tensor<3>) -> Tensor<3> {
    if !rounds {
        return multiply(rows.clone(), rows);
    }
    let wide = rows.clone() * CUT;
    let high = wide.clone() - (wide - rows.clone());
    let low = rows - high.clone();
    let cross = multiply(high.clone(), low);
    multiply(high.clone(), high) + cross.clone() + cross.swap_dims(1, 2)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// Two blocks of three weights, nine gradients.
    const SHAPE: [usize; 3] = [9, 2, 3];

    fn numbers() -> Vec<f32> {
        (0..54).map(|i| ((i * i * 37 + i * 11) % 1013) as f32 / 997.0 - 0.5).collect()
    }

    fn rows() -> Tensor<3> {
        Tensor::from_data(TensorData::new(numbers(), SHAPE), &Device::flex())
    }

    /// The largest absolute error against float64.
    fn error(gram: Tensor<3>) -> f64 {
        let got: Vec<f32> = gram.into_data().try_to_vec().unwrap();
        let at = |k: usize, b: usize, i: usize| f64::from(numbers()[(k * 2 + b) * 3 + i]);
        let mut worst: f64 = 0.0;
        for (place, got) in got.iter().enumerate() {
            let (b, i, j) = (place / 9, place / 3 % 3, place % 3);
            let expected: f64 = (0..9).map(|k| at(k, b, i) * at(k, b, j)).sum();
            worst = worst.max((f64::from(*got) - expected).abs());
        }
        worst
    }

    /// The product with operands rounded to TF32, as tensor cores compute it.
    fn tensor_cores(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
        let round = |t: Tensor<3>| {
            let (shape, device) = (t.dims(), t.device());
            let values: Vec<f32> = t.into_data().try_to_vec().unwrap();
            let rounded: Vec<f32> =
                values.iter().map(|v| f32::from_bits((v.to_bits() + 0x1000) & !0x1fff)).collect();
            Tensor::<3>::from_data(TensorData::new(rounded, shape), &device)
        };
        multiply(round(a), round(b))
    }

    #[test]
    fn a_gram_is_the_sum_of_outer_products_block_by_block() {
        assert!(error(gram(rows(), false, multiply)) < 1e-6);
        assert!(error(Products::default().gram(rows().reshape([9, 6]), 3)) < 1e-6);
    }

    #[test]
    fn a_device_that_rounds_what_it_multiplies_loses_no_digits() {
        assert!(error(gram(rows(), false, tensor_cores)) > 1e-5, "the rounding can be seen");
        assert!(error(gram(rows(), true, tensor_cores)) < 1e-6);
        let probe = || Tensor::<3>::full(SHAPE, PROBE, &Device::flex());
        let rounded = tensor_cores(probe(), probe()).slice([0..1, 0..1, 0..1]).into_scalar::<f32>();
        let seen = (f64::from(rounded) / (9.0 * PROBE * PROBE) - 1.0).abs();
        assert!(seen > 2.0 * ROUNDED, "the probe detects it: {seen}");
    }
}
