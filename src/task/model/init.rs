//! New weights, the same on every device: drawn here, not by the backend.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// Draws weights one after the other.
pub struct Init {
    rng: ChaCha8Rng,
    normal: Normal<f32>,
}

impl Init {
    /// Normal weights with the given standard deviation.
    pub fn new(seed: u64, spread: f64) -> Self {
        let spread = if spread.is_finite() && spread >= 0.0 { spread as f32 } else { 0.02 };
        // invariant: the spread is finite and not negative.
        let normal = Normal::new(0.0, spread).expect("a finite spread");
        Init { rng: ChaCha8Rng::seed_from_u64(seed), normal }
    }

    /// A matrix of normal weights.
    pub fn matrix(&mut self, rows: usize, columns: usize, device: &Device) -> Param<Tensor<2>> {
        let values: Vec<f32> = (0..rows * columns).map(|_| self.normal.sample(&mut self.rng)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, [rows, columns]), device))
    }

    /// A linear layer with a zero bias.
    pub fn linear(&mut self, inputs: usize, outputs: usize, device: &Device) -> Linear {
        Linear {
            weight: self.matrix(inputs, outputs, device),
            bias: Some(Param::from_tensor(Tensor::zeros([outputs], device))),
        }
    }
}
