//! Random initialization on the host, so that new weights are the same on every device.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// Draws normally distributed weights from one generator.
pub struct Init {
    rng: ChaCha8Rng,
    normal: Normal<f32>,
}

impl Init {
    /// Weights with mean 0 and the given standard deviation (`initializer_range`); 0.02 if it is negative or not
    /// finite.
    pub fn new(seed: u64, deviation: f64) -> Self {
        let deviation = if deviation.is_finite() && deviation >= 0.0 { deviation as f32 } else { 0.02 };
        // invariant: the deviation is finite and not negative.
        let normal = Normal::new(0.0, deviation).expect("a finite deviation");
        Init { rng: ChaCha8Rng::seed_from_u64(seed), normal }
    }

    /// A matrix of random weights.
    pub fn matrix(&mut self, rows: usize, columns: usize, device: &Device) -> Param<Tensor<2>> {
        let values: Vec<f32> = (0..rows * columns).map(|_| self.normal.sample(&mut self.rng)).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, [rows, columns]), device))
    }

    /// A linear layer with random weights, `[in, out]`, and a zero bias.
    pub fn linear(&mut self, inputs: usize, outputs: usize, device: &Device) -> Linear {
        self.linear_with(inputs, outputs, true, device)
    }

    /// A linear layer with random weights, `[in, out]`, and a zero bias if it has one.
    pub fn linear_with(&mut self, inputs: usize, outputs: usize, bias: bool, device: &Device) -> Linear {
        let zeros = || Param::from_tensor(Tensor::zeros([outputs], device));
        Linear { weight: self.matrix(inputs, outputs, device), bias: bias.then(zeros) }
    }
}
