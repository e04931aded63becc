//! Fake quantization: values are quantized and dequantized, with the straight-through estimator (STE) for gradients.

use burn::tensor::{Tensor, TensorData};

use super::observer::Range;
use super::scheme::Grid;

/// Which values of a matrix share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// All values: quantization per tensor.
    All,
    /// The values of a row: quantization per channel.
    Rows,
    /// The values of a column: quantization per channel.
    Columns,
}

/// Quantization parameters of a tensor (PyTorch's `qparams`).
#[derive(Clone, Debug, PartialEq)]
pub struct QParams {
    /// The scheme.
    pub grid: Grid,
    /// One scale, or one for each row or column.
    pub scales: Vec<f32>,
    /// The zero point; 0 if there are several scales.
    pub zero: i32,
}

/// The quantization parameters of one channel, prepared for fake quantization.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    scale: f32,
    inverse: f32,
    /// `qmin − z`.
    low: f32,
    /// `qmax − z`.
    high: f32,
}

impl Affine {
    /// `round(x · (1/s))`, ties to even, clamped to one step beyond `qmin − z` and `qmax − z`.
    #[inline(always)]
    fn steps(self, x: f32) -> f32 {
        // Adding and subtracting 1.5 · 2²³ rounds numbers below 2²² to the nearest integer, ties to even.
        const ROUND: f32 = 12_582_912.0;
        ((x * self.inverse).clamp(self.low - 1.0, self.high + 1.0) + ROUND) - ROUND
    }

    /// `(clamp(round(x · (1/s)) + z, qmin, qmax) − z) · s`.
    #[inline(always)]
    pub fn fake_quantize(self, x: f32) -> f32 {
        self.steps(x).clamp(self.low, self.high) * self.scale
    }

    /// Whether `round(x · (1/s)) + z` is within `qmin..=qmax`, where the STE passes the gradient.
    #[inline(always)]
    pub fn passes_gradient(self, x: f32) -> bool {
        let steps = self.steps(x);
        self.low <= steps && steps <= self.high
    }
}

impl QParams {
    /// The parameters for observed ranges.
    pub fn of(grid: Grid, ranges: &[Range]) -> Self {
        let each = ranges.iter().map(|range| grid.scale_of(*range));
        let zero = each.clone().next().map_or(0, |(_, zero)| zero);
        QParams { grid, scales: each.map(|(scale, _)| scale).collect(), zero }
    }

    /// The parameters of a channel, a row or column by its index; with one scale per tensor those of every channel.
    pub fn affine(&self, channel: usize) -> Affine {
        let scale = if self.scales.len() == 1 { self.scales[0] } else { self.scales[channel] };
        let end = |q: i32| (q - self.zero) as f32;
        let (low, high) = (end(self.grid.least()), end(self.grid.greatest()));
        Affine { scale, inverse: 1.0 / scale, low, high }
    }

    /// Fake-quantizes a row-major matrix `[rows, columns]` in place, with one scale or one for each row.
    pub fn fake_quantize_rows(&self, values: &mut [f32], columns: usize) {
        for (row, values) in values.chunks_mut(columns.max(1)).enumerate() {
            let affine = self.affine(row);
            values.iter_mut().for_each(|v| *v = affine.fake_quantize(*v));
        }
    }
}

/// Fake quantization of a matrix in Burn's operations, for any backend. The gradient is passed unchanged for values
/// within `qmin..=qmax`, and zero for clamped ones (`torch.fake_quantize_per_tensor_affine`,
/// `torch.fake_quantize_per_channel_affine`).
pub fn fake_quantize(x: Tensor<2>, qparams: &QParams, channels: Channels) -> Tensor<2> {
    let device = x.device();
    let vector = |values: Vec<f32>| {
        let shape = match (values.len(), channels) {
            (1, _) | (_, Channels::All) => [1, 1],
            (count, Channels::Rows) => [count, 1],
            (count, Channels::Columns) => [1, count],
        };
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    let inverse = vector(qparams.scales.iter().map(|s| 1.0 / s).collect());
    let end = |q: i32| q - qparams.zero;
    let (low, high) = (end(qparams.grid.least()), end(qparams.grid.greatest()));
    let steps = (x.clone().detach() * inverse).clamp(low - 1, high + 1).round();
    let cut = steps.clone().lower_elem(low).bool_or(steps.clone().greater_elem(high));
    let rounded = steps.clamp(low, high) * vector(qparams.scales.clone());
    let passing = x.mask_fill(cut, 0.0);
    // The straight-through estimator: the difference is zero and carries the gradient.
    rounded + (passing.clone() - passing.detach())
}
